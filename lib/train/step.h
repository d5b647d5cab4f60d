/* step.h -- one step of training: slices forward and backward, one update of the weights. */
#ifndef DTN_STEP_H
#define DTN_STEP_H

#include "lib/model.h"
#include "lib/train/batch.h"
#include "lib/train/graph.h"
#include "lib/train/optim.h"

/* What a step did. */
struct dtn_step { double loss, norm, rate; bool finite; };

struct dtn_trainer {
	const struct dtn_settings *settings;
	const struct dtn_data *data;
	struct dtn_split split;
	struct dtn_epoch order;
	struct dtn_schedule schedule;
	struct dtn_training_graph graph;        /* for one slice */
	struct dtn_net net;
	struct dtn_optim optim;
	int slice, slices, images;      /* images a slice, slices a step, images a step */
	float *weight;                  /* of the loss, by timestep [T] */
	uint32_t *pick;                 /* images of this step [images] */
	double *losses;                 /* weighted, of this step [images] */
	struct dtn_loader *loader;     /* per worker */
	struct dtn_counters counters;   /* of the steps that dtn_trainer_next told of */
	int bad;                        /* steps in a row that were not finite, until then */
	int ahead;                      /* steps that were asked for since */
	int told, taken;                /* of report[]: those that are there, those taken */
	struct dtn_step report[DTN_REPORTS];
	struct dtn_queued *queued;      /* NULL where the device has no queue */
	struct dtn_weights mirror;      /* the host's, where the device has memory of its own */
};

/* The weights are not set: dtn_trainer_start, or a reader does it before dtn_trainer_ready. */
void dtn_trainer_init(struct dtn_trainer *, const struct dtn_settings *, const struct dtn_data *,
		      const struct dtn_backend *, int type, int workers);
void dtn_trainer_start(struct dtn_trainer *);
void dtn_trainer_ready(struct dtn_trainer *);
void dtn_trainer_release(struct dtn_trainer *);

/* Ask for a step, at most DTN_REPORTS of them; wait until all asked for are done; take the next
 * report, all of them before another step is asked for.  Without a queue a step is done when it is
 * asked for.  `done`: how far the run is, 0 .. 1, for the decay of the learning rate. */
void dtn_trainer_ask(struct dtn_trainer *, double done);
void dtn_trainer_settle(struct dtn_trainer *);
bool dtn_trainer_next(struct dtn_trainer *, struct dtn_step *);

/* All three. */
struct dtn_step dtn_trainer_step(struct dtn_trainer *, double done);

/* Arrays of the host: for weights to come, which dtn_trainer_put then gives to the device; and with
 * those that the device has, m and v only if `whole`.  No steps may be ahead. */
struct dtn_weights dtn_trainer_room(struct dtn_trainer *);
void dtn_trainer_put(struct dtn_trainer *);
struct dtn_weights dtn_trainer_get(struct dtn_trainer *, bool whole);

/* Are all weights and averages finite? */
bool dtn_trainer_finite(struct dtn_trainer *);

#endif
