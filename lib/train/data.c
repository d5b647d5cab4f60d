/* data.c -- read sample streams once, fetch their images many times in any order.
 *
 * A record is either kept as its pixels or, when those would exceed the limit, as the compressed
 * chunks it came in, which are checked once and appended to the spool as they are. A chunk is
 * larger than most images, so a spooled image costs the decoding of the others beside it; the
 * order of the images never depends on where they are kept.
 */
#include "lib/train/data.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct piece {                          /* one chunk in the spool */
	uint64_t at;
	uint32_t stored, raw;
	int codec, filter;
};

struct dtn_block {
	uint64_t first;                 /* number of its first image */
	uint8_t *pixels;                /* NULL: spooled */
	struct piece *piece;
	int pieces;
};

/* --- the spool ------------------------------------------------------------------------------- */

static const char *folder(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp && *tmp ? tmp : "/tmp";
}

/* A file without a name: it vanishes with the program, however that ends. */
static int open_spool(void)
{
	char *name = dtn_format("%s/dtn-train.XXXXXX", folder());
	int fd = open(folder(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	if (fd < 0) {
		fd = mkostemp(name, O_CLOEXEC);
		if (fd < 0)
			dtn_die(DTN_ENV, "%s:", name);
		unlink(name);
	}
	free(name);
	return fd;
}

static void append(struct dtn_data *d, const char *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = pwrite(d->spool, data, bytes, (off_t)d->spooled);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			dtn_die(DTN_ENV, "spool file in %s:", folder());
		data += n;
		bytes -= (size_t)n;
		d->spooled += (uint64_t)n;
	}
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Keep the record's images as chunks, decoded once to find damage before training. */
static void spool(struct dtn_data *d, struct dtn_block *b, int tensor)
{
	struct dtn_chunk chunk;
	char *raw = NULL;
	size_t room = 0;

	if (d->spool < 0)
		d->spool = open_spool();
	while (dtn_read_chunk(d->reader, tensor, &chunk)) {
		if (chunk.raw > room)
			raw = dtn_realloc(raw, room = chunk.raw, 1);
		dtn_decode_chunk(dtn_reader_name(d->reader), &d->tensor, &chunk, raw);
		b->piece = dtn_realloc(b->piece, (size_t)b->pieces + 1, sizeof(*b->piece));
		b->piece[b->pieces++] = (struct piece){
			d->spooled, chunk.stored, chunk.raw, chunk.codec, chunk.filter
		};
		append(d, chunk.data, chunk.stored);
		d->largest_raw = larger(d->largest_raw, chunk.raw);
		d->largest_stored = larger(d->largest_stored, chunk.stored);
	}
	free(raw);
}

static void fetch_piece(struct dtn_fetch *f, const struct dtn_data *d, const struct piece *p)
{
	struct dtn_chunk chunk = { p->codec, p->filter, p->raw, p->stored, f->stored };

	if (f->at == p->at)
		return;
	for (size_t have = 0; have < p->stored;) {
		ssize_t n = pread(d->spool, f->stored + have, p->stored - have,
				  (off_t)(p->at + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			dtn_die(DTN_ENV, "spool file in %s:", folder());
		have += (size_t)n;
	}
	dtn_decode_chunk("spool file", &d->tensor, &chunk, f->raw);
	f->at = p->at;
}

/* --- reading --------------------------------------------------------------------------------- */

/* The images of a record; dies where it holds anything that cannot be trained on. */
static int image_tensor(const struct dtn_data *d, const struct dtn_record *r)
{
	int i = dtn_find_tensor(r, DTN_IMAGE, NULL);
	const struct dtn_tensor *t;

	if (dtn_find_tensor(r, DTN_NOISED, NULL) >= 0)
		dtn_reader_die(d->reader,
			       "images with noise (dtn-noise); training wants them clean");
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

static void compare(const struct dtn_data *d, const struct dtn_tensor *t)
{
	if ((int)t->dim[1] == d->height && (int)t->dim[2] == d->width &&
	    (int)t->dim[3] == d->colours)
		return;
	dtn_reader_die(d->reader, "segment %d: incompatible field \"%s\": %dx%dx%d after %dx%dx%d",
		       d->segment, t->name, (int)t->dim[2], (int)t->dim[1], (int)t->dim[3],
		       d->width, d->height, d->colours);
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

static void keep(struct dtn_data *d, const struct dtn_record *r)
{
	int i = image_tensor(d, r);
	uint64_t bytes = r->tensor[i].bytes, samples = r->samples;
	struct dtn_block *b;

	compare(d, &r->tensor[i]);
	b = new_block(d);
	if (bytes <= d->max_memory - d->memory) {
		b->pixels = dtn_realloc(NULL, bytes, 1);
		dtn_read_tensor(d->reader, i, b->pixels);
		d->memory += bytes;
	} else {
		spool(d, b, i);
	}
	d->images += samples;
	if (d->images > INT32_MAX)
		dtn_die(DTN_INPUT, "%s: more than %d images", dtn_reader_name(d->reader),
			INT32_MAX);
}

void dtn_data_open(struct dtn_data *d, int operands, char *const *operand, uint64_t max_memory,
		   int threads)
{
	const struct dtn_record *r;
	const struct dtn_tensor *t;

	memset(d, 0, sizeof(*d));
	d->spool = -1;
	d->max_memory = max_memory;
	d->reader = dtn_reader_open(operands, operand, DTN_SAMPLES);
	dtn_reader_threads(d->reader, threads);
	next_segment(d);
	r = next_record(d);
	if (!r)
		dtn_die(DTN_INPUT, "%s: no images", dtn_reader_name(d->reader));
	t = &r->tensor[image_tensor(d, r)];
	d->height = (int)t->dim[1];
	d->width = (int)t->dim[2];
	d->colours = (int)t->dim[3];
	d->image_bytes = (size_t)t->dim[1] * t->dim[2] * t->dim[3];
	d->tensor = *t;
	d->first = r;
}

void dtn_data_load(struct dtn_data *d, void (*count)(void *, uint64_t), void *arg)
{
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
		free(d->block[i].pixels);
		free(d->block[i].piece);
	}
	free(d->block);
	if (d->spool >= 0)
		close(d->spool);
	if (d->reader)
		dtn_reader_close(d->reader);
	dtn_meta_release(&d->meta);
	dtn_prov_release(&d->prov);
	memset(d, 0, sizeof(*d));
	d->spool = -1;
}

/* --- fetching -------------------------------------------------------------------------------- */

void dtn_fetch_init(struct dtn_fetch *f, const struct dtn_data *d)
{
	f->at = UINT64_MAX;
	f->stored = dtn_alloc(d->largest_stored, 1);
	f->raw = dtn_alloc(d->largest_raw, 1);
}

void dtn_fetch_release(struct dtn_fetch *f)
{
	free(f->stored);
	free(f->raw);
}

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

const uint8_t *dtn_fetch_image(struct dtn_fetch *f, const struct dtn_data *d, uint64_t image,
			       uint8_t *into)
{
	const struct dtn_block *b = find(d, image);
	uint64_t begin = (image - b->first) * d->image_bytes, end = begin + d->image_bytes, at = 0;

	if (b->pixels)
		return b->pixels + begin;
	/* An image may begin in one chunk and end in another. */
	for (int i = 0; i < b->pieces && at < end; at += b->piece[i++].raw) {
		const struct piece *p = &b->piece[i];
		uint64_t from = begin > at ? begin : at, to = end < at + p->raw ? end : at + p->raw;

		if (from >= to)
			continue;
		fetch_piece(f, d, p);
		memcpy(into + (from - begin), f->raw + (from - at), to - from);
	}
	return into;
}
