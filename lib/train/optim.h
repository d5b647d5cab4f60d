/* optim.h -- from gradients to weights: clipping, Adam, moving average. */
#ifndef DTN_OPTIM_H
#define DTN_OPTIM_H

#include "lib/nn/run.h"
#include "lib/train/settings.h"

struct dtn_optim {
	struct dtn_net *net;
	const struct dtn_settings *settings;
	float *m, *v, *ema;             /* [graph->params] */
	double *partial;                /* sums of squares, one a block */
};

/* Moments at zero; the average is set by the caller, or by dtn_optim_start to the weights. */
void dtn_optim_init(struct dtn_optim *, struct dtn_net *, const struct dtn_settings *);
void dtn_optim_start(struct dtn_optim *);
void dtn_optim_release(struct dtn_optim *);

/* The learning rate of update number `update` (from 0; negative: without warm-up); `done` is how
 * far the run is, 0 .. 1. */
double dtn_rate(const struct dtn_settings *, int64_t update, double done);

/* What is kept of the average at update number `update`: less at first, so that it looks back over
 * about a tenth of the training, however long that is, until the setting is reached. */
double dtn_ema_decay(const struct dtn_settings *, int64_t update);

/* Euclidean length of the gradient, added up in f64 in a fixed order; or of any array as long. */
double dtn_optim_norm(struct dtn_optim *, const float *);

/* The arrays and what never changes of every update's call. */
void dtn_optim_describe(const struct dtn_optim *, struct dtn_adam_call *);

/* One update of weights, moments and average; the weights packed anew.  `norm`: the gradient's. */
void dtn_optim_update(struct dtn_optim *, int64_t update, double rate, double norm);

#endif
