/* queued.c -- steps of training on a device with a queue: asked for ahead, reported later.
 *
 * For each slice the host sends one block: numbers of the samples and their pixels, or where
 * images come with noise, the network's inputs as the host makes them of it.  Everything else is
 * done by the device, and as its calls never change, they are recorded:
 *
 *      first    noise, forward, tally, backward        gradients are stored
 *      other    the same for a later slice             gradients are added
 *      update   norm, report, Adam, average, packed weights
 *
 * The first time each is done directly, since kernels may have something to set up.  Two blocks of
 * the host take turns: one is filled while the device reads the other.
 */
#include "lib/train/queued.h"

#include "lib/diffusion/noise.h"
#include "lib/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TURNS = 2, KINDS = 3 };
enum kind { FIRST, OTHER, UPDATE };

struct order {                          /* the beginning of a block */
	uint64_t draw[2];               /* seed, position of the slice's first sample */
	double rate;                    /* of learning, without warm-up */
	char rest[40];
};

struct dtn_queued {
	struct dtn_trainer *trainer;
	const struct dtn_backend *device;
	const struct dtn_queue *queue;
	char *block[TURNS], *on_device; /* order, samples [S], pixels [S,H,W,C] */
	size_t samples_at, pixels_at, bytes;
	size_t x_at, target_at, t_at, label_at; /* with noise: [S,H,W,C] twice, [S] twice */
	struct dtn_state *state;        /* the device's */
	void *layout;
	double *partial;
	void *recording[KINDS];
	bool known[KINDS];              /* was it done once? */
	int turn;
	bool turned[TURNS];             /* is there a mark to wait for? */
};

/* --- memory ---------------------------------------------------------------------------------- */

static size_t round64(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

static void measure(struct dtn_queued *z)
{
	size_t S = (size_t)z->trainer->slice, image = z->trainer->data->image_bytes;

	z->samples_at = sizeof(struct order);
	z->pixels_at = round64(z->samples_at + S * sizeof(struct dtn_sample));
	z->bytes = z->pixels_at + S * image;
	if (!z->trainer->data->noised)
		return;
	z->x_at = z->pixels_at;
	z->target_at = z->x_at + round64(S * image * sizeof(float));
	z->t_at = z->target_at + round64(S * image * sizeof(float));
	z->label_at = z->t_at + round64(S * sizeof(int32_t));
	z->bytes = z->label_at + S * sizeof(int32_t);
}

struct dtn_queued *dtn_queued_open(struct dtn_trainer *r)
{
	struct dtn_queued *z = dtn_alloc(1, sizeof(*z));
	const struct dtn_backend *b = r->net.backend;
	size_t partials = b->queue->partials(r->graph.graph.params);

	z->trainer = r;
	z->device = b;
	z->queue = b->queue;
	measure(z);
	for (int i = 0; i < TURNS; i++) {
		z->block[i] = z->queue->pin(z->bytes);
		if (!z->block[i])
			dtn_die(DTN_ENV, "out of memory: %zu bytes wanted for images", z->bytes);
		memset(z->block[i], 0, z->bytes);
	}
	z->on_device = dtn_device_alloc(b, z->bytes, "images");
	z->state = dtn_device_alloc(b, sizeof(*z->state), "losses");
	z->partial = dtn_device_alloc(b, partials * sizeof(double), "sums");
	z->layout = dtn_net_layout(&r->net);
	r->net.run[0].draw = (const uint64_t *)z->on_device;
	return z;
}

void dtn_queued_ready(struct dtn_queued *z)
{
	const struct dtn_counters *c = &z->trainer->counters;
	struct dtn_state state = { .steps = c->step, .updates = c->step - c->skipped };

	z->device->put(z->state, &state, sizeof(state));
}

void dtn_queued_close(struct dtn_queued *z)
{
	z->device->sync();
	for (int i = 0; i < KINDS; i++)
		if (z->recording[i])
			z->queue->forget(z->recording[i]);
	for (int i = 0; i < TURNS; i++)
		z->queue->unpin(z->block[i]);
	z->device->free(z->on_device);
	z->device->free(z->state);
	z->device->free(z->partial);
	z->device->free(z->layout);
	free(z);
}

/* --- what is recorded ------------------------------------------------------------------------ */

static const struct dtn_sample *samples(const struct dtn_queued *z)
{
	return (const struct dtn_sample *)(z->on_device + z->samples_at);
}

static void ask_slice(struct dtn_queued *z, bool first)
{
	struct dtn_trainer *r = z->trainer;
	struct dtn_run *run = &r->net.run[0];
	const struct dtn_noise_call noise = {
		.draw = (const uint64_t *)z->on_device,
		.pixels = (const uint8_t *)z->on_device + z->pixels_at, .sample = samples(z),
		.x = dtn_value(run, r->graph.x), .target = dtn_value(run, r->graph.target),
		.t = dtn_value(run, r->graph.t),
		.label = r->graph.label < 0 ? NULL : dtn_value(run, r->graph.label), .S = r->slice,
		.H = r->data->height, .W = r->data->width, .C = r->data->colours,
		.predict = (int)r->settings->predict, .purpose = DTN_RNG_NOISE
	};
	const struct dtn_tally_call tally = {
		.state = z->state, .loss = dtn_value(run, r->graph.loss),
		.dloss = dtn_gradient(run, r->graph.loss), .sample = samples(z), .S = r->slice,
		.first = first
	};

	if (!r->data->noised)
		z->queue->noise(&noise);
	dtn_forward(run);
	z->queue->tally(&tally);
	dtn_backward(run, first ? 0 : 1);
}

static void ask_update(struct dtn_queued *z)
{
	struct dtn_trainer *r = z->trainer;
	const struct dtn_settings *s = r->settings;
	struct dtn_update_call call = {
		.state = z->state, .rate = (const double *)(z->on_device + 2 * sizeof(uint64_t)),
		.clip = s->clip, .ema = s->ema, .warmup = s->warmup, .images = r->images,
		.layout = z->layout, .packed = r->net.packed, .partial = z->partial
	};

	dtn_optim_describe(&r->optim, &call.adam);
	call.beta1 = s->betas[0];
	call.beta2 = s->betas[1];
	z->queue->update(&call);
}

static void ask(struct dtn_queued *z, enum kind kind)
{
	bool record = z->known[kind] && !z->recording[kind];

	if (!z->recording[kind]) {
		if (record)
			z->queue->record();
		if (kind == UPDATE)
			ask_update(z);
		else
			ask_slice(z, kind == FIRST);
		if (record)
			z->recording[kind] = z->queue->recorded();
	}
	if (z->recording[kind])
		z->queue->play(z->recording[kind]);
	z->known[kind] = true;
}

/* --- a step ---------------------------------------------------------------------------------- */

/* The image's own x_t, target and t; returns t. */
static int fill_pair(struct dtn_queued *z, char *block, int j, uint32_t image, bool mirror)
{
	struct dtn_trainer *r = z->trainer;
	struct dtn_loader *loader = &r->loader[0];
	size_t n = r->data->image_bytes;
	int t;

	dtn_image(loader, r->data, image, mirror);
	t = dtn_pair(loader, r->data, image, mirror, (float *)(block + z->x_at) + (size_t)j * n);
	dtn_target(&r->schedule, t, r->settings->predict,
		   (float *)(block + z->target_at) + (size_t)j * n, loader->x0, loader->eps, n);
	((int32_t *)(block + z->t_at))[j] = t;
	return t;
}

static int fill_pixels(struct dtn_queued *z, char *block, int j, uint32_t image, uint64_t position)
{
	struct dtn_trainer *r = z->trainer;
	size_t n = r->data->image_bytes;
	uint8_t *pixels = (uint8_t *)block + z->pixels_at + (size_t)j * n;
	const uint8_t *from = dtn_data_part(&r->loader[0].fetch, r->data, DTN_KEPT_IMAGE, image,
					    pixels);

	if (from != pixels)
		memcpy(pixels, from, n);
	return dtn_timestep_of(r->settings->seed, position, r->settings->schedule.steps);
}

/* Sample `position`, of this image, as number j of the block. */
static void fill(struct dtn_queued *z, char *block, int j, uint32_t image, uint64_t position)
{
	struct dtn_trainer *r = z->trainer;
	struct dtn_sample *sample = (struct dtn_sample *)(block + z->samples_at) + j;
	bool mirror = dtn_mirrored(r->settings, position);
	int t = r->data->noised ? fill_pair(z, block, j, image, mirror) :
				  fill_pixels(z, block, j, image, position);
	double ab = dtn_alpha_bar(&r->schedule, t);

	*sample = (struct dtn_sample){
		.position = position, .image = (float)sqrt(ab), .noise = (float)sqrt(1 - ab),
		.weight = r->weight[t], .gradient = r->weight[t] / (float)r->images, .t = t,
		.mirror = mirror
	};
	if (r->graph.label >= 0)
		sample->label = dtn_class_of(r->settings, r->data, image, position);
	if (r->data->noised)
		((int32_t *)(block + z->label_at))[j] = sample->label;
}

static void fill_empty(struct dtn_queued *z, char *block, int j)
{
	size_t n = z->trainer->data->image_bytes * sizeof(float), at = (size_t)j * n;

	((struct dtn_sample *)(block + z->samples_at))[j] = (struct dtn_sample){ .empty = 1 };
	if (!z->trainer->data->noised)
		return;
	memset(block + z->x_at + at, 0, n);
	memset(block + z->target_at + at, 0, n);
	((int32_t *)(block + z->t_at))[j] = 0;
	((int32_t *)(block + z->label_at))[j] = 0;
}

/* What queue->noise would have written. */
static void send_inputs(struct dtn_queued *z, const char *block)
{
	struct dtn_trainer *r = z->trainer;
	struct dtn_run *run = &r->net.run[0];
	const struct dtn_training_graph *g = &r->graph;
	size_t S = (size_t)r->slice, numbers = S * r->data->image_bytes * sizeof(float);

	z->queue->send(dtn_value(run, g->x), block + z->x_at, numbers);
	z->queue->send(dtn_value(run, g->target), block + z->target_at, numbers);
	z->queue->send(dtn_value(run, g->t), block + z->t_at, S * sizeof(int32_t));
	if (g->label >= 0)
		z->queue->send(dtn_value(run, g->label), block + z->label_at, S * sizeof(int32_t));
}

static void send_slice(struct dtn_queued *z, int slice, uint64_t drawn, double rate)
{
	struct dtn_trainer *r = z->trainer;
	int first = slice * r->slice, turn = z->turn;
	char *block = z->block[turn];
	struct order *order = (struct order *)block;

	if (z->turned[turn])
		z->queue->wait(turn);
	order->draw[0] = r->settings->seed;
	order->draw[1] = drawn + (uint64_t)first;
	order->rate = rate;
	for (int j = 0; j < r->slice; j++)
		if (first + j < r->images)
			fill(z, block, j, r->pick[first + j], drawn + (uint64_t)(first + j));
		else
			fill_empty(z, block, j);
	if (r->data->noised) {
		z->queue->send(z->on_device, block, z->pixels_at);
		send_inputs(z, block);
	} else {
		z->queue->send(z->on_device, block, z->bytes);
	}
	z->queue->mark(turn);
	z->turned[turn] = true;
	z->turn = (turn + 1) % TURNS;
}

void dtn_queued_ask(struct dtn_queued *z, double done)
{
	struct dtn_trainer *r = z->trainer;
	uint64_t drawn = (uint64_t)(r->counters.sample + (int64_t)r->ahead * r->images);
	double rate = dtn_rate(r->settings, -1, done);

	dtn_epoch_pick(&r->order, drawn, (size_t)r->images, r->pick);
	for (int slice = 0; slice < r->slices; slice++) {
		send_slice(z, slice, drawn, rate);
		ask(z, slice == 0 ? FIRST : OTHER);
	}
	ask(z, UPDATE);
}

void dtn_queued_settle(struct dtn_queued *z, struct dtn_step *report, int n)
{
	struct dtn_state state;

	z->device->get(&state, z->state, sizeof(state));
	for (int i = 0; i < n; i++) {
		const struct dtn_report *from =
			&state.report[(state.steps - n + i) % DTN_REPORTS];

		report[i] = (struct dtn_step){
			from->loss, from->norm, from->rate, from->finite != 0
		};
	}
}
