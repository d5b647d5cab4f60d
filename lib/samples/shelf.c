/* shelf.c -- all samples of a stream put aside, to be written in another order or in two parts.
 *
 * Where the samples lie in a file, reading them one by one in random order would be slow on most
 * disks.  As many as fit into memory are written at a time, and read in the order of the file.
 */
#include "lib/samples/shelf.h"

#include <stdlib.h>
#include <string.h>

enum { RECORD_BYTES = 4 << 20, RECORD_SAMPLES = 1 << 20 };

void dtn_shelf_init(struct dtn_shelf *s, uint64_t memory)
{
	memset(s, 0, sizeof(*s));
	dtn_spool_init(&s->spool, memory);
}

void dtn_shelf_release(struct dtn_shelf *s)
{
	for (size_t i = 0; i < s->n; i++)
		dtn_held_release(&s->held[i]);
	free(s->held);
	free(s->first);
	dtn_spool_release(&s->spool);
	memset(s, 0, sizeof(*s));
}

void dtn_shelf_add(struct dtn_shelf *s, const struct dtn_held *h, const struct dtn_spool *from,
		   const struct dtn_fields *f, const struct dtn_part *part, bool plain)
{
	if (part->samples == 0)
		return;
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 64;
		s->held = dtn_realloc(s->held, s->cap, sizeof(*s->held));
		s->first = dtn_realloc(s->first, s->cap, sizeof(*s->first));
	}
	s->first[s->n] = s->samples;
	dtn_held_move(&s->held[s->n++], &s->spool, h, from, f, part, plain);
	s->samples += part->samples;
}

/* --- in order ----------------------------------------------------------------------------- */

/* Of the samples of one held record, from .. to-1. */
static void write_range(const struct dtn_held *h, const struct dtn_shelf *s,
			const struct dtn_fields *f, uint64_t from, uint64_t to, bool encode,
			struct dtn_writer *out, uint32_t chunk_size)
{
	struct dtn_part part = { .samples = (uint32_t)(to - from), .encode = encode };
	uint8_t *keep = NULL;

	if (part.samples < h->samples) {
		keep = dtn_alloc(h->samples, 1);
		memset(keep + from, true, part.samples);
	}
	part.keep = keep;
	dtn_held_write(h, &s->spool, f, &part, out, chunk_size);
	free(keep);
}

void dtn_shelf_write(const struct dtn_shelf *s, const struct dtn_fields *f, uint64_t from,
		     uint64_t to, bool encode, struct dtn_writer *out, uint32_t chunk_size)
{
	for (size_t i = 0; i < s->n; i++) {
		uint64_t first = s->first[i], end = first + s->held[i].samples;
		uint64_t a = from > first ? from : first, b = to < end ? to : end;

		if (a < b)
			write_range(&s->held[i], s, f, a - first, b - first, encode, out,
				    chunk_size);
	}
}

/* --- in another order --------------------------------------------------------------------- */

struct row { uint64_t sample, place; };         /* which, and where it goes */

static int by_sample(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return (x->sample > y->sample) - (x->sample < y->sample);
}

/* The held record with this sample: the last whose first is not beyond it. */
static size_t find(const struct dtn_shelf *s, uint64_t sample)
{
	size_t low = 0, high = s->n;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (s->first[middle] <= sample)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Fetch rows into column[i] [n,row of tensor i]. */
static void gather(const struct dtn_shelf *s, const struct dtn_fields *f, struct row *row,
		   uint64_t n, uint8_t *const *column)
{
	if (s->spool.fd >= 0)
		qsort(row, n, sizeof(*row), by_sample);
	for (uint64_t k = 0; k < n; k++) {
		size_t i = find(s, row[k].sample);
		uint64_t at = s->held[i].at, within = row[k].sample - s->first[i];

		for (int t = 0; t < f->n; t++) {
			dtn_spool_get(&s->spool, at + within * f->row[t],
				      column[t] + row[k].place * f->row[t], f->row[t]);
			at += s->held[i].samples * f->row[t];
		}
	}
}

/* Samples in a record, and of how many records' worth the memory is for. */
static uint64_t record_samples(const struct dtn_fields *f)
{
	uint64_t n = f->row_bytes ? RECORD_BYTES / f->row_bytes : RECORD_SAMPLES;

	return n < 1 ? 1 : n > RECORD_SAMPLES ? RECORD_SAMPLES : n;
}

static uint64_t window_samples(const struct dtn_shelf *s, const struct dtn_fields *f, uint64_t n)
{
	uint64_t one = record_samples(f), many = one;

	if (s->spool.fd >= 0 && f->row_bytes)
		many = s->spool.memory / f->row_bytes / one * one;
	many = many < one ? one : many;
	return many < n ? many : n;
}

static void write_columns(const struct dtn_fields *f, uint8_t *const *column, uint64_t n,
			  struct dtn_writer *out)
{
	struct dtn_record r = { .tensor = dtn_alloc((size_t)f->n, sizeof(*r.tensor)) };
	const void **data = dtn_alloc((size_t)f->n, sizeof(*data));
	uint64_t most = record_samples(f);

	for (uint64_t at = 0; at < n; at += r.samples) {
		dtn_fields_describe(f, &r, (uint32_t)(n - at < most ? n - at : most));
		for (int t = 0; t < f->n; t++)
			data[t] = column[t] + at * f->row[t];
		dtn_write_record(out, &r, data);
	}
	free(data);
	free(r.tensor);
}

void dtn_shelf_write_order(const struct dtn_shelf *s, const struct dtn_fields *f,
			   const uint32_t *order, uint64_t n, struct dtn_writer *out)
{
	uint64_t samples = n * f->frames, window = window_samples(s, f, samples);
	uint8_t **column = dtn_alloc((size_t)f->n + 1, sizeof(*column));
	struct row *row = dtn_alloc(window, sizeof(*row));

	for (int t = 0; t < f->n; t++)
		column[t] = dtn_realloc(NULL, window * f->row[t] + 1, 1);
	for (uint64_t at = 0, part; at < samples; at += part) {
		part = samples - at < window ? samples - at : window;
		for (uint64_t k = 0; k < part; k++)
			row[k] = (struct row){
				order[(at + k) / f->frames] * f->frames + (at + k) % f->frames, k
			};
		gather(s, f, row, part, column);
		write_columns(f, column, part, out);
	}
	for (int t = 0; t < f->n; t++)
		free(column[t]);
	free(column);
	free(row);
}
