/* sample.h -- many images from one model, on every core, in order.
 *
 * Image i is made of the noise of (seed, i) alone, whatever other images are asked for.  Images
 * are made in slices: the whole way of a slice, all steps, is one job of one worker, so workers
 * never wait for each other.  Slices begin at multiples of their size; an image outside of what is
 * wanted is made and dropped.  So an image has the same place in the same slice in every run.
 *
 * On a device with a queue the only worker makes large slices, which begin where it is wanted: what
 * becomes of an image does not depend on the others there.
 */
#ifndef DTN_SAMPLE_H
#define DTN_SAMPLE_H

#include "lib/diffusion/sampler.h"
#include "lib/nn/run.h"
#include "lib/nn/unet.h"

/* What a sampling graph is made of: x [S,H,W,C], t [S], label [S] -> prediction [S,H,W,C]. */
struct dtn_sampling_graph {
	struct dtn_graph graph;
	dtn_id x, t, label, prediction; /* label: -1 where the network has no classes */
	int slice;                      /* S */
	int classes;                    /* label of an image of any */
};

/* type: DTN_F32 or DTN_BF16. */
void dtn_sampling_graph(struct dtn_sampling_graph *, const struct dtn_unet *, int type, int slice);

/* How many images to make at once: on a device with a queue all, up to `most`, that fit; else the
 * network decides. */
int dtn_sampling_slice(const struct dtn_unet *, const struct dtn_backend *, int type, int most);

struct dtn_sampling {
	const struct dtn_sampling_graph *graph;
	struct dtn_net *net;            /* of the graph, with packed weights */
	const struct dtn_sampler *sampler;
	uint64_t seed, first;           /* of the images */
	int n;

	/* x at the sampler's first step [n,H,W,C]; NULL: noise. */
	const float *start;

	/* Of a network with classes: image number i is of class label[i mod labels]; none: of any.
	 * Guidance [Ho & Salimans 2022] goes from what the network says without a class towards,
	 * and beyond 1 past, what it says with it.  Where it is neither 0 nor 1, both are asked at
	 * timesteps guide_at[0] .. guide_at[1], and at others only the latter, as with guidance 1
	 * [Kynkäänniemi et al. 2024]. */
	const int32_t *label;
	int labels;
	double guidance;
	int guide_at[2];
	/* Of each image's way: frame f shows x when after[f] steps are done (struct dtn_frames);
	 * NULL: the image alone, one frame. */
	const int *after;
	int frames;
	bool x0_frames;                 /* frames show what the network takes the image for */
	int type;                       /* of the result: DTN_F32 in [-1,1], or DTN_U8 */
	/* slices that exist at once, being made or waiting for their turn */
	int slots;

	/* Samples in order, image by image, frame by frame: n of them; called by one worker at
	 * a time. */
	void (*emit)(void *arg, const void *samples, size_t n);

	/* Of all questions to the network, `done` are answered; called by one worker at a time.
	 * May be NULL. */
	void (*progress)(void *arg, int64_t done, int64_t all);
	void *arg;

	/* After dtn_sample: how many numbers were none (NaN), and became 0 as bytes. */
	uint64_t strange;
};

void dtn_sample(struct dtn_sampling *);

/* Is the network asked twice in a step?  And with which label, first, for an image? */
bool dtn_sampling_guided(const struct dtn_sampling *, int step);
int32_t dtn_sampling_label(const struct dtn_sampling *, uint64_t image);

#endif
