/* kept.c -- tensors kept in memory, or as the compressed chunks they came in.
 *
 * A tensor that would exceed the limit is checked once and its chunks are appended to the spool as
 * they are. A chunk is larger than most rows, so a spooled row costs the decoding of the others
 * beside it; what is fetched never depends on where it is kept.
 */
#include "lib/train/kept.h"

#include "lib/scratch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct dtn_kept_piece {
	uint64_t at;
	uint32_t stored, raw;
	int codec, filter;
};

void dtn_keep_init(struct dtn_keep *h, uint64_t max_memory)
{
	*h = (struct dtn_keep){ .max_memory = max_memory, .spool = -1 };
}

void dtn_keep_release(struct dtn_keep *h)
{
	if (h->spool >= 0)
		close(h->spool);
	dtn_keep_init(h, 0);
}

void dtn_kept_release(struct dtn_kept *k)
{
	free(k->bytes);
	free(k->piece);
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static void append(struct dtn_keep *h, struct dtn_kept *k, const struct dtn_chunk *c)
{
	if (h->spool < 0)
		h->spool = dtn_scratch_open();
	k->piece = dtn_realloc(k->piece, (size_t)k->pieces + 1, sizeof(*k->piece));
	k->piece[k->pieces++] = (struct dtn_kept_piece){
		h->spooled, c->stored, c->raw, c->codec, c->filter
	};
	dtn_scratch_write(h->spool, c->data, c->stored);
	h->spooled += c->stored;
	h->largest_raw = larger(h->largest_raw, c->raw);
	h->largest_stored = larger(h->largest_stored, c->stored);
}

/* Keep the chunks, decoded once to find damage before training. */
static void spool(struct dtn_keep *h, struct dtn_kept *k, struct dtn_reader *reader,
		  const struct dtn_tensor *t, int i)
{
	struct dtn_chunk chunk;
	char *raw = NULL;
	size_t room = 0;

	while (dtn_read_chunk(reader, i, &chunk)) {
		if (chunk.raw > room)
			raw = dtn_realloc(raw, room = chunk.raw, 1);
		dtn_decode_chunk(dtn_reader_name(reader), t, &chunk, raw);
		append(h, k, &chunk);
	}
	free(raw);
}

void dtn_keep(struct dtn_keep *h, struct dtn_kept *k, struct dtn_reader *reader,
	      const struct dtn_tensor *t, int i)
{
	if (t->bytes > h->max_memory - h->memory) {
		spool(h, k, reader, t, i);
		return;
	}
	k->bytes = dtn_realloc(NULL, t->bytes, 1);
	dtn_read_tensor(reader, i, k->bytes);
	h->memory += t->bytes;
}

/* --- fetching -------------------------------------------------------------------------------- */

void dtn_fetch_start(struct dtn_fetch *f, const struct dtn_keep *h)
{
	f->at = UINT64_MAX;
	f->stored = dtn_alloc(h->largest_stored, 1);
	f->raw = dtn_alloc(h->largest_raw, 1);
}

void dtn_fetch_release(struct dtn_fetch *f)
{
	free(f->stored);
	free(f->raw);
}

static void fetch_piece(struct dtn_fetch *f, const struct dtn_keep *h, const struct dtn_tensor *t,
			const struct dtn_kept_piece *p)
{
	struct dtn_chunk chunk = { p->codec, p->filter, p->raw, p->stored, f->stored };

	if (f->at == p->at)
		return;
	dtn_scratch_read(h->spool, f->stored, p->stored, p->at);
	dtn_decode_chunk("spool file", t, &chunk, f->raw);
	f->at = p->at;
}

const void *dtn_fetch_bytes(struct dtn_fetch *f, const struct dtn_keep *h, const struct dtn_kept *k,
			    const struct dtn_tensor *t, uint64_t begin, size_t bytes, void *into)
{
	uint64_t end = begin + bytes, at = 0;

	if (k->bytes)
		return k->bytes + begin;
	/* A row may begin in one chunk and end in another. */
	for (int i = 0; i < k->pieces && at < end; at += k->piece[i++].raw) {
		const struct dtn_kept_piece *p = &k->piece[i];
		uint64_t from = begin > at ? begin : at, to = end < at + p->raw ? end : at + p->raw;

		if (from >= to)
			continue;
		fetch_piece(f, h, t, p);
		memcpy((char *)into + (from - begin), f->raw + (from - at), to - from);
	}
	return into;
}
