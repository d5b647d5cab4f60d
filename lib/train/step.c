/* step.c -- one step of training [Ho et al. 2020, alg. 1].
 *
 * The batch, and with --accum several of them, is cut into slices of a size that the network alone
 * decides. A last slice that is not full is filled with empty images, whose loss has no gradient.
 */
#include "lib/train/step.h"

#include "lib/diffusion/noise.h"
#include "lib/train/memory.h"
#include "lib/train/queued.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void dtn_trainer_init(struct dtn_trainer *r, const struct dtn_settings *s,
		      const struct dtn_data *data, const struct dtn_backend *backend, int type,
		      int workers)
{
	memset(r, 0, sizeof(*r));
	r->settings = s;
	r->data = data;
	dtn_split_init(&r->split, data->images, s->held_back, s->seed);
	dtn_epoch_init(&r->order, &r->split, s->seed);
	dtn_schedule_init(&r->schedule, &s->schedule);
	r->slice = dtn_fit_slice(s, backend, type);
	dtn_training_graph(&r->graph, s, type, r->slice);
	dtn_net_init(&r->net, &r->graph.graph, r->graph.loss, true, backend, workers, NULL);
	dtn_optim_init(&r->optim, &r->net, s);
	r->images = s->batch * s->accum;
	r->slices = (r->images + r->slice - 1) / r->slice;
	r->weight = dtn_alloc((size_t)s->schedule.steps, sizeof(float));
	for (int t = 0; t < s->schedule.steps; t++)
		r->weight[t] = (float)dtn_loss_weight(&r->schedule, s->weight, s->predict, t);
	r->pick = dtn_alloc((size_t)r->images, sizeof(*r->pick));
	r->losses = dtn_alloc((size_t)r->images, sizeof(*r->losses));
	r->loader = dtn_alloc((size_t)workers, sizeof(*r->loader));
	for (int w = 0; w < workers; w++)
		dtn_loader_init(&r->loader[w], data);
	if (backend->queue)
		r->queued = dtn_queued_open(r);
}

void dtn_trainer_start(struct dtn_trainer *r)
{
	dtn_net_initialise(&r->net, r->settings->seed);
	dtn_optim_start(&r->optim);
	dtn_trainer_ready(r);
}

void dtn_trainer_ready(struct dtn_trainer *r)
{
	dtn_net_pack(&r->net);
	if (r->queued)
		dtn_queued_ready(r->queued);
}

void dtn_trainer_release(struct dtn_trainer *r)
{
	if (r->queued)
		dtn_queued_close(r->queued);
	free(r->mirror.param);
	for (int w = 0; w < r->net.workers; w++)
		dtn_loader_release(&r->loader[w]);
	free(r->loader);
	free(r->losses);
	free(r->pick);
	free(r->weight);
	dtn_optim_release(&r->optim);
	dtn_net_release(&r->net);
	dtn_graph_release(&r->graph.graph);
	dtn_schedule_release(&r->schedule);
	dtn_epoch_release(&r->order);
	dtn_split_release(&r->split);
}

/* --- a slice --------------------------------------------------------------------------------- */

/* Sample `position` as image j of the run's slice. */
static int prepare(const struct dtn_trainer *r, struct dtn_run *run, int j, uint32_t image,
		   uint64_t position)
{
	const struct dtn_training_graph *g = &r->graph;
	struct dtn_loader *loader = &r->loader[run->worker];
	uint64_t seed = r->settings->seed;
	size_t n = r->data->image_bytes, at = (size_t)j * n;
	float *xt = (float *)dtn_value(run, g->x) + at;
	float *target = (float *)dtn_value(run, g->target) + at;
	bool mirror = dtn_mirrored(r->settings, position);
	int T = r->settings->schedule.steps, t;

	dtn_image(loader, r->data, image, mirror);
	if (r->data->noised) {
		t = dtn_pair(loader, r->data, image, mirror, xt);
	} else {
		t = dtn_timestep_of(seed, position, T);
		dtn_noise_of(seed, position, loader->eps, n);
		dtn_add_noise(&r->schedule, t, xt, loader->x0, loader->eps, n);
	}
	dtn_target(&r->schedule, t, r->settings->predict, target, loader->x0, loader->eps, n);
	((int32_t *)dtn_value(run, g->t))[j] = t;
	if (g->label >= 0)
		((int32_t *)dtn_value(run, g->label))[j] =
			dtn_class_of(r->settings, r->data, image, position);
	return t;
}

static void fill(const struct dtn_trainer *r, struct dtn_run *run, int j)
{
	size_t n = r->data->image_bytes, at = (size_t)j * n;

	memset((float *)dtn_value(run, r->graph.x) + at, 0, n * sizeof(float));
	memset((float *)dtn_value(run, r->graph.target) + at, 0, n * sizeof(float));
	((int32_t *)dtn_value(run, r->graph.t))[j] = 0;
	if (r->graph.label >= 0)
		((int32_t *)dtn_value(run, r->graph.label))[j] = 0;
}

static void slice_job(void *arg, struct dtn_run *run, int slice)
{
	struct dtn_trainer *r = arg;
	uint64_t drawn = (uint64_t)r->counters.sample;
	int first = slice * r->slice, left = r->images - first;
	int n = left < r->slice ? left : r->slice;
	double *losses = r->losses + first;     /* at first the weights of the losses */
	float *gradient;
	const float *loss;

	run->seed = r->settings->seed;
	run->index = drawn + (uint64_t)first;
	for (int j = 0; j < n; j++) {
		uint64_t position = drawn + (uint64_t)(first + j);

		losses[j] = r->weight[prepare(r, run, j, r->pick[first + j], position)];
	}
	for (int j = n; j < r->slice; j++)
		fill(r, run, j);
	dtn_forward(run);
	loss = dtn_value(run, r->graph.loss);
	gradient = dtn_gradient(run, r->graph.loss);
	for (int j = 0; j < n; j++) {
		float weight = (float)losses[j];

		losses[j] *= loss[j];
		gradient[j] = weight / (float)r->images;
	}
	for (int j = n; j < r->slice; j++)
		gradient[j] = 0;
	dtn_backward(run, slice);
}

/* --- a step ---------------------------------------------------------------------------------- */

/* Without a queue. */
static struct dtn_step make_step(struct dtn_trainer *r, double done)
{
	const struct dtn_counters *c = &r->counters;
	int64_t update = c->step - c->skipped;
	struct dtn_step s = { .rate = dtn_rate(r->settings, update, done) };

	dtn_epoch_pick(&r->order, (uint64_t)c->sample, (size_t)r->images, r->pick);
	dtn_net_each(&r->net, r->slices, slice_job, r);
	for (int i = 0; i < r->images; i++)
		s.loss += r->losses[i];
	s.loss /= r->images;
	s.norm = dtn_optim_norm(&r->optim, r->net.grad);
	s.finite = isfinite(s.loss) && isfinite(s.norm);
	if (s.finite)
		dtn_optim_update(&r->optim, update, s.rate, s.norm);
	return s;
}

void dtn_trainer_ask(struct dtn_trainer *r, double done)
{
	if (r->queued)
		dtn_queued_ask(r->queued, done);
	else
		r->report[r->told++] = make_step(r, done);
	r->ahead++;
}

void dtn_trainer_settle(struct dtn_trainer *r)
{
	if (r->queued && r->ahead > 0)
		dtn_queued_settle(r->queued, r->report, r->ahead);
	r->told = r->ahead;
}

bool dtn_trainer_next(struct dtn_trainer *r, struct dtn_step *s)
{
	struct dtn_counters *c = &r->counters;

	if (r->taken == r->told)
		return false;
	*s = r->report[r->taken++];
	s->loss = fabs(s->loss);        /* the sign of a NaN says nothing */
	s->norm = fabs(s->norm);
	if (r->taken == r->told)
		r->taken = r->told = 0;
	r->ahead--;
	c->step++;
	c->sample += r->images;
	c->skipped += !s->finite;
	r->bad = s->finite ? 0 : r->bad + 1;
	return true;
}

struct dtn_step dtn_trainer_step(struct dtn_trainer *r, double done)
{
	struct dtn_step s;

	dtn_trainer_ask(r, done);
	dtn_trainer_settle(r);
	dtn_trainer_next(r, &s);
	return s;
}

bool dtn_trainer_finite(struct dtn_trainer *r)
{
	return isfinite(dtn_optim_norm(&r->optim, r->net.param)) &&
	       isfinite(dtn_optim_norm(&r->optim, r->optim.ema));
}
