/* guide.h -- of which classes images are made, and how much of them. */
#ifndef DTN_GUIDE_H
#define DTN_GUIDE_H

#include "lib/model.h"
#include "lib/options.h"

/* The guidance of models that learned classes and images of none, unless another is asked for. */
#define DTN_GUIDANCE 2.0

struct dtn_guide {
	const char *class;              /* --class; NULL: not given */
	double guidance;                /* --guidance; -1: not given */
	struct dtn_args at;             /* as they were when --guide-at came; its timesteps wait
					 * for the model's */
	/* once chosen */
	int between[2];                 /* timesteps, both included */
	int32_t *label;                 /* image i is of class label[i mod labels] */
	int labels;                     /* 0: of none */
};

/* All classes in turn, unless some are named or the images begin as other images, which might be of
 * any.  Usage error where the model has not learned what is wanted, or has no such timesteps. */
void dtn_guide_choose(struct dtn_guide *, const struct dtn_model *, bool begun_as_images);

/* The timesteps between which there is guidance, unless others are asked for. */
void dtn_guide_usual(int between[2], const struct dtn_schedule_config *);

/* Into metadata as labels and sample.*, where the model has classes. */
void dtn_guide_describe(const struct dtn_guide *, const struct dtn_model *, struct dtn_meta *);
void dtn_guide_release(struct dtn_guide *);

#endif
