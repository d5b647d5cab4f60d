/* queued.h -- the way of a slice from noise to images on a device with a queue. */
#ifndef DTN_DIFFUSION_QUEUED_H
#define DTN_DIFFUSION_QUEUED_H

#include "lib/diffusion/sample.h"

struct dtn_way;

/* NULL where the device has no queue, or what is wanted of each step needs the host. */
struct dtn_way *dtn_way_open(const struct dtn_sampling *);
void dtn_way_close(struct dtn_way *);

/* Begin with images first .. first+S-1: from x [S,H,W,C], or from noise, which x becomes. */
void dtn_way_start(struct dtn_way *, uint64_t first, const float *x);

/* Ask for step i, the next; never more than a few ahead of the device. */
void dtn_way_step(struct dtn_way *, int i);

/* Wait for all steps asked for; x [S,H,W,C] as it is then. */
void dtn_way_get(struct dtn_way *, float *x);

#endif
