/* frames.h -- at which moments on its way from noise an image is shown. */
#ifndef DTN_FRAMES_H
#define DTN_FRAMES_H

#include "lib/diffusion/sampler.h"
#include "lib/options.h"

struct dtn_frames {
	int n;                          /* of each image; 1: the image alone */
	int *after;                     /* [n]: of the sampler's steps so many are done; none is
					 * less than the one before, the last is all */
	const char *at;                 /* the timesteps that were asked for; NULL: none were */
};

/* n frames, evenly spaced: the first shows the noise, the last the image. */
void dtn_frames_even(struct dtn_frames *, int n, const struct dtn_sampler *);

/* One at each timestep of the option's list, and the image.  Usage error where they do not fall, or
 * where the sampler takes no step at one. */
void dtn_frames_at(struct dtn_frames *, const struct dtn_args *, const struct dtn_sampler *);

/* Into metadata as sample.*, where there are several. */
void dtn_frames_describe(const struct dtn_frames *, bool x0, struct dtn_meta *);
void dtn_frames_release(struct dtn_frames *);

#endif
