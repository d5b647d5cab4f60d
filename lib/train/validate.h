/* validate.h -- the loss on images not trained on, with the same timesteps and noise each time. */
#ifndef DTN_VALIDATE_H
#define DTN_VALIDATE_H

#include "lib/train/step.h"

enum { DTN_BINS = 10 };

struct dtn_validation {
	double loss;                    /* mean over all evaluations */
	double bin[DTN_BINS];           /* mean of a part of 0 .. T-1; NaN: no evaluation there */
};

struct dtn_validator {
	const struct dtn_trainer *trainer;
	const struct dtn_data *data;
	const uint32_t *image;          /* numbers of the images; NULL: all */
	uint32_t images;
	int evaluations, slice;
	struct dtn_training_graph graph;
	struct dtn_net net;             /* has the averaged weights */
	double *losses;                 /* [evaluations] */
	struct dtn_loader *loader;     /* per worker */
};

/* On the trainer's held back images, or on all of `other`, if not NULL. */
void dtn_validator_init(struct dtn_validator *, const struct dtn_trainer *,
			const struct dtn_data *other);
void dtn_validator_release(struct dtn_validator *);

struct dtn_validation dtn_validate(struct dtn_validator *);

#endif
