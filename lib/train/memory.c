/* memory.c -- will it fit, into memory and into time?  Asked before hours of training. */
#include "lib/train/memory.h"

#include "lib/machine.h"
#include "lib/nn/plan.h"
#include "lib/nn/run.h"
#include "lib/train/graph.h"

/* Of the middle block: 256x256 has 4096 with three levels. */
enum { MOST_POSITIONS = 8192 };

/* --- of a network ---------------------------------------------------------------------------- */

/* Weights, gradients, two moments, the average. */
enum { ARRAYS = 5 };

/* What can be said without a device: activations of one worker, and weights, packed twice. */
static uint64_t planned(const struct dtn_settings *s, int type, int slice)
{
	struct dtn_training_graph g;
	uint64_t bytes;

	dtn_training_graph(&g, s, type, slice);
	bytes = dtn_plan(&g.graph, g.loss, true) + (ARRAYS + 2) * g.graph.params * sizeof(float);
	dtn_graph_release(&g.graph);
	return bytes;
}

struct dtn_memory_use dtn_memory_use(const struct dtn_settings *s, const struct dtn_backend *b,
				     int type, int slice, bool training)
{
	struct dtn_training_graph g;
	struct dtn_net_bytes net;
	uint64_t params;

	dtn_training_graph(&g, s, type, slice);
	net = dtn_net_measure(&g.graph, g.loss, training, b);
	params = g.graph.params * sizeof(float);
	dtn_graph_release(&g.graph);
	return (struct dtn_memory_use){ net.packed + (training ? ARRAYS * params : 0), net.worker };
}

/* --- will it fit? ---------------------------------------------------------------------------- */

static _Noreturn void too_large(const struct dtn_settings *s, uint64_t wanted, uint64_t have)
{
	const double GiB = 1 << 30;

	dtn_die(DTN_INPUT,
		"training on images of %dx%dx%d wants %.1f GiB of memory, "
		"but there are %.1f: make them smaller (dtn-load -s) or the network",
		s->unet.width, s->unet.height, s->unet.colours, (double)wanted / GiB,
		(double)have / GiB);
}

void dtn_fit_attention(const struct dtn_unet *u)
{
	int h = dtn_unet_padded(u, u->height) >> (u->levels - 1);
	int w = dtn_unet_padded(u, u->width) >> (u->levels - 1);

	if (h * w > MOST_POSITIONS)
		dtn_die(DTN_INPUT,
			"images of %dx%dx%d are too large to train on with %d levels, which leave "
			"%dx%d positions to attend to each other: make them smaller (dtn-load -s) "
			"or give --mult more levels", u->width, u->height, u->colours, u->levels,
			w, h);
}

/* Of a device's memory a part is kept for what is not counted: scratch, validation, the code. */
static uint64_t queue_memory(const struct dtn_backend *b)
{
	return (uint64_t)b->queue->memory() / 10 * 8;
}

int dtn_fit_slice(const struct dtn_settings *s, const struct dtn_backend *b, int type)
{
	uint64_t have;

	if (!b->queue)
		return dtn_unet_slice(&s->unet);
	have = queue_memory(b);
	for (int parts = 1; parts <= s->batch; parts++) {
		int slice = (s->batch + parts - 1) / parts;

		if (slice <= DTN_MOST_IMAGES && planned(s, type, slice) <= have)
			return slice;
	}
	too_large(s, planned(s, type, 1), have);
}

int dtn_fit_memory(const struct dtn_settings *s, const struct dtn_backend *b, int type, int workers,
		   int askers, uint64_t *left)
{
	uint64_t have = dtn_memory(), wanted;
	int fit = workers, slice = dtn_unet_slice(&s->unet);
	struct dtn_memory_use all, asking;

	*left = have;
	if (b->queue)
		return 1;
	wanted = planned(s, type, slice);
	if (wanted > have)              /* before kernels are opened for sizes beyond all reason */
		too_large(s, wanted, have);
	all = dtn_memory_use(s, b, type, slice, true);
	if (askers > 0) {
		asking = dtn_memory_use(s, b, type, slice, false);
		all.once += (uint64_t)askers * asking.once;
		all.each += (uint64_t)askers * asking.each;
	}
	while (fit > 1 && all.once + (uint64_t)fit * all.each > have)
		fit--;
	wanted = all.once + (uint64_t)fit * all.each;
	if (wanted > have)
		too_large(s, wanted, have);
	if (fit < workers)
		dtn_warn("memory suffices for %d of %d threads only", fit, workers);
	*left = have - wanted;
	return fit;
}
