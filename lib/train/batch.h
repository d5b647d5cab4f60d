/* batch.h -- which images come next, and what the network is shown of them.
 *
 * Training draws one sequence of samples that never ends: sample p is image order[p mod n] of
 * epoch p / n. Its timestep, noise and flip depend on the seed and on p alone, so nothing depends
 * on the size of slices, on workers, or on where a run was stopped.
 */
#ifndef DTN_BATCH_H
#define DTN_BATCH_H

#include "lib/train/data.h"
#include "lib/train/settings.h"

/* The images of the data that are trained on, and those held back for validation. */
struct dtn_split { uint32_t *train, *held; uint32_t trains, helds; };

/* Hold back this fraction, chosen by the seed; at least one image on each side, unless 0. */
void dtn_split_init(struct dtn_split *, uint64_t images, double fraction, uint64_t seed);
void dtn_split_release(struct dtn_split *);

struct dtn_epoch {
	const struct dtn_split *split;
	uint64_t seed, epoch;
	uint32_t *order;                /* of this epoch */
};

void dtn_epoch_init(struct dtn_epoch *, const struct dtn_split *, uint64_t seed);
void dtn_epoch_release(struct dtn_epoch *);

/* The images of samples first .. first+n-1. */
void dtn_epoch_pick(struct dtn_epoch *, uint64_t first, size_t n, uint32_t *image);

/* Is the sample at this position mirrored? */
bool dtn_mirrored(const struct dtn_settings *, uint64_t position);

/* The class that the sample at this position is shown with: the image's, or none, now and then, so
 * that the network learns images of any class, too [Ho & Salimans 2022]. */
int32_t dtn_class_of(const struct dtn_settings *, const struct dtn_data *, uint32_t image,
		     uint64_t position);

/* What one worker needs to prepare samples. */
struct dtn_loader {
	struct dtn_fetch fetch;
	uint8_t *pixels;
	float *x0, *eps;                /* [H,W,C] */
	float *row;                     /* x_t or eps as it is kept */
};

void dtn_loader_init(struct dtn_loader *, const struct dtn_data *);
void dtn_loader_release(struct dtn_loader *);

/* x0 [H,W,C] in [-1,1] = the image, mirrored if asked. */
void dtn_image(struct dtn_loader *, const struct dtn_data *, uint32_t image, bool mirror);

/* The noise that an image came with: x_t into `xt`, eps, both mirrored if asked; returns t. */
int dtn_pair(struct dtn_loader *, const struct dtn_data *, uint32_t image, bool mirror, float *xt);

#endif
