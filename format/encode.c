/* encode.c -- compress one chunk, or put it into a zstd frame as it is.
 *
 * Level 0 is our own: raw blocks in a frame that zstd reads like any other.  It costs a copy and a
 * checksum, for pipes that are faster than a compressor.
 */
#include "format/frame.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

enum { BLOCK = 1 << 17 };       /* the largest block of a zstd frame */

struct dtn_encoder {
	int level;
	ZSTD_CCtx *context;
	uint8_t *filtered;
	uint32_t size;
};

struct dtn_encoder *dtn_encoder_open(int level)
{
	struct dtn_encoder *e = dtn_alloc(1, sizeof(*e));

	e->level = level;
	e->context = ZSTD_createCCtx();
	if (!e->context)
		dtn_die(DTN_ENV, "out of memory");
	ZSTD_CCtx_setParameter(e->context, ZSTD_c_compressionLevel, level);
	ZSTD_CCtx_setParameter(e->context, ZSTD_c_checksumFlag, 1);
	ZSTD_CCtx_setParameter(e->context, ZSTD_c_contentSizeFlag, 1);
	return e;
}

void dtn_encoder_close(struct dtn_encoder *e)
{
	ZSTD_freeCCtx(e->context);
	free(e->filtered);
	free(e);
}

/* --- XXH64, the checksum of a zstd frame [Collet, xxHash specification] ------------------- */

static const uint64_t P1 = 0x9e3779b185ebca87, P2 = 0xc2b2ae3d27d4eb4f, P3 = 0x165667b19e3779f9,
		      P4 = 0x85ebca77c2b2ae63, P5 = 0x27d4eb2f165667c5;

static uint64_t rotate(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static uint64_t mix(uint64_t lane, const uint8_t *p)
{
	return rotate(lane + dtn_get64(p) * P2, 31) * P1;
}

static uint64_t merge(uint64_t h, uint64_t lane)
{
	return (h ^ rotate(lane * P2, 31) * P1) * P1 + P4;
}

static uint64_t xxh64(const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	uint64_t a = P1 + P2, b = P2, c = 0, d = 0 - P1, h = P5;

	if (n >= 32) {
		for (; end - p >= 32; p += 32) {
			a = mix(a, p);
			b = mix(b, p + 8);
			c = mix(c, p + 16);
			d = mix(d, p + 24);
		}
		h = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
		h = merge(merge(merge(merge(h, a), b), c), d);
	}
	h += n;
	for (; end - p >= 8; p += 8)
		h = rotate(h ^ mix(0, p), 27) * P1 + P4;
	if (end - p >= 4) {
		h = rotate(h ^ dtn_get32(p) * P1, 23) * P2 + P3;
		p += 4;
	}
	for (; p < end; p++)
		h = rotate(h ^ *p * P5, 11) * P1;
	h = (h ^ h >> 33) * P2;
	h = (h ^ h >> 29) * P3;
	return h ^ h >> 32;
}

/* --- frames ------------------------------------------------------------------------------- */

/* Frame header (one segment, checksum, 4 bytes of content size), raw blocks, checksum. */
size_t dtn_store(uint8_t *to, const uint8_t *from, uint32_t n)
{
	uint8_t *p = to + 9;

	dtn_put32(to, DTN_ZSTD_MAGIC);
	to[4] = 0xa4;
	dtn_put32(to + 5, n);
	for (uint32_t at = 0; at < n; at += BLOCK) {
		uint32_t size = n - at < BLOCK ? n - at : BLOCK, last = at + size == n;
		dtn_put32(p, last | size << 3);
		memcpy(p + 3, from + at, size);
		p += 3 + size;
	}
	dtn_put32(p, (uint32_t)xxh64(from, n));
	return (size_t)(p + 4 - to);
}

static const void *filtered(struct dtn_encoder *e, const struct dtn_tensor *t,
			    const struct dtn_chunk *c, const void *from)
{
	if (e->size < c->raw) {
		free(e->filtered);
		e->filtered = dtn_alloc_aligned(c->raw);
		e->size = c->raw;
	}
	dtn_filter(e->filtered, from, c->raw, c->filter, dtn_type_size(t->type),
		   dtn_filter_distance(t));
	return e->filtered;
}

void dtn_encode(struct dtn_encoder *e, const struct dtn_tensor *t, struct dtn_chunk *c,
		const void *from, uint8_t *to, size_t most)
{
	size_t n;

	c->codec = 1;
	c->data = to;
	c->filter = e->level == 0 ? DTN_PLAIN : dtn_filter_for(t->type);
	if (e->level == 0) {
		c->stored = (uint32_t)dtn_store(to, from, c->raw);
		return;
	}
	n = ZSTD_compress2(e->context, to, most, filtered(e, t, c, from), c->raw);
	if (ZSTD_isError(n))
		dtn_die(DTN_ENV, "cannot compress: %s", ZSTD_getErrorName(n));
	c->stored = (uint32_t)n;
}
