/* data.c -- read sample streams once, fetch their images many times in any order.
 *
 * Images may come with noise (dtn-noise --keep-noise): then every one of them does, and all under
 * one schedule.
 */
#include "lib/train/data.h"

#include "lib/model.h"

#include <stdlib.h>
#include <string.h>

struct dtn_block {
	uint64_t first;                 /* number of its first sample */
	struct dtn_kept part[DTN_KEPT_PARTS];
};

/* --- reading --------------------------------------------------------------------------------- */

/* The images of a record; dies where it holds anything that cannot be trained on. */
static int image_tensor(const struct dtn_data *d, const struct dtn_record *r)
{
	int i = dtn_find_tensor(r, DTN_IMAGE, NULL);
	const struct dtn_tensor *t;

	if (i < 0)
		dtn_reader_die(d->reader, "no images to train on");
	t = &r->tensor[i];
	if (t->type != DTN_U8 || t->rank != 4 || !t->batched)
		dtn_reader_die(d->reader, "tensor \"%s\": training wants u8 images [N,H,W,C]",
			       t->name);
	for (int k = 1; k < 4; k++)
		if (t->dim[k] == 0 || t->dim[k] > 65535)
			dtn_reader_die(d->reader, "cannot train on images of %llux%llux%llu",
				       (unsigned long long)t->dim[2], (unsigned long long)t->dim[1],
				       (unsigned long long)t->dim[3]);
	return i;
}

static bool is_noised(const struct dtn_data *d, const struct dtn_record *r)
{
	return !d->clean && dtn_find_tensor(r, DTN_NOISED, NULL) >= 0;
}

/* The tensor of this role beside noised images; dies where it is missing or no match for them. */
static int beside(const struct dtn_data *d, const struct dtn_record *r, int role, int type,
		  const char *missing)
{
	const struct dtn_tensor *image = &r->tensor[image_tensor(d, r)];
	int i = dtn_find_tensor(r, role, NULL), rank = type == DTN_I32 ? 1 : 4;
	const struct dtn_tensor *t;

	if (i < 0)
		dtn_reader_die(d->reader, "images with noise (dtn-noise), but without %s", missing);
	t = &r->tensor[i];
	if (t->type != type || !t->batched || t->rank != rank ||
	    memcmp(t->dim, image->dim, (size_t)rank * sizeof(t->dim[0])))
		dtn_reader_die(d->reader, "tensor \"%s\" does not match the images", t->name);
	return i;
}

/* Which tensors of the record are the parts, [DTN_KEPT_PARTS]; -1: not there. */
static void find_parts(const struct dtn_data *d, const struct dtn_record *r, int *part,
		       int *timestep)
{
	part[DTN_KEPT_IMAGE] = image_tensor(d, r);
	part[DTN_KEPT_NOISED] = part[DTN_KEPT_NOISE] = *timestep = -1;
	if (!is_noised(d, r))
		return;
	part[DTN_KEPT_NOISED] = beside(d, r, DTN_NOISED, DTN_F32, "x_t");
	part[DTN_KEPT_NOISE] = beside(d, r, DTN_NOISE, DTN_F32, "the noise: --keep-noise keeps it");
	*timestep = beside(d, r, DTN_TIMESTEP, DTN_I32, "timesteps");
}

static void compare(const struct dtn_data *d, const struct dtn_tensor *t)
{
	if ((int)t->dim[1] == d->height && (int)t->dim[2] == d->width &&
	    (int)t->dim[3] == d->colours)
		return;
	dtn_reader_die(d->reader, "incompatible field \"%s\": %dx%dx%d after %dx%dx%d", t->name,
		       (int)t->dim[2], (int)t->dim[1], (int)t->dim[3], d->width, d->height,
		       d->colours);
}

/* Before a record of this segment is kept: is it like those before? */
static void compare_noise(const struct dtn_data *d, const struct dtn_record *r)
{
	struct dtn_schedule_config own;

	if (d->clean)
		return;
	if (d->noised != is_noised(d, r))
		dtn_reader_die(d->reader, d->noised ? "images without noise after some with noise" :
			       "images with noise after some without");
	if (!d->noised)
		return;
	dtn_schedule_from_meta(&own, dtn_reader_meta(d->reader), dtn_reader_name(d->reader));
	if (memcmp(&own, &d->schedule, sizeof(own)) && !dtn_schedule_same(&own, &d->schedule))
		dtn_reader_die(d->reader, "noise of another schedule");
}

static bool next_segment(struct dtn_data *d)
{
	if (!dtn_next_segment(d->reader))
		return false;
	d->segment++;
	if (dtn_meta_get(dtn_reader_meta(d->reader), "sample.frames"))
		dtn_reader_die(d->reader, "frames of dtn-sample --trace; training wants images");
	if (d->segment == 1)
		dtn_meta_copy(&d->meta, dtn_reader_meta(d->reader));
	else
		dtn_meta_agree(&d->meta, dtn_reader_meta(d->reader));
	dtn_known_segment(&d->classes, d->reader);
	dtn_prov_merge(&d->prov, dtn_reader_prov(d->reader));
	return true;
}

/* The next record with images, in this segment or a later one; NULL at the end. */
static const struct dtn_record *next_record(struct dtn_data *d)
{
	for (;;) {
		const struct dtn_record *r = dtn_next_record(d->reader);

		if (r && r->samples > 0)
			return r;
		if (!r && !next_segment(d))
			return NULL;
	}
}

static struct dtn_block *new_block(struct dtn_data *d)
{
	struct dtn_block *b;

	if (d->blocks == d->cap) {
		d->cap = d->cap ? 2 * d->cap : 64;
		d->block = dtn_realloc(d->block, d->cap, sizeof(*d->block));
	}
	b = &d->block[d->blocks++];
	memset(b, 0, sizeof(*b));
	b->first = d->images;
	return b;
}

static void keep_timesteps(struct dtn_data *d, uint32_t samples, int tensor)
{
	int32_t *t;

	d->timestep = dtn_realloc(d->timestep, d->images + samples, sizeof(*d->timestep));
	t = d->timestep + d->images;
	dtn_read_tensor(d->reader, tensor, t);
	for (uint32_t i = 0; i < samples; i++)
		if (t[i] < 0 || t[i] >= d->schedule.steps)
			dtn_reader_die(d->reader, "timestep %d of a schedule of %d steps", t[i],
				       d->schedule.steps);
}

static void keep(struct dtn_data *d, const struct dtn_record *r)
{
	int part[DTN_KEPT_PARTS], timestep, label = dtn_find_tensor(r, DTN_LABEL, NULL);
	struct dtn_block *b;

	find_parts(d, r, part, &timestep);
	compare(d, &r->tensor[part[DTN_KEPT_IMAGE]]);
	compare_noise(d, r);
	if (d->classes.wanted && label < 0)
		dtn_known_missing(d->reader);
	b = new_block(d);
	for (int i = 0; i < r->tensors; i++) {  /* they are read in their order */
		for (int k = 0; k < DTN_KEPT_PARTS; k++)
			if (i == part[k]) {
				d->tensor[k] = r->tensor[i];
				dtn_keep(&d->keep, &b->part[k], d->reader, &r->tensor[i], i);
			}
		if (i == timestep)
			keep_timesteps(d, r->samples, i);
		if (d->classes.wanted && i == label)
			dtn_known_record(&d->classes, d->reader, r, i, d->images);
	}
	d->images += r->samples;
	if (d->images > INT32_MAX)
		dtn_die(DTN_INPUT, "%s: more than %d images", dtn_reader_name(d->reader),
			INT32_MAX);
}

void dtn_data_open(struct dtn_data *d, int operands, char *const *operand, uint64_t max_memory)
{
	const struct dtn_record *r;
	const struct dtn_tensor *t;

	memset(d, 0, sizeof(*d));
	dtn_keep_init(&d->keep, max_memory);
	d->reader = dtn_reader_open(operands, operand, DTN_SAMPLES);
	next_segment(d);
	r = next_record(d);
	if (!r)
		dtn_die(DTN_INPUT, "%s: no images", dtn_reader_name(d->reader));
	t = &r->tensor[image_tensor(d, r)];
	d->height = (int)t->dim[1];
	d->width = (int)t->dim[2];
	d->colours = (int)t->dim[3];
	d->image_bytes = (size_t)t->dim[1] * t->dim[2] * t->dim[3];
	d->first = r;
	d->noised = is_noised(d, r);
	if (d->noised)
		dtn_schedule_from_meta(&d->schedule, dtn_reader_meta(d->reader),
				       dtn_reader_name(d->reader));
}

void dtn_data_classes(struct dtn_data *d, const char *names)
{
	dtn_known_want(&d->classes, d->reader, names);
}

void dtn_data_load(struct dtn_data *d, void (*count)(void *, uint64_t), void *arg)
{
	d->noised &= !d->clean;
	for (const struct dtn_record *r = d->first; r; r = next_record(d)) {
		keep(d, r);
		if (count)
			count(arg, d->images);
	}
	dtn_reader_close(d->reader);
	d->reader = NULL;
	d->first = NULL;
}

void dtn_data_release(struct dtn_data *d)
{
	for (size_t i = 0; i < d->blocks; i++) {
		for (int k = 0; k < DTN_KEPT_PARTS; k++)
			dtn_kept_release(&d->block[i].part[k]);
	}
	free(d->block);
	free(d->timestep);
	dtn_keep_release(&d->keep);
	if (d->reader)
		dtn_reader_close(d->reader);
	dtn_meta_release(&d->meta);
	dtn_prov_release(&d->prov);
	dtn_known_release(&d->classes);
	memset(d, 0, sizeof(*d));
	dtn_keep_init(&d->keep, 0);
}

/* --- fetching -------------------------------------------------------------------------------- */

/* The block that holds an image: the last whose first is not beyond it. */
static const struct dtn_block *find(const struct dtn_data *d, uint64_t image)
{
	size_t low = 0, high = d->blocks;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (d->block[middle].first <= image)
			low = middle;
		else
			high = middle;
	}
	return &d->block[low];
}

const void *dtn_data_part(struct dtn_fetch *f, const struct dtn_data *d, enum dtn_kept_part part,
			  uint64_t image, void *into)
{
	const struct dtn_block *b = find(d, image);
	const struct dtn_tensor *t = &d->tensor[part];
	const size_t bytes = d->image_bytes * dtn_type_size(t->type);

	return dtn_fetch_bytes(f, &d->keep, &b->part[part], t, (image - b->first) * bytes, bytes,
			       into);
}
