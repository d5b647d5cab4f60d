/* batch.c -- which images come next, and their pixels as numbers. */
#include "lib/train/batch.h"

#include "lib/image/tone.h"
#include "lib/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The epoch whose order chooses what is held back: no run gets there. */
static const uint64_t NO_EPOCH = UINT64_MAX;

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void dtn_split_init(struct dtn_split *s, uint64_t images, double fraction, uint64_t seed)
{
	uint32_t n = (uint32_t)images, held = (uint32_t)floor(fraction * (double)n);

	if (fraction > 0 && held == 0)
		held = 1;
	if (held >= n)
		held = n - 1;
	s->held = dtn_alloc(n, sizeof(uint32_t));
	s->train = dtn_alloc(n, sizeof(uint32_t));
	if (held > 0)
		dtn_rng_order(dtn_rng(seed, DTN_RNG_ORDER, NO_EPOCH, 0), s->held, n);
	else
		for (uint32_t i = 0; i < n; i++)
			s->held[i] = i;
	s->helds = held;
	s->trains = n - held;
	memcpy(s->train, s->held + held, s->trains * sizeof(uint32_t));
	qsort(s->held, s->helds, sizeof(uint32_t), ascending);
	qsort(s->train, s->trains, sizeof(uint32_t), ascending);
}

void dtn_split_release(struct dtn_split *s)
{
	free(s->held);
	free(s->train);
}

void dtn_epoch_init(struct dtn_epoch *o, const struct dtn_split *split, uint64_t seed)
{
	o->split = split;
	o->seed = seed;
	o->epoch = NO_EPOCH;
	o->order = dtn_alloc(split->trains, sizeof(uint32_t));
}

void dtn_epoch_release(struct dtn_epoch *o)
{
	free(o->order);
}

void dtn_epoch_pick(struct dtn_epoch *o, uint64_t first, size_t n, uint32_t *image)
{
	uint32_t trains = o->split->trains;

	for (size_t i = 0; i < n; i++) {
		uint64_t epoch = (first + i) / trains;

		if (epoch != o->epoch) {
			dtn_rng_order(dtn_rng(o->seed, DTN_RNG_ORDER, epoch, 0), o->order, trains);
			o->epoch = epoch;
		}
		image[i] = o->split->train[o->order[(first + i) % trains]];
	}
}

bool dtn_mirrored(const struct dtn_settings *s, uint64_t position)
{
	return s->flip && dtn_rng_below(dtn_rng(s->seed, DTN_RNG_FLIP, position, 0), 0, 2);
}

int32_t dtn_class_of(const struct dtn_settings *s, const struct dtn_data *d, uint32_t image,
		     uint64_t position)
{
	int32_t label = d->classes.label[image];
	float u;

	dtn_rng_uniform(dtn_rng(s->seed, DTN_RNG_LABEL, position, 0), &u, 1);
	return label == DTN_NO_CLASS || (double)u <= s->label_dropout ? s->unet.classes : label;
}

void dtn_loader_init(struct dtn_loader *s, const struct dtn_data *d)
{
	dtn_fetch_start(&s->fetch, &d->keep);
	s->pixels = dtn_alloc(d->image_bytes, 1);
	s->x0 = dtn_alloc(d->image_bytes, sizeof(float));
	s->eps = dtn_alloc(d->image_bytes, sizeof(float));
	s->row = dtn_alloc(d->noised ? d->image_bytes : 0, sizeof(float));
}

void dtn_loader_release(struct dtn_loader *s)
{
	dtn_fetch_release(&s->fetch);
	free(s->pixels);
	free(s->x0);
	free(s->eps);
	free(s->row);
}

void dtn_image(struct dtn_loader *s, const struct dtn_data *d, uint32_t image, bool mirror)
{
	const uint8_t *p = dtn_data_part(&s->fetch, d, DTN_KEPT_IMAGE, image, s->pixels);
	int H = d->height, W = d->width, C = d->colours;
	float *x0 = s->x0;

	if (!mirror) {
		for (size_t i = 0; i < d->image_bytes; i++)
			x0[i] = dtn_tone(p[i]);
		return;
	}
	for (int y = 0; y < H; y++, p += (size_t)W * C)
		for (int x = W - 1; x >= 0; x--)
			for (int c = 0; c < C; c++)
				*x0++ = dtn_tone(p[(size_t)x * C + c]);
}

/* A part of floats, [H,W,C]. */
static void get_floats(struct dtn_loader *s, const struct dtn_data *d, enum dtn_kept_part part,
		       uint32_t image, bool mirror, float *to)
{
	const float *from = dtn_data_part(&s->fetch, d, part, image, s->row);
	const size_t W = (size_t)d->width, C = (size_t)d->colours;

	if (!mirror) {
		memcpy(to, from, d->image_bytes * sizeof(*to));
		return;
	}
	for (int y = 0; y < d->height; y++, from += W * C)
		for (size_t x = W; x-- > 0; to += C)
			memcpy(to, from + x * C, C * sizeof(*to));
}

int dtn_pair(struct dtn_loader *s, const struct dtn_data *d, uint32_t image, bool mirror,
	     float *xt)
{
	get_floats(s, d, DTN_KEPT_NOISED, image, mirror, xt);
	get_floats(s, d, DTN_KEPT_NOISE, image, mirror, s->eps);
	return d->timestep[image];
}
