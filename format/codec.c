/* codec.c -- one chunk: what its zstd frame must look like, and how to decode it.
 *
 * A chunk's frame is decoded in one call into a buffer of exactly the announced size, so a bomb can
 * never become larger than what the record has declared.
 */
#include "format/frame.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

const char dtn_codec_mismatch[] = "checksum mismatch";

size_t dtn_codec_bound(size_t raw)
{
	return ZSTD_compressBound(raw);
}

/* The frame header [RFC 8878, 3.1.1.1]: magic, descriptor, window, content size. */
const char *dtn_codec_check(const struct dtn_chunk *c, size_t chunk_size)
{
	const uint8_t *p = c->data;
	static const size_t sizes[] = { 0, 2, 4, 8 };
	size_t at = 5, size, frame;
	uint64_t content, window = 0;
	bool single;

	if (c->stored < 9 || dtn_get32(p) != DTN_ZSTD_MAGIC)
		return "no zstd frame";
	single = p[4] >> 5 & 1;
	size = p[4] >> 6 ? sizes[p[4] >> 6] : single;
	if (p[4] & 0x18)
		return "reserved bit in the frame header";
	if (!(p[4] & 4))
		return "no checksum";
	if (p[4] & 3)
		return "wants a dictionary";
	if (size == 0)
		return "no content size";
	if (!single)
		window = (((uint64_t)8 + (p[5] & 7)) << (p[5] >> 3)) << 7;  /* 2^(10+e) * (8+m)/8 */
	at += !single;
	if (c->stored < at + size)
		return "short frame header";
	content = size == 1 ? p[at] : size == 2 ? dtn_get16(p + at) + 256 :
		  size == 4 ? dtn_get32(p + at) : dtn_get64(p + at);
	if (content != c->raw)
		return "other content size";
	if (window > chunk_size)
		return "window too large";
	frame = ZSTD_findFrameCompressedSize(c->data, c->stored);
	if (ZSTD_isError(frame))
		return ZSTD_getErrorName(frame);
	return frame == c->stored ? NULL : "bytes after the frame";
}

/* `to` may be written directly where the filter is undone in place. */
static const char *inflate_chunk(ZSTD_DCtx *context, const struct dtn_chunk *c, void *to)
{
	size_t n;

	if (c->codec == 0) {
		memcpy(to, c->data, c->raw);
		return NULL;
	}
	n = ZSTD_decompressDCtx(context, to, c->raw, c->data, c->stored);
	if (ZSTD_isError(n))
		return ZSTD_getErrorCode(n) == ZSTD_error_checksum_wrong ? dtn_codec_mismatch :
		       ZSTD_getErrorName(n);
	return n == c->raw ? NULL : "other size";
}

const char *dtn_codec_decode(void *context, const struct dtn_tensor *t, const struct dtn_chunk *c,
			     void *to, void *scratch)
{
	size_t size = dtn_type_size(t->type);
	bool in_place = c->filter == DTN_PLAIN || c->filter == DTN_DELTA ||
			(c->filter == DTN_SHUFFLE && size == 1);
	void *raw = in_place ? to : scratch;
	const char *reason = inflate_chunk(context, c, raw);

	if (!reason)
		dtn_unfilter(to, raw, c->raw, c->filter, size, dtn_filter_distance(t));
	return reason;
}

void dtn_decode_chunk(const char *name, const struct dtn_tensor *t, const struct dtn_chunk *c,
		      void *into)
{
	ZSTD_DCtx *context = ZSTD_createDCtx();
	void *scratch = dtn_alloc_aligned(c->raw);
	const char *reason =
		context ? dtn_codec_decode(context, t, c, into, scratch) : "out of memory";

	ZSTD_freeDCtx(context);
	free(scratch);
	if (reason == dtn_codec_mismatch)
		dtn_die(DTN_INPUT, "%s: checksum mismatch (tensor %s)", name, t->name);
	if (reason)
		dtn_die(DTN_INPUT, "%s: corrupt chunk (tensor %s: %s)", name, t->name, reason);
}
