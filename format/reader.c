/* reader.c -- segments and records of a stream, checked as they come.
 *
 * A frame's length is compared with the limit of its kind before the frame is read, and its
 * checksum before its body is looked at.
 */
#include "format/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

uint64_t dtn_max_record = 1 << 30;

struct dtn_reader *dtn_reader_open(int operands, char *const *operand, enum dtn_kind kind)
{
	struct dtn_reader *r = dtn_alloc(1, sizeof(*r));

	dtn_source_open(&r->source, operands, operand);
	r->wanted = kind;
	r->place = -1;
	return r;
}

void dtn_reader_close(struct dtn_reader *r)
{
	dtn_source_close(&r->source);
	dtn_meta_release(&r->meta);
	dtn_prov_release(&r->prov);
	dtn_index_clear(&r->index);
	dtn_names_clear(&r->names);
	ZSTD_freeDCtx(r->context);
	free(r->record.tensor);
	free(r->scratch);
	free(r->own);
	free(r);
}

void dtn_reader_check_index(struct dtn_reader *r) { r->check_index = true; }
void dtn_reader_pass_on(struct dtn_reader *r, struct dtn_writer *to) { r->others_to = to; }
enum dtn_kind dtn_reader_kind(const struct dtn_reader *r) { return (enum dtn_kind)r->kind; }
int dtn_reader_minor(const struct dtn_reader *r) { return r->minor; }
uint32_t dtn_reader_chunk_size(const struct dtn_reader *r) { return r->chunk_size; }
const struct dtn_meta *dtn_reader_meta(const struct dtn_reader *r) { return &r->meta; }
const struct dtn_prov *dtn_reader_prov(const struct dtn_reader *r) { return &r->prov; }
const char *dtn_reader_name(const struct dtn_reader *r) { return r->source.name; }

/* --- frames ------------------------------------------------------------------------------- */

static void parse_frame(struct dtn_frame *frame, const uint8_t *p)
{
	frame->length = dtn_get32(p + 4);
	frame->tag = dtn_get32(p + 8);
	frame->flags = dtn_get32(p + 12);
}

struct dtn_frame dtn_frame_peek(struct dtn_reader *r)
{
	struct dtn_frame frame = { 0 };
	size_t got;
	const uint8_t *p = dtn_source_need(&r->source, DTN_FRAME_HEADER, &got);

	if (got >= 4 && dtn_get32(p) != DTN_MAGIC)
		dtn_reader_die(r, "unexpected frame (it begins with %02x %02x %02x %02x)",
			       p[0], p[1], p[2], p[3]);
	if (got < DTN_FRAME_HEADER)
		dtn_reader_truncated(r, NULL);
	parse_frame(&frame, p);
	return frame;
}

const uint8_t *dtn_frame_read(struct dtn_reader *r, struct dtn_frame *frame, size_t least,
			      size_t most)
{
	size_t size = frame->length + 8, got;
	const uint8_t *p;

	if (frame->length < least + 12 || frame->length > most + 12)
		dtn_reader_die(r, "invalid length of %s frame", dtn_tag_text(frame->tag));
	p = dtn_source_need(&r->source, size, &got);
	if (got < size)
		dtn_reader_truncated(r, frame);
	if (dtn_crc(0, p, size - 4) != dtn_get32(p + size - 4)) {
		if (frame->tag == DTN_HEAD)
			dtn_reader_die(r, "header checksum mismatch");
		dtn_reader_die(r, "checksum mismatch in %s frame", dtn_tag_text(frame->tag));
	}
	if (frame->tag != DTN_HEAD && (frame->flags & ~(dtn_tag_known(frame->tag) ? 0u : 1u)) != 0)
		dtn_reader_die(r, "reserved field is not zero");
	r->chain = dtn_crc(r->chain, p + size - 4, 4);
	frame->n = size - DTN_FRAME_EXTRA;
	dtn_source_take(&r->source, size);
	return p + DTN_FRAME_HEADER;
}

/* --- the beginning of a segment ----------------------------------------------------------- */

/* Do the n <= 16 bytes begin a HEAD?  The length is not looked at. */
static bool begins_head(const uint8_t *p, size_t n)
{
	static const uint8_t head[16] = "\x57\x2a\x4d\x18\0\0\0\0\x89" "DTN\r\n\x1a\n";

	for (size_t i = 0; i < n; i++)
		if (p[i] != head[i] && (i < 4 || i > 7))
			return false;
	return true;
}

static _Noreturn void no_head(struct dtn_reader *r, const uint8_t *p, size_t n)
{
	bool ours = n >= 12 && dtn_get32(p) == DTN_MAGIC;

	if (n < 16 && begins_head(p, n)) {
		r->segments++;
		DIE_OUTSIDE(r, "truncated header");
	}
	for (size_t i = 8; ours && i < 11 && i + 3 <= n; i++)
		if (!memcmp(p + i, "DTN", 3))
			DIE_OUTSIDE(r, "damaged by text-mode transfer");
	if (r->segments > 0)
		DIE_OUTSIDE(r, "trailing data after end of stream");
	if (ours && dtn_tag_known(dtn_get32(p + 8)))
		DIE_OUTSIDE(r, "not a dtn stream (it begins with a %s frame, without header)",
			    dtn_tag_text(dtn_get32(p + 8)));
	DIE_OUTSIDE(r, "not a dtn stream%s", dtn_source_guess(p, n));
}

static bool zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

static void read_head(struct dtn_reader *r, const uint8_t *p)
{
	struct dtn_frame frame;
	unsigned major;

	r->start = r->source.offset;
	r->chain = 0;
	parse_frame(&frame, p);
	p = dtn_frame_read(r, &frame, DTN_HEAD_BODY, DTN_HEAD_MOST);
	major = dtn_get16(p);
	r->minor = (int)dtn_get16(p + 2);
	r->kind = (int)dtn_get16(p + 4);
	r->chunk_size = dtn_get32(p + 16);
	if (major != 1)
		dtn_reader_die(r, "format version %u.%d not supported (this program reads 1.x)",
			       major, r->minor);
	if (dtn_get32(p + 8) != 0)
		dtn_reader_die(r, "requires unsupported feature 0x%x", (unsigned)dtn_get32(p + 8));
	if (r->chunk_size < DTN_CHUNK_LEAST || r->chunk_size > DTN_CHUNK_MOST ||
	    (r->chunk_size & (r->chunk_size - 1)) != 0)
		dtn_reader_die(r, "invalid chunk size %u", (unsigned)r->chunk_size);
	if (dtn_get16(p + 6) != 0 || !zero(p + 20, 24))
		dtn_reader_die(r, "reserved field is not zero");
}

/* A producer that failed before it knew what to say writes kind 0 and FAIL, which is the news. */
static void check_kind(struct dtn_reader *r)
{
	static const char *const name[] = { "nothing", "samples", "a model" };
	char other[16];

	if (r->kind == 0) {
		struct dtn_frame frame = dtn_frame_peek(r);
		if (frame.tag == DTN_FAIL)
			dtn_frame_fail(r, &frame);
	}
	if (r->wanted == DTN_ANY || r->kind == (int)r->wanted)
		return;
	snprintf(other, sizeof(other), "kind %d", r->kind);
	dtn_reader_die(r, "expected %s, found %s", name[r->wanted],
		       r->kind < 3 ? name[r->kind] : other);
}

/* Is the next frame of this tag?  Then read it. */
static const uint8_t *optional(struct dtn_reader *r, uint32_t tag, size_t most, size_t *n)
{
	struct dtn_frame frame = dtn_frame_peek(r);
	const uint8_t *body;

	if (frame.tag != tag)
		return NULL;
	body = dtn_frame_read(r, &frame, 0, most);
	*n = frame.n;
	return body;
}

static void read_texts(struct dtn_reader *r)
{
	const char *reason;
	const uint8_t *text;
	size_t n;

	dtn_meta_release(&r->meta);
	dtn_prov_release(&r->prov);
	text = optional(r, DTN_META, DTN_META_MOST, &n);
	reason = text ? dtn_meta_parse(&r->meta, text, n) : NULL;
	if (reason)
		dtn_reader_die(r, "invalid metadata: %s", reason);
	text = optional(r, DTN_PROV, DTN_PROV_MOST, &n);
	reason = text ? dtn_prov_parse(&r->prov, text, n) : NULL;
	if (reason)
		dtn_reader_die(r, "invalid provenance: %s", reason);
}

bool dtn_next_segment(struct dtn_reader *r)
{
	const uint8_t *p = NULL;
	size_t got = 0;

	while (r->open && dtn_next_record(r))
		;
	r->place = -1;
	if (r->source.fd >= 0)
		p = dtn_source_need(&r->source, DTN_FRAME_HEADER, &got);
	while (got == 0) {
		if (r->source.fd >= 0 && r->segments == 0)
			dtn_reader_die(r, "empty input, expected a dtn stream");
		if (!dtn_source_next(&r->source))
			return false;
		r->segments = 0;
		p = dtn_source_need(&r->source, DTN_FRAME_HEADER, &got);
	}
	if (got < DTN_FRAME_HEADER || !begins_head(p, DTN_FRAME_HEADER))
		no_head(r, p, got);
	r->segments++;
	r->records = r->samples = r->index_at = 0;
	dtn_index_clear(&r->index);
	dtn_names_clear(&r->names);
	read_head(r, p);
	r->open = true;
	check_kind(r);
	read_texts(r);
	return true;
}

/* --- records, and the end of a segment ---------------------------------------------------- */

static void read_record(struct dtn_reader *r, struct dtn_frame *frame)
{
	uint64_t offset = r->source.offset - r->start, total = 0;
	const uint8_t *body;
	char *reason;

	r->place = (int64_t)r->records;
	body = dtn_frame_read(r, frame, DTN_RECD_BODY, DTN_RECD_MOST);
	if (r->kind != DTN_MODEL)
		dtn_names_clear(&r->names);
	reason = dtn_record_parse(&r->record, body, frame->n, &r->names);
	if (reason)
		dtn_reader_die(r, "%s", reason);
	if (r->record.seq > r->records)
		DIE_OUTSIDE(r, "record %llu missing", (unsigned long long)r->records);
	if (r->record.seq < r->records || r->record.first != r->samples)
		dtn_reader_die(r, "records out of order");
	for (int i = 0; i < r->record.tensors; i++)
		if (!dtn_add(&total, total, r->record.tensor[i].bytes) || total > dtn_max_record)
			dtn_reader_die(r, "record exceeds --max-record (%s)",
				       dtn_bytes_text(dtn_max_record));
	if (r->check_index)
		dtn_index_add(&r->index, r->records, offset, r->samples);
	r->records++;
	r->samples += r->record.samples;
	dtn_chunks_begin(r);
}

static void read_index(struct dtn_reader *r, struct dtn_frame *frame)
{
	const uint8_t *body;

	r->index_at = r->source.offset - r->start;
	body = dtn_frame_read(r, frame, 8, DTN_INDX_MOST);
	if (!dtn_index_size_ok(body, frame->n))
		dtn_reader_die(r, "malformed INDX frame");
	if (r->check_index && !dtn_index_matches(&r->index, body, r->records))
		dtn_reader_die(r, "index does not match stream");
	*frame = dtn_frame_peek(r);
	if (frame->tag == DTN_FAIL)
		dtn_frame_fail(r, frame);
	if (frame->tag != DTN_END)
		dtn_frame_unexpected(r, frame);
}

static void read_end(struct dtn_reader *r, struct dtn_frame *frame)
{
	uint32_t chain = r->chain;
	const uint8_t *p = dtn_frame_read(r, frame, DTN_END_BODY, DTN_END_BODY);

	if (dtn_get32(p + 36) != 0)
		dtn_reader_die(r, "reserved field is not zero");
	if (dtn_get64(p) != r->records || dtn_get64(p + 8) != r->samples ||
	    dtn_get64(p + 16) != r->source.offset - r->start || dtn_get64(p + 24) != r->index_at ||
	    dtn_get32(p + 32) != chain || dtn_get32(p + 40) != DTN_EOT)
		dtn_reader_die(r, "end marker does not match stream");
	r->open = false;
}

static void read_other(struct dtn_reader *r, struct dtn_frame *frame)
{
	const uint8_t *body;

	if (dtn_tag_known(frame->tag) || !(frame->flags & 1))
		dtn_frame_unexpected(r, frame);
	body = dtn_frame_read(r, frame, 0, DTN_OTHER_MOST);
	if (r->others_to)
		dtn_write_frame(r->others_to, frame->tag, frame->flags, body, frame->n);
}

const struct dtn_record *dtn_next_record(struct dtn_reader *r)
{
	if (r->in_record)
		dtn_chunks_skip(r);
	r->place = -1;
	while (r->open) {
		struct dtn_frame frame = dtn_frame_peek(r);
		if (frame.tag == DTN_RECD) {
			read_record(r, &frame);
			return &r->record;
		}
		if (frame.tag == DTN_INDX)
			read_index(r, &frame);
		if (frame.tag == DTN_END)
			read_end(r, &frame);
		else if (frame.tag == DTN_FAIL)
			dtn_frame_fail(r, &frame);
		else
			read_other(r, &frame);
	}
	return NULL;
}
