/* guide.h -- of which classes images are made, and how much of them. */
#ifndef DTN_GUIDE_H
#define DTN_GUIDE_H

#include "lib/model.h"

struct dtn_guide {
	const char *class;              /* --class; NULL: not given */
	double guidance;                /* --guidance; -1: not given */
	/* once chosen */
	int32_t *label;                 /* image i is of class label[i mod labels] */
	int labels;                     /* 0: of none */
};

/* All classes in turn, unless some are named or the images begin as other images, which might be of
 * any.  Usage error where the model has not learned what is wanted. */
void dtn_guide_choose(struct dtn_guide *, const struct dtn_model *, bool begun_as_images);

/* Into metadata as labels and sample.*, where the model has classes. */
void dtn_guide_describe(const struct dtn_guide *, const struct dtn_model *, struct dtn_meta *);
void dtn_guide_release(struct dtn_guide *);

#endif
