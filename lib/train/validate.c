/* validate.c -- the loss on images that are not trained on.
 *
 * An evaluation is an image, a timestep and noise; which ones depends on its number and the seed,
 * so two results differ only by the weights. Few images are used several times, of many only the
 * first ones.
 */
#include "lib/train/validate.h"

#include "lib/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FEWEST = 256, MOST = 2048 };     /* evaluations */

void dtn_validator_init(struct dtn_validator *v, const struct dtn_trainer *r,
			const struct dtn_data *other)
{
	const struct dtn_settings *s = r->settings;

	memset(v, 0, sizeof(*v));
	v->trainer = r;
	v->data = other ? other : r->data;
	v->image = other ? NULL : r->split.held;
	v->images = other ? (uint32_t)other->images : r->split.helds;
	v->evaluations = v->images > MOST ? MOST : (int)v->images;
	while (v->evaluations < FEWEST)
		v->evaluations += (int)v->images;
	v->slice = r->slice;
	dtn_training_graph(&v->graph, s, r->graph.graph.type, v->slice);
	dtn_net_init(&v->net, &v->graph.graph, v->graph.loss, false, r->net.backend, r->net.workers,
		     r->optim.ema);
	v->losses = dtn_alloc((size_t)v->evaluations, sizeof(double));
	v->loader = dtn_alloc((size_t)r->net.workers, sizeof(*v->loader));
	for (int w = 0; w < r->net.workers; w++)
		dtn_loader_init(&v->loader[w], v->data);
}

void dtn_validator_release(struct dtn_validator *v)
{
	for (int w = 0; w < v->net.workers; w++)
		dtn_loader_release(&v->loader[w]);
	free(v->loader);
	free(v->losses);
	dtn_net_release(&v->net);
	dtn_graph_release(&v->graph.graph);
}

/* The timestep of evaluation i: multiples of the golden ratio's fraction cover 0 .. T-1 evenly,
 * however many of them there are. */
static int timestep(const struct dtn_validator *v, int i)
{
	double u = ((double)i + 0.5) * 0.61803398874989485;

	return (int)((u - floor(u)) * v->trainer->settings->schedule.steps);
}

/* No label is hidden here. */
static int32_t class_of(const struct dtn_validator *v, uint32_t image)
{
	int32_t label = v->data->classes.label[image];

	return label == DTN_NO_CLASS ? v->trainer->settings->unet.classes : label;
}

static void prepare(const struct dtn_validator *v, struct dtn_run *run, int j, int i)
{
	const struct dtn_trainer *r = v->trainer;
	struct dtn_loader *loader = &v->loader[run->worker];
	size_t n = v->data->image_bytes, at = (size_t)j * n;
	uint64_t seed = r->settings->seed;
	uint32_t number = (uint32_t)i % v->images, image = v->image ? v->image[number] : number;
	float *x = (float *)dtn_stage(run, v->graph.x) + at;
	float *target = (float *)dtn_stage(run, v->graph.target) + at;
	int t = timestep(v, i);

	dtn_image(loader, v->data, image, false);
	dtn_rng_normal(dtn_rng(seed, DTN_RNG_VALIDATION, (uint64_t)i, 0), loader->eps, n);
	dtn_add_noise(&r->schedule, t, x, loader->x0, loader->eps, n);
	dtn_target(&r->schedule, t, r->settings->predict, target, loader->x0, loader->eps, n);
	((int32_t *)dtn_stage(run, v->graph.t))[j] = t;
	if (v->graph.label >= 0)
		((int32_t *)dtn_stage(run, v->graph.label))[j] = class_of(v, image);
}

static void slice_job(void *arg, struct dtn_run *run, int slice)
{
	struct dtn_validator *v = arg;
	int first = slice * v->slice;
	const float *loss;

	/* A last slice that is not full repeats its last evaluation. */
	for (int j = 0; j < v->slice; j++)
		prepare(v, run, j, first + j < v->evaluations ? first + j : v->evaluations - 1);
	dtn_send(run, v->graph.x);
	dtn_send(run, v->graph.target);
	dtn_send(run, v->graph.t);
	if (v->graph.label >= 0)
		dtn_send(run, v->graph.label);
	dtn_forward(run);
	loss = dtn_fetch(run, v->graph.loss);
	for (int j = 0; j < v->slice && first + j < v->evaluations; j++)
		v->losses[first + j] = (double)loss[j] * v->trainer->weight[timestep(v, first + j)];
}

struct dtn_validation dtn_validate(struct dtn_validator *v)
{
	struct dtn_validation result = { 0 };
	int T = v->trainer->settings->schedule.steps, count[DTN_BINS] = { 0 };

	dtn_net_pack(&v->net);
	dtn_net_each(&v->net, (v->evaluations + v->slice - 1) / v->slice, slice_job, v);
	for (int i = 0; i < v->evaluations; i++) {
		int bin = (int)((int64_t)timestep(v, i) * DTN_BINS / T);

		result.loss += v->losses[i];
		result.bin[bin] += v->losses[i];
		count[bin]++;
	}
	result.loss /= v->evaluations;
	for (int b = 0; b < DTN_BINS; b++)
		result.bin[b] = count[b] ? result.bin[b] / count[b] : (double)NAN;
	return result;
}
