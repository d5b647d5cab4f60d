/* chunk.c -- the chunks of a record's tensors: read, decoded or skipped. */
#include "format/reader.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { GROW_FROM = 64 << 20 };

/* Make tensor i the current one, whose chunks come next. */
static void stand_at(struct dtn_reader *r, int i)
{
	r->tensor = i;
	r->chunk = 0;
	r->left = i < r->record.tensors ? r->record.tensor[i].bytes : 0;
}

void dtn_chunks_begin(struct dtn_reader *r)
{
	r->in_record = true;
	stand_at(r, 0);
}

/* --- the CHNK frame ----------------------------------------------------------------------- */

/* A chunk that is stored as it is lies within its frame, at a multiple of 64 from HEAD. */
static void place_raw(struct dtn_reader *r, struct dtn_chunk *c, const uint8_t *body, size_t n,
		      uint64_t frame_at)
{
	size_t at = dtn_get32(body + 16);

	if (c->stored != c->raw)
		dtn_reader_die(r, "invalid chunk size");
	if (at < 36 || at > DTN_RAW_OFFSET_MOST || (frame_at + at) % 64 != 0 ||
	    n != at - 16 + c->raw)
		dtn_reader_die(r, "malformed chunk");
	for (size_t i = DTN_CHNK_BODY; i < at - 16; i++)
		if (body[i] != 0)
			dtn_reader_die(r, "malformed chunk");
	c->data = body + at - 16;
}

/* Read the next CHNK, which must be the one that is due.  Of a compressed chunk nothing more. */
static void read_header(struct dtn_reader *r, struct dtn_chunk *c)
{
	struct dtn_frame frame = dtn_frame_peek(r);
	uint64_t frame_at = r->source.offset - r->start;
	uint32_t due = r->left < r->chunk_size ? (uint32_t)r->left : r->chunk_size;
	const uint8_t *p;

	if (frame.tag == DTN_FAIL)
		dtn_frame_fail(r, &frame);
	if (frame.tag != DTN_CHNK)
		dtn_frame_unexpected(r, &frame);
	p = dtn_frame_read(r, &frame, DTN_CHNK_BODY, DTN_CHNK_BODY + 63 + r->chunk_size);
	c->codec = p[2];
	c->filter = p[3];
	c->raw = dtn_get32(p + 8);
	c->stored = dtn_get32(p + 12);
	if (dtn_get16(p) != (uint32_t)r->tensor || dtn_get32(p + 4) != r->chunk || c->raw != due)
		dtn_reader_die(r, "unexpected chunk");
	if (c->codec > 1)
		dtn_reader_die(r, "unsupported codec %d", c->codec);
	if (c->filter > DTN_SHUFFLE_DELTA)
		dtn_reader_die(r, "unsupported filter %d", c->filter);
	if (c->codec == 0) {
		place_raw(r, c, p, frame.n, frame_at);
		return;
	}
	if (frame.n != DTN_CHNK_BODY || dtn_get32(p + 16) != 0)
		dtn_reader_die(r, "malformed chunk");
	if (c->stored == 0 || c->stored > dtn_codec_bound(c->raw))
		dtn_reader_die(r, "invalid chunk size");
}

static _Noreturn void corrupt(struct dtn_reader *r, const char *reason)
{
	const char *name = r->record.tensor[r->tensor].name;

	if (reason == dtn_codec_mismatch)
		dtn_reader_die(r, "checksum mismatch (tensor %s, chunk %u)", name,
			       (unsigned)r->chunk);
	dtn_reader_die(r, "corrupt chunk (tensor %s, chunk %u: %s)", name, (unsigned)r->chunk,
		       reason);
}

static void done(struct dtn_reader *r, const struct dtn_chunk *c)
{
	r->left -= c->raw;
	r->chunk++;
}

/* The chunk that is due, with its data and its frame looked at; dtn_done is the caller's. */
static void read_chunk(struct dtn_reader *r, struct dtn_chunk *c)
{
	const char *reason;
	size_t got;

	read_header(r, c);
	if (c->codec == 0)
		return;
	c->data = dtn_source_need(&r->source, c->stored, &got);
	if (got < c->stored)
		dtn_reader_truncated(r, NULL);
	reason = dtn_codec_check(c, r->chunk_size);
	if (reason)
		corrupt(r, reason);
	r->chain = dtn_crc(r->chain, (const uint8_t *)c->data + c->stored - 4, 4);
	dtn_source_take(&r->source, c->stored);
}

/* Move behind the chunk that is due; its checksum is still needed for the chain. */
static uint64_t skip_chunk(struct dtn_reader *r)
{
	struct dtn_chunk c;
	const uint8_t *p;
	size_t got;

	read_header(r, &c);
	if (c.codec != 0) {
		if (c.stored < 4)
			corrupt(r, "no zstd frame");
		if (!dtn_source_skip(&r->source, c.stored - 4))
			dtn_reader_truncated(r, NULL);
		p = dtn_source_need(&r->source, 4, &got);
		if (got < 4)
			dtn_reader_truncated(r, NULL);
		r->chain = dtn_crc(r->chain, p, 4);
		dtn_source_take(&r->source, 4);
	}
	done(r, &c);
	return c.stored;
}

/* Skip to tensor i; what was read of an earlier one stays read. */
static void go_to(struct dtn_reader *r, int i)
{
	if (!r->in_record || i < r->tensor || i > r->record.tensors)
		abort();
	while (r->tensor < i) {
		while (r->left > 0)
			skip_chunk(r);
		stand_at(r, r->tensor + 1);
	}
}

void dtn_chunks_skip(struct dtn_reader *r)
{
	go_to(r, r->record.tensors);
	r->in_record = false;
}

/* --- for the reader's callers ------------------------------------------------------------- */

bool dtn_read_chunk(struct dtn_reader *r, int i, struct dtn_chunk *c)
{
	go_to(r, i);
	if (r->left == 0)
		return false;
	read_chunk(r, c);
	done(r, c);
	return true;
}

/* Before anything is decoded: contexts and space for one chunk. */
static void prepare(struct dtn_reader *r)
{
	if (!r->context && !(r->context = ZSTD_createDCtx()))
		dtn_die(DTN_ENV, "out of memory");
	if (r->scratch_size < r->chunk_size) {
		free(r->scratch);
		r->scratch = dtn_alloc_aligned(r->chunk_size);
		r->scratch_size = r->chunk_size;
	}
}

/* Room for `needed` bytes of a tensor in the reader's own buffer.  It is never more than twice what
 * has arrived, or GROW_FROM, whatever the header claims. */
static uint8_t *grow(struct dtn_reader *r, uint64_t bytes, uint64_t needed)
{
	uint64_t size = 2 * (uint64_t)r->own_size;

	if (r->own && needed <= r->own_size)
		return r->own;
	if (size < GROW_FROM)
		size = GROW_FROM;
	r->own_size = (size_t)(size < bytes ? size : bytes);
	return r->own = dtn_realloc(r->own, r->own_size, 1);
}

const void *dtn_read_part(struct dtn_reader *r, int i, size_t *n)
{
	struct dtn_chunk c;
	const char *reason;

	go_to(r, i);
	if (r->left == 0)
		return NULL;
	prepare(r);
	read_chunk(r, &c);
	reason = dtn_codec_decode(r->context, &r->record.tensor[i], &c,
				  grow(r, r->chunk_size, c.raw), r->scratch);
	if (reason)
		corrupt(r, reason);
	done(r, &c);
	*n = c.raw;
	return r->own;
}

uint64_t dtn_skip_tensor(struct dtn_reader *r, int i)
{
	uint64_t stored = 0;

	go_to(r, i);
	while (r->left > 0)
		stored += skip_chunk(r);
	return stored;
}

void *dtn_read_tensor(struct dtn_reader *r, int i, void *into)
{
	const struct dtn_tensor *t = &r->record.tensor[i];
	uint8_t *to = into;
	uint64_t at = 0;

	go_to(r, i);
	if (r->left != t->bytes)
		abort();
	prepare(r);
	if (!into)
		to = grow(r, t->bytes, 0);
	while (r->left > 0) {
		struct dtn_chunk c;
		const char *reason;
		read_chunk(r, &c);
		if (!into)
			to = grow(r, t->bytes, at + c.raw);
		reason = dtn_codec_decode(r->context, t, &c, to + at, r->scratch);
		if (reason)
			corrupt(r, reason);
		at += c.raw;
		done(r, &c);
	}
	return to;
}
