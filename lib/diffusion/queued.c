/* queued.c -- the way of a slice from noise to images on a device with a queue.
 *
 * A step is the network and the sampler's arithmetic on x, with coefficients from a table that the
 * device looks up by a counter of its own; so all steps are one recording, played again and again.
 * x and the labels have places outside the arena, where an input lies only until it was read: they
 * are copied there as a step begins, when nothing else is alive in it.
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
	struct dtn_coefficients *table;
	int32_t *step, *label;          /* label [S] */
	int32_t *host;                  /* [S], the host's */
	void *recording;
	int64_t asked;                  /* steps, of all slices */
};

struct dtn_way *dtn_way_open(const struct dtn_sampling *s)
{
	const struct dtn_backend *b = s->net->backend;
	const struct dtn_shape shape = s->graph->graph.node[s->graph->x].shape;
	const int S = s->graph->slice, steps = s->sampler->config.steps;
	struct dtn_coefficients *table;
	struct dtn_way *w;

	if (!b->queue || s->x0_frames || dtn_sampling_guided(s))
		return NULL;
	w = dtn_alloc(1, sizeof(*w));
	*w = (struct dtn_way){
		.sampling = s, .run = &s->net->run[0], .device = b, .queue = b->queue, .S = S,
		.image = dtn_shape_count(shape) / (size_t)S,
		.draw = dtn_device_alloc(b, 2 * sizeof(uint64_t), "images"),
		.x = dtn_device_alloc(b, dtn_shape_count(shape) * sizeof(float), "images"),
		.table = dtn_device_alloc(b, ((size_t)steps + 1) * sizeof(*table), "a table"),
		.step = dtn_device_alloc(b, sizeof(int32_t), "a counter"),
		.label = dtn_device_alloc(b, (size_t)S * sizeof(int32_t), "labels"),
		.host = dtn_alloc((size_t)S, sizeof(int32_t)),
	};
	table = dtn_alloc((size_t)steps + 1, sizeof(*table));
	for (int i = 0; i < steps; i++)
		dtn_sampler_coefficients(s->sampler, i, &table[i]);
	b->put(w->table, table, ((size_t)steps + 1) * sizeof(*table));
	free(table);
	return w;
}

void dtn_way_close(struct dtn_way *w)
{
	w->device->sync();
	if (w->recording)
		w->queue->forget(w->recording);
	w->device->free(w->draw);
	w->device->free(w->x);
	w->device->free(w->table);
	w->device->free(w->step);
	w->device->free(w->label);
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
	for (int k = 0; k < w->S; k++)
		w->host[k] = s->sampler->t[0];
	w->device->put(dtn_value(w->run, s->graph->t), w->host, (size_t)w->S * sizeof(int32_t));
	for (int k = 0; k < w->S; k++)
		w->host[k] = dtn_sampling_label(s, first + (uint64_t)k);
	w->device->put(w->label, w->host, (size_t)w->S * sizeof(int32_t));
	if (x)
		w->device->put(w->x, x, bytes);
	else
		w->queue->start(w->x, w->draw, w->S, w->image);
}

static void ask(struct dtn_way *w)
{
	const struct dtn_sampling_graph *g = w->sampling->graph;
	const struct dtn_step_call call = {
		.x = w->x, .output = dtn_value(w->run, g->prediction),
		.t = dtn_value(w->run, g->t), .table = w->table, .step = w->step, .draw = w->draw,
		.S = w->S, .image = w->image
	};

	w->device->copy(dtn_value(w->run, g->x), w->x, (size_t)w->S * w->image * sizeof(float));
	if (g->label >= 0)
		w->device->copy(dtn_value(w->run, g->label), w->label,
				(size_t)w->S * sizeof(int32_t));
	dtn_forward(w->run);
	w->queue->step(&call);
}

/* The first step is done directly, since kernels may have something to set up. */
void dtn_way_step(struct dtn_way *w)
{
	if (w->asked == 1) {
		w->queue->record();
		ask(w);
		w->recording = w->queue->recorded();
	}
	if (w->asked >= AHEAD)
		w->queue->wait((int)(w->asked % AHEAD));
	if (w->recording)
		w->queue->play(w->recording);
	else
		ask(w);
	w->queue->mark((int)(w->asked % AHEAD));
	w->asked++;
}

void dtn_way_get(struct dtn_way *w, float *x)
{
	w->device->get(x, w->x, (size_t)w->S * w->image * sizeof(float));
}
