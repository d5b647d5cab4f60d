/* tests/diffusion/small.h -- what tests of sampling need: a small network with its schedule and
 * weights, and a place for the samples. */
#ifndef DTN_TESTS_SMALL_H
#define DTN_TESTS_SMALL_H

#include "lib/diffusion/sample.h"
#include "lib/rng.h"
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>

enum { Image = 5 * 6 * 2, Steps = 7 };

static struct dtn_sampling_graph graph;
static struct dtn_schedule schedule;
static float *weights;

/* A network with so many classes, 0: none, and weights of this standard deviation. */
static inline void make_network(int classes, float deviation)
{
	const struct dtn_unet unet = {
		.height = 5, .width = 6, .colours = 2, .channels = 8, .levels = 2,
		.mult = { 1, 2 }, .blocks = 1, .heads = 1, .groups = 4, .classes = classes
	};
	const struct dtn_schedule_config config = { .steps = 50 };

	dtn_schedule_init(&schedule, &config);
	dtn_sampling_graph(&graph, &unet, DTN_F32, dtn_unet_slice(&unet));
	weights = dtn_alloc(graph.graph.params, sizeof(*weights));
	dtn_rng_normal(dtn_rng(1, DTN_RNG_INIT, 0, 0), weights, graph.graph.params);
	for (size_t i = 0; i < graph.graph.params; i++)
		weights[i] *= deviation;
}

/* Samples, one after the other, of `bytes` each. */
struct collected { char *data; size_t n, bytes; };

static inline void collect(void *arg, const void *samples, size_t n)
{
	struct collected *c = arg;

	memcpy(c->data + c->n * c->bytes, samples, n * c->bytes);
	c->n += n;
}

#endif
