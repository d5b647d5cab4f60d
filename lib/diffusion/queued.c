/* queued.c -- the way of a slice from noise to images on a device with a queue.
 *
 * A step is the network and the sampler's arithmetic on x, with coefficients from a table that the
 * device looks up by a counter of its own; so all steps are one recording, played again and again,
 * or two where only some of them have guidance.
 * x, t and the labels have places outside the arena, where an input lies only until it was read:
 * they are copied there whenever the network is asked, when nothing else is alive in it.  Guidance
 * asks it twice; what it says with the classes waits outside, too.
 */
#include "lib/diffusion/queued.h"

#include <stdlib.h>

enum { AHEAD = 4 };                     /* steps that the device may lag behind */

struct dtn_way {
	const struct dtn_sampling *sampling;
	struct dtn_run *run;
	const struct dtn_backend *device;
	const struct dtn_queue *queue;
	int S;
	size_t image;
	/* the device's */
	uint64_t *draw;                 /* seed, number of the first image */
	float *x;                       /* [S,H,W,C] */
	float *with;                    /* [S,H,W,C], guided: the prediction with classes */
	float *x0_before;               /* [S,H,W,C], DTN_DPM: x_0 of the last step */
	struct dtn_coefficients *table;
	int32_t *step, *t, *label;      /* t, label [S] */
	int32_t *none;                  /* [S], guided: labels of images of any class */
	int32_t *host;                  /* [S], the host's */
	int64_t asked;                  /* steps, of all slices */
	/* of steps without and with guidance */
	bool begun[2];
	void *recording[2];
};

static void fill(struct dtn_way *w, int32_t *to, int32_t value)
{
	for (int k = 0; k < w->S; k++)
		w->host[k] = value;
	w->device->put(to, w->host, (size_t)w->S * sizeof(*w->host));
}

static bool ever_guided(const struct dtn_sampling *s)
{
	for (int i = 0; i < s->sampler->config.steps; i++)
		if (dtn_sampling_guided(s, i))
			return true;
	return false;
}

struct dtn_way *dtn_way_open(const struct dtn_sampling *s)
{
	const struct dtn_backend *b = s->net->backend;
	const struct dtn_shape shape = s->graph->graph.node[s->graph->x].shape;
	const int S = s->graph->slice, steps = s->sampler->config.steps;
	const size_t bytes = dtn_shape_count(shape) * sizeof(float),
		     per_image = (size_t)S * sizeof(int32_t);
	struct dtn_coefficients *table;
	struct dtn_way *w;

	if (!b->queue || s->x0_frames)
		return NULL;
	w = dtn_alloc(1, sizeof(*w));
	*w = (struct dtn_way){
		.sampling = s, .run = &s->net->run[0], .device = b, .queue = b->queue, .S = S,
		.image = dtn_shape_count(shape) / (size_t)S,
		.draw = dtn_device_alloc(b, 2 * sizeof(uint64_t), "images"),
		.x = dtn_device_alloc(b, bytes, "images"),
		.table = dtn_device_alloc(b, ((size_t)steps + 1) * sizeof(*table), "a table"),
		.step = dtn_device_alloc(b, sizeof(int32_t), "a counter"),
		.t = dtn_device_alloc(b, per_image, "timesteps"),
		.label = dtn_device_alloc(b, per_image, "labels"),
		.host = dtn_alloc((size_t)S, sizeof(int32_t)),
	};
	table = dtn_alloc((size_t)steps + 1, sizeof(*table));
	for (int i = 0; i < steps; i++)
		dtn_sampler_coefficients(s->sampler, i, &table[i]);
	b->put(w->table, table, ((size_t)steps + 1) * sizeof(*table));
	free(table);
	if (ever_guided(s)) {
		w->with = dtn_device_alloc(b, bytes, "images");
		w->none = dtn_device_alloc(b, per_image, "labels");
		fill(w, w->none, s->graph->classes);
	}
	if (s->sampler->config.kind == DTN_DPM)
		w->x0_before = dtn_device_alloc(b, bytes, "images");
	return w;
}

void dtn_way_close(struct dtn_way *w)
{
	w->device->sync();
	for (int k = 0; k < 2; k++)
		if (w->recording[k])
			w->queue->forget(w->recording[k]);
	w->device->free(w->draw);
	w->device->free(w->x);
	w->device->free(w->table);
	w->device->free(w->step);
	w->device->free(w->t);
	w->device->free(w->label);
	if (w->with) {
		w->device->free(w->with);
		w->device->free(w->none);
	}
	if (w->x0_before)
		w->device->free(w->x0_before);
	free(w->host);
	free(w);
}

void dtn_way_start(struct dtn_way *w, uint64_t first, const float *x)
{
	const struct dtn_sampling *s = w->sampling;
	const uint64_t draw[2] = { s->seed, first };
	const size_t bytes = (size_t)w->S * w->image * sizeof(float);
	const int32_t zero = 0;

	w->device->put(w->draw, draw, sizeof(draw));
	w->device->put(w->step, &zero, sizeof(zero));
	fill(w, w->t, s->sampler->t[0]);
	for (int k = 0; k < w->S; k++)
		w->host[k] = dtn_sampling_label(s, first + (uint64_t)k);
	w->device->put(w->label, w->host, (size_t)w->S * sizeof(int32_t));
	if (x)
		w->device->put(w->x, x, bytes);
	else
		w->queue->start(w->x, w->draw, w->S, w->image);
}

static void ask(struct dtn_way *w, const int32_t *label)
{
	const struct dtn_sampling_graph *g = w->sampling->graph;
	const size_t per_image = (size_t)w->S * sizeof(int32_t);

	w->device->copy(dtn_value(w->run, g->x), w->x, (size_t)w->S * w->image * sizeof(float));
	w->device->copy(dtn_value(w->run, g->t), w->t, per_image);
	if (g->label >= 0)
		w->device->copy(dtn_value(w->run, g->label), label, per_image);
	dtn_forward(w->run);
}

static void step(struct dtn_way *w, bool guided)
{
	float *output = dtn_value(w->run, w->sampling->graph->prediction);
	const struct dtn_step_call call = {
		.x = w->x, .output = output, .with = guided ? w->with : NULL,
		.guidance = (float)w->sampling->guidance, .x0_before = w->x0_before, .t = w->t,
		.table = w->table, .step = w->step, .draw = w->draw, .S = w->S, .image = w->image
	};

	ask(w, w->label);
	if (guided) {
		w->device->copy(w->with, output, (size_t)w->S * w->image * sizeof(float));
		ask(w, w->none);
	}
	w->queue->step(&call);
}

/* The first of its kind is done directly, since kernels may have something to set up. */
void dtn_way_step(struct dtn_way *w, int i)
{
	const bool guided = dtn_sampling_guided(w->sampling, i);
	void **recording = &w->recording[guided];

	if (w->begun[guided] && !*recording) {
		w->queue->record();
		step(w, guided);
		*recording = w->queue->recorded();
	}
	if (w->asked >= AHEAD)
		w->queue->wait((int)(w->asked % AHEAD));
	if (*recording)
		w->queue->play(*recording);
	else
		step(w, guided);
	w->queue->mark((int)(w->asked % AHEAD));
	w->begun[guided] = true;
	w->asked++;
}

void dtn_way_get(struct dtn_way *w, float *x)
{
	w->device->get(x, w->x, (size_t)w->S * w->image * sizeof(float));
}
