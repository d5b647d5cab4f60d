/* queued.h -- steps of training on a device with a queue: asked for ahead, reported later. */
#ifndef DTN_QUEUED_H
#define DTN_QUEUED_H

#include "lib/train/step.h"

struct dtn_queued;

/* Of a trainer whose network is there; dtn_queued_ready after every change of weights or counters
 * from outside. */
struct dtn_queued *dtn_queued_open(struct dtn_trainer *);
void dtn_queued_ready(struct dtn_queued *);
void dtn_queued_close(struct dtn_queued *);

/* Prepare a step's images and ask for the step; returns before it is done, but never gets more than
 * two slices ahead. */
void dtn_queued_ask(struct dtn_queued *, double done);

/* Wait for all steps asked for; report[] [DTN_REPORTS] gets what the last `n` of them said. */
void dtn_queued_settle(struct dtn_queued *, struct dtn_step *report, int n);

#endif
