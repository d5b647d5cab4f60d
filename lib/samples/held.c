/* held.c -- records put aside, as the chunks they came in or as plain bytes. */
#include "lib/samples/held.h"

#include <stdlib.h>
#include <string.h>

void dtn_held_take(struct dtn_held *h, struct dtn_reader *in, const struct dtn_record *r,
		   struct dtn_spool *spool)
{
	struct dtn_chunk c;
	int room = 0;

	memset(h, 0, sizeof(*h));
	h->input = dtn_reader_name(in);
	h->number = r->seq;
	h->samples = r->samples;
	h->chunk_size = dtn_reader_chunk_size(in);
	h->at = spool->n;
	for (int i = 0; i < r->tensors; i++)
		while (dtn_read_chunk(in, i, &c)) {
			if (h->pieces == room) {
				room = room ? 2 * room : 4;
				h->piece = dtn_realloc(h->piece, (size_t)room, sizeof(*h->piece));
			}
			h->piece[h->pieces++] = (struct dtn_piece){
				c.raw, c.stored, (uint8_t)c.codec, (uint8_t)c.filter
			};
			dtn_spool_add(spool, c.data, c.stored);
		}
}

void dtn_held_release(struct dtn_held *h)
{
	free(h->piece);
	h->piece = NULL;
}

/* --- reading it again --------------------------------------------------------------------- */

/* Tensor i of all samples, as the record had it. */
static struct dtn_tensor whole(const struct dtn_held *h, const struct dtn_fields *f, int i)
{
	struct dtn_tensor t = f->tensor[i];

	if (t.batched) {
		t.dim[0] = h->samples;
		t.bytes = h->samples * f->row[i];
	}
	return t;
}

/* Where the chunks, or the bytes, of tensor i begin; *piece: its first chunk. */
static uint64_t begin(const struct dtn_held *h, const struct dtn_fields *f, int i, int *piece)
{
	uint64_t at = h->at;

	*piece = 0;
	for (int k = 0; k < i; k++) {
		uint64_t left = whole(h, f, k).bytes;

		if (h->pieces < 0)
			at += left;
		for (; h->pieces >= 0 && left > 0; left -= h->piece[(*piece)++].raw)
			at += h->piece[*piece].stored;
	}
	return at;
}

/* A piece as a chunk; its data are the caller's to free. */
static struct dtn_chunk chunk(const struct dtn_piece *p, const struct dtn_spool *spool, uint64_t at)
{
	void *data = dtn_realloc(NULL, p->stored, 1);

	dtn_spool_get(spool, at, data, p->stored);
	return (struct dtn_chunk){ p->codec, p->filter, p->raw, p->stored, data };
}

static uint8_t *decode(const struct dtn_held *h, const struct dtn_spool *spool,
		       const struct dtn_fields *f, int i)
{
	struct dtn_tensor t = whole(h, f, i);
	uint8_t *all = dtn_realloc(NULL, t.bytes + 1, 1);
	char *name;
	int piece;
	uint64_t at = begin(h, f, i, &piece);

	if (h->pieces < 0) {
		dtn_spool_get(spool, at, all, t.bytes);
		return all;
	}
	name = dtn_format("%s: record %llu", h->input, (unsigned long long)h->number);
	for (uint64_t done = 0; done < t.bytes; piece++) {
		struct dtn_chunk c = chunk(&h->piece[piece], spool, at);

		dtn_decode_chunk(name, &t, &c, all + done);
		at += c.stored;
		done += c.raw;
		free((void *)(uintptr_t)c.data);
	}
	free(name);
	return all;
}

/* Move the rows that are kept together; returns how many bytes they are. */
static uint64_t compact(uint8_t *rows, const struct dtn_held *h, uint64_t row,
			const struct dtn_part *part)
{
	uint64_t to = 0;

	if (!part->keep)
		return h->samples * row;
	for (uint64_t i = 0; i < h->samples; i++)
		if (part->keep[i]) {
			if (to != i * row)
				memmove(rows + to, rows + i * row, row);
			to += row;
		}
	return to;
}

void *dtn_held_tensor(const struct dtn_held *h, const struct dtn_spool *spool,
		      const struct dtn_fields *f, int i, const struct dtn_part *part)
{
	uint8_t *data = decode(h, spool, f, i);

	if (f->tensor[i].batched)
		compact(data, h, f->row[i], part);
	if (i == f->label && part->classes && part->classes->map)
		dtn_classes_renumber(part->classes, h->input, &f->tensor[i], data, part->samples);
	return data;
}

/* --- passing it on ------------------------------------------------------------------------ */

/* Can tensor i be copied as it is? */
static bool unchanged(const struct dtn_held *h, const struct dtn_fields *f, int i,
		      const struct dtn_part *part)
{
	return h->pieces >= 0 && !part->encode && part->samples == h->samples &&
	       !(i == f->label && part->classes && part->classes->map);
}

static void copy_chunks(const struct dtn_held *h, const struct dtn_spool *spool,
			const struct dtn_fields *f, int i, struct dtn_writer *out)
{
	int piece;
	uint64_t at = begin(h, f, i, &piece), left = whole(h, f, i).bytes;

	while (left > 0) {
		struct dtn_chunk c = chunk(&h->piece[piece++], spool, at);

		dtn_write_chunk(out, &c);
		at += c.stored;
		left -= c.raw;
		free((void *)(uintptr_t)c.data);
	}
}

void dtn_held_write(const struct dtn_held *h, const struct dtn_spool *spool,
		    const struct dtn_fields *f, const struct dtn_part *part, struct dtn_writer *out,
		    uint32_t chunk_size)
{
	struct dtn_record r = { .tensor = dtn_alloc((size_t)f->n, sizeof(*r.tensor)) };

	dtn_fields_describe(f, &r, part->samples);
	dtn_write_describe(out, &r);
	for (int i = 0; i < f->n; i++) {
		if (r.tensor[i].bytes == 0)
			continue;
		if (chunk_size == h->chunk_size && unchanged(h, f, i, part)) {
			copy_chunks(h, spool, f, i, out);
		} else {
			void *data = dtn_held_tensor(h, spool, f, i, part);

			dtn_write_tensor(out, data);
			free(data);
		}
	}
	free(r.tensor);
}

static void move_chunks(struct dtn_held *to, struct dtn_spool *spool, const struct dtn_held *h,
			const struct dtn_spool *from)
{
	uint64_t at = h->at;

	to->pieces = h->pieces;
	to->piece = dtn_alloc((size_t)h->pieces + 1, sizeof(*to->piece));
	for (int i = 0; i < h->pieces; i++) {
		struct dtn_chunk c = chunk(&h->piece[i], from, at);

		to->piece[i] = h->piece[i];
		dtn_spool_add(spool, c.data, c.stored);
		at += c.stored;
		free((void *)(uintptr_t)c.data);
	}
}

void dtn_held_move(struct dtn_held *to, struct dtn_spool *spool, const struct dtn_held *h,
		   const struct dtn_spool *from, const struct dtn_fields *f,
		   const struct dtn_part *part, bool plain)
{
	*to = *h;
	to->at = spool->n;
	to->samples = part->samples;
	for (int i = 0; i < f->n && !plain; i++)
		plain = !unchanged(h, f, i, part);
	if (!plain) {
		move_chunks(to, spool, h, from);
		return;
	}
	to->pieces = -1;
	to->piece = NULL;
	for (int i = 0; i < f->n; i++) {
		uint64_t bytes = f->tensor[i].batched ? part->samples * f->row[i] : f->row[i];
		void *data = dtn_held_tensor(h, from, f, i, part);

		dtn_spool_add(spool, data, bytes);
		free(data);
	}
}
