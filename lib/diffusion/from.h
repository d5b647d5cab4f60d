/* from.h -- what sampling begins with, where a stream says it: noise, images with noise, images. */
#ifndef DTN_FROM_H
#define DTN_FROM_H

#include "lib/diffusion/sampler.h"
#include "lib/model.h"

enum dtn_from_kind {
	DTN_FROM_NOISE,                 /* dtn-noise --pure */
	DTN_FROM_NOISED,                /* dtn-noise -t T */
	DTN_FROM_IMAGES
};

struct dtn_from {
	enum dtn_from_kind kind;
	int n;
	int t;                          /* of images with noise */
	float *x;                       /* [n,H,W,C] */
	size_t image;                   /* numbers of one */
};

/* Samples number first .. first+n-1 of a stream; n < 0: all from `first` on.  Dies with status 3
 * where they are none that the model could go on from. */
void dtn_from_read(struct dtn_from *, const char *path, const struct dtn_model *, uint64_t first,
		   int n);
void dtn_from_release(struct dtn_from *);

/* Let the sampler begin where they are.  Images get the noise of (seed, number) first, so much that
 * the last `strength`, 0 .. 1, of the sampler's steps take it away again. */
void dtn_from_begin(struct dtn_from *, struct dtn_sampler *, double strength, uint64_t seed,
		    uint64_t first);

/* Into metadata as sample.*, where they are images. */
void dtn_from_describe(const struct dtn_from *, double strength, struct dtn_meta *);

#endif
