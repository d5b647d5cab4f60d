/* from.c -- what sampling begins with, where a stream says it.
 *
 * Image number i of a run begins with sample i of the stream, so that --first splits a job here,
 * too.
 * A record that has images with noise beside the images themselves, as dtn-noise writes them, means
 * those with noise.
 */
#include "lib/diffusion/from.h"

#include "lib/image/tone.h"
#include "lib/rng.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	struct dtn_from *from;
	struct dtn_reader *r;
	const struct dtn_model *model;
	uint64_t first, end;            /* numbers of the samples that are wanted */
	uint64_t at;                    /* of the record's first */
	size_t room;                    /* images */
	bool begun;
};

static const char *const kind_name[] = { "noise", "images with noise", "images" };

/* --- what a segment and a record say ------------------------------------------------------ */

static void check_segment(const struct reading *x)
{
	const struct dtn_meta *meta = dtn_reader_meta(x->r);
	struct dtn_schedule_config theirs;

	if (dtn_meta_get(meta, "sample.frames"))
		dtn_reader_die(x->r, "frames of dtn-sample --trace; --from wants images or noise");
	if (!dtn_meta_get(meta, "noise.seed") || !dtn_meta_get(meta, "ddpm.steps"))
		return;
	dtn_schedule_from_meta(&theirs, meta, dtn_reader_name(x->r));
	if (!dtn_schedule_same(&theirs, &x->model->schedule))
		dtn_reader_die(x->r, "the noise is of another schedule than the model's");
}

static int find_kind(const struct reading *x, const struct dtn_record *r, enum dtn_from_kind *kind)
{
	static const int role[] = { DTN_NOISED, DTN_NOISE, DTN_IMAGE, DTN_SAMPLE };
	static const enum dtn_from_kind kinds[] = {
		DTN_FROM_NOISED, DTN_FROM_NOISE, DTN_FROM_IMAGES, DTN_FROM_IMAGES
	};

	for (size_t k = 0; k < sizeof(role) / sizeof(role[0]); k++) {
		int i = dtn_find_tensor(r, role[k], NULL);

		*kind = kinds[k];
		if (i >= 0)
			return i;
	}
	dtn_reader_die(x->r, "no images and no noise to begin with");
}

static void check_tensor(const struct reading *x, const struct dtn_tensor *t)
{
	const struct dtn_unet *u = &x->model->unet;
	bool bytes = t->type == DTN_U8 && x->from->kind == DTN_FROM_IMAGES;

	if ((t->type != DTN_F32 && !bytes) || t->rank != 4 || !t->batched)
		dtn_reader_die(x->r, "tensor \"%s\": --from wants f32 [N,H,W,C], or u8 images",
			       t->name);
	if (t->dim[1] != (uint64_t)u->height || t->dim[2] != (uint64_t)u->width ||
	    t->dim[3] != (uint64_t)u->colours)
		dtn_reader_die(x->r, "%s of %llux%llux%llu, but the model makes images of %dx%dx%d",
			       kind_name[x->from->kind], (unsigned long long)t->dim[2],
			       (unsigned long long)t->dim[1], (unsigned long long)t->dim[3],
			       u->width, u->height, u->colours);
}

/* One step for all, or the sampler would have to begin at several at once. */
static void read_timesteps(struct reading *x, const struct dtn_record *r)
{
	int i = dtn_find_tensor(r, DTN_TIMESTEP, NULL), T = x->model->schedule.steps;
	const int32_t *t;

	if (i < 0 || r->tensor[i].type != DTN_I32 || r->tensor[i].rank != 1 ||
	    !r->tensor[i].batched)
		dtn_reader_die(x->r, "images with noise, but no timesteps i32 [N]");
	t = dtn_read_tensor(x->r, i, NULL);
	for (uint32_t k = 0; k < r->samples; k++) {
		if (t[k] < 0 || t[k] >= T)
			dtn_reader_die(x->r, "timestep %d: the model has 0 to %d", t[k], T - 1);
		if (!x->begun && k == 0)
			x->from->t = t[k];
		if (t[k] != x->from->t)
			dtn_reader_die(x->r, "timesteps %d and %d: --from wants images of one",
				       x->from->t, t[k]);
	}
}

/* --- its numbers ------------------------------------------------------------------------------ */

static void keep(struct reading *x, const struct dtn_tensor *t, const char *data, uint64_t skip,
		 uint64_t n)
{
	struct dtn_from *f = x->from;
	const size_t count = (size_t)n * f->image;
	float *to;

	if ((uint64_t)f->n + n > INT_MAX)
		dtn_reader_die(x->r, "more than %d images", INT_MAX);
	if ((size_t)f->n + n > x->room) {
		x->room = 2 * x->room > (size_t)f->n + n ? 2 * x->room : (size_t)f->n + n;
		f->x = dtn_realloc(f->x, x->room, f->image * sizeof(float));
	}
	to = f->x + (size_t)f->n * f->image;
	if (t->type == DTN_U8)
		for (size_t k = 0; k < count; k++)
			to[k] = dtn_tone(((const uint8_t *)data)[skip * f->image + k]);
	else
		memcpy(to, (const float *)data + skip * f->image, count * sizeof(*to));
	for (size_t k = 0; k < count; k++)
		if (!isfinite(to[k]))
			dtn_reader_die(x->r, "tensor \"%s\" is not finite", t->name);
	f->n += (int)n;
}

static void take(struct reading *x, const struct dtn_record *r)
{
	const uint64_t from = x->at > x->first ? x->at : x->first,
		       after = x->at + r->samples, to = after < x->end ? after : x->end;
	enum dtn_from_kind kind;
	int i = find_kind(x, r, &kind), time = dtn_find_tensor(r, DTN_TIMESTEP, NULL);

	if (x->begun && kind != x->from->kind)
		dtn_reader_die(x->r, "%s after %s", kind_name[kind], kind_name[x->from->kind]);
	x->from->kind = kind;
	check_tensor(x, &r->tensor[i]);
	if (kind == DTN_FROM_NOISED && time < i)
		read_timesteps(x, r);
	if (from < to)
		keep(x, &r->tensor[i], dtn_read_tensor(x->r, i, NULL), from - x->at, to - from);
	if (kind == DTN_FROM_NOISED && time > i)
		read_timesteps(x, r);
	x->begun = true;
	x->at = after;
}

void dtn_from_read(struct dtn_from *f, const char *path, const struct dtn_model *m, uint64_t first,
		   int n)
{
	char *operand = (char *)path;
	struct reading x = { .from = f, .model = m, .first = first,
			     .end = n < 0 ? UINT64_MAX : first + (uint64_t)n };
	const struct dtn_record *r;

	memset(f, 0, sizeof(*f));
	f->image = (size_t)m->unet.height * (size_t)m->unet.width * (size_t)m->unet.colours;
	x.r = dtn_reader_open(1, &operand, DTN_SAMPLES);
	while (dtn_next_segment(x.r)) {
		check_segment(&x);
		while ((r = dtn_next_record(x.r)))
			if (r->samples > 0)
				take(&x, r);
	}
	if (f->n == 0 || f->n < n)
		dtn_die(DTN_INPUT, "%s: %llu samples, which are not enough to begin with",
			dtn_reader_name(x.r), (unsigned long long)x.at);
	dtn_reader_close(x.r);
}

void dtn_from_release(struct dtn_from *f)
{
	free(f->x);
	memset(f, 0, sizeof(*f));
}

/* --- where to begin --------------------------------------------------------------------------- */

void dtn_from_begin(struct dtn_from *f, struct dtn_sampler *s, double strength, uint64_t seed,
		    uint64_t first)
{
	const int S = s->config.steps;
	int steps = (int)rint(strength * S);
	float *eps;

	if (f->kind == DTN_FROM_NOISE)
		return;
	if (f->kind == DTN_FROM_IMAGES)
		f->t = s->t[S - (steps < 1 ? 1 : steps)];
	dtn_sampler_begin_at(s, f->t);
	if (f->kind == DTN_FROM_NOISED)
		return;
	eps = dtn_alloc(f->image, sizeof(*eps));
	for (int i = 0; i < f->n; i++) {
		float *x = f->x + (size_t)i * f->image;

		dtn_rng_normal(dtn_rng(seed, DTN_RNG_START, first + (uint64_t)i, 0), eps, f->image);
		dtn_add_noise(s->schedule, f->t, x, x, eps, f->image);
	}
	free(eps);
}

void dtn_from_describe(const struct dtn_from *f, double strength, struct dtn_meta *meta)
{
	if (f->kind == DTN_FROM_NOISED)
		dtn_meta_set(meta, "sample.from", "%d", f->t);
	else if (f->kind == DTN_FROM_IMAGES)
		dtn_meta_set(meta, "sample.strength", "%.9g", strength);
}
