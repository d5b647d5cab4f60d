/* step.h -- one step of training: slices forward and backward, one update of the weights. */
#ifndef DTN_STEP_H
#define DTN_STEP_H

#include "lib/model.h"
#include "lib/train/batch.h"
#include "lib/train/optim.h"

struct dtn_trainer {
	const struct dtn_settings *settings;
	const struct dtn_data *data;
	struct dtn_split split;
	struct dtn_epoch order;
	struct dtn_schedule schedule;
	struct dtn_graph graph;         /* for one slice */
	dtn_id x, t, label, target, loss;       /* label: -1 without classes */
	struct dtn_net net;
	struct dtn_optim optim;
	int slice, slices, images;      /* images a slice, slices a step, images a step */
	float *weight;                  /* of the loss, by timestep [T] */
	uint32_t *pick;                 /* images of this step [images] */
	double *losses;                 /* weighted, of this step [images] */
	struct dtn_scratch *scratch;    /* per worker */
	struct dtn_counters counters;
	int bad;                        /* steps in a row that were not finite, until now */
};

/* What a step did. */
struct dtn_step { double loss, norm, rate; bool finite; };

/* Declare the network for training; no memory for it yet. */
void dtn_training_graph(struct dtn_graph *, const struct dtn_settings *, int type, dtn_id *x,
			dtn_id *t, dtn_id *label, dtn_id *target, dtn_id *loss);

/* Bytes that training will take with so many workers, the data not counted. */
uint64_t dtn_training_memory(const struct dtn_settings *, int type, int workers);

/* The weights are not set: dtn_trainer_start, or a reader does it before dtn_trainer_ready. */
void dtn_trainer_init(struct dtn_trainer *, const struct dtn_settings *, const struct dtn_data *,
		      const struct dtn_backend *, int type, int workers);
void dtn_trainer_start(struct dtn_trainer *);
void dtn_trainer_ready(struct dtn_trainer *);
void dtn_trainer_release(struct dtn_trainer *);

/* `done`: how far the run is, 0 .. 1, for the decay of the learning rate. */
struct dtn_step dtn_trainer_step(struct dtn_trainer *, double done);

/* Are all weights and averages finite? */
bool dtn_trainer_finite(struct dtn_trainer *);

#endif
