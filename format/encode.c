/* encode.c -- compress chunks, or put them into zstd frames as they are, several at a time.
 *
 * Level 0 is our own: raw blocks in a frame that zstd reads like any other.  It costs a checksum,
 * for pipes that are faster than a compressor; the blocks stay where the caller has them.
 */
#include "format/encode.h"

#include <stdlib.h>
#include <zstd.h>

enum { AT_A_TIME = 8 };         /* chunks; a record of 4 MiB has four */

/* What one thread keeps from chunk to chunk. */
struct coder {
	ZSTD_CCtx *context;
	uint8_t *filtered;
	uint32_t size;
};

struct dtn_encoder {
	int level;
	struct dtn_threads threads;     /* n 1: the caller alone, who needs no `each` */
	struct coder *coder;            /* [threads.n] */
	struct dtn_coded *coded;        /* [AT_A_TIME] */
};

struct dtn_encoder *dtn_encoder_open(int level)
{
	struct dtn_encoder *e = dtn_alloc(1, sizeof(*e));

	e->level = level;
	e->threads.n = 1;
	e->coder = dtn_alloc(1, sizeof(*e->coder));
	e->coded = dtn_alloc(AT_A_TIME, sizeof(*e->coded));
	return e;
}

static void drop_coders(struct dtn_encoder *e)
{
	for (int i = 0; i < e->threads.n; i++) {
		ZSTD_freeCCtx(e->coder[i].context);
		free(e->coder[i].filtered);
	}
	free(e->coder);
}

void dtn_encoder_share(struct dtn_encoder *e, const struct dtn_threads *threads)
{
	drop_coders(e);
	e->threads = *threads;
	e->coder = dtn_alloc((size_t)threads->n, sizeof(*e->coder));
}

void dtn_encoder_close(struct dtn_encoder *e)
{
	drop_coders(e);
	for (int i = 0; i < AT_A_TIME; i++)
		free(e->coded[i].compressed);
	free(e->coded);
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

/* All turns of 32 bytes.  Not inline: with merge() beside it gcc rearranges the loop's products,
 * and it takes a third longer. */
__attribute__((noinline))
static void mix_all(uint64_t lane[4], const uint8_t *p, const uint8_t *end)
{
	uint64_t a = lane[0], b = lane[1], c = lane[2], d = lane[3];

	for (; end - p >= 32; p += 32) {
		a = mix(a, p);
		b = mix(b, p + 8);
		c = mix(c, p + 16);
		d = mix(d, p + 24);
	}
	lane[0] = a;
	lane[1] = b;
	lane[2] = c;
	lane[3] = d;
}

static uint64_t xxh64(const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n;
	uint64_t lane[4] = { P1 + P2, P2, 0, 0 - P1 }, h = P5;

	if (n >= 32) {
		mix_all(lane, p, end);
		p += n / 32 * 32;
		h = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) +
		    rotate(lane[3], 18);
		for (int i = 0; i < 4; i++)
			h = merge(h, lane[i]);
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

/* --- a frame that stores ------------------------------------------------------------------ */

static void add_piece(struct dtn_coded *k, const void *from, size_t n)
{
	k->piece[k->pieces++] = (struct iovec){ (void *)from, n };
}

/* Frame header (one segment, checksum, 4 bytes of content size), raw blocks, checksum. */
static void store(struct dtn_coded *k, const uint8_t *from, uint32_t n)
{
	uint8_t *p = k->head + 9, *begin = k->head;

	dtn_put32(k->head, DTN_ZSTD_MAGIC);
	k->head[4] = 0xa4;
	dtn_put32(k->head + 5, n);
	for (uint32_t at = 0; at < n; at += DTN_BLOCK) {
		uint32_t size = n - at < DTN_BLOCK ? n - at : DTN_BLOCK, last = at + size == n;
		dtn_put16(p, last | size << 3);
		p[2] = (uint8_t)(size >> 13);
		p += 3;
		add_piece(k, begin, (size_t)(p - begin));
		add_piece(k, from + at, size);
		begin = p;
	}
	dtn_put32(p, (uint32_t)xxh64(from, n));
	add_piece(k, p, 4);
	k->chunk.codec = 1;
	k->chunk.stored = (uint32_t)(p + 4 - k->head) + n;
}

const struct dtn_coded *dtn_encode_stored(struct dtn_encoder *e, const struct dtn_chunk *c)
{
	struct dtn_coded *k = e->coded;

	k->chunk = *c;
	k->pieces = 0;
	store(k, c->data, c->raw);
	return k;
}

/* --- a frame that compresses -------------------------------------------------------------- */

static void prepare(struct coder *own, int level, uint32_t raw)
{
	if (!own->context) {
		own->context = ZSTD_createCCtx();
		if (!own->context)
			dtn_die(DTN_ENV, "out of memory");
		ZSTD_CCtx_setParameter(own->context, ZSTD_c_compressionLevel, level);
		ZSTD_CCtx_setParameter(own->context, ZSTD_c_checksumFlag, 1);
		ZSTD_CCtx_setParameter(own->context, ZSTD_c_contentSizeFlag, 1);
	}
	if (own->size < raw) {
		free(own->filtered);
		own->filtered = dtn_alloc_aligned(raw);
		own->size = raw;
	}
}

static void compress(struct dtn_coded *k, struct coder *own, const struct dtn_tensor *t,
		     const uint8_t *from)
{
	uint32_t raw = k->chunk.raw;
	size_t most = dtn_codec_bound(raw), n;

	if (k->room < most) {
		free(k->compressed);
		k->compressed = dtn_alloc_aligned(most);
		k->room = most;
	}
	dtn_filter(own->filtered, from, raw, k->chunk.filter, dtn_type_size(t->type),
		   dtn_filter_distance(t));
	n = ZSTD_compress2(own->context, k->compressed, most, own->filtered, raw);
	if (ZSTD_isError(n))
		dtn_die(DTN_ENV, "cannot compress: %s", ZSTD_getErrorName(n));
	add_piece(k, k->compressed, n);
	k->chunk.codec = 1;
	k->chunk.stored = (uint32_t)n;
}

/* --- the chunks of a tensor --------------------------------------------------------------- */

struct work {
	struct dtn_encoder *encoder;
	const struct dtn_tensor *tensor;
	const uint8_t *from;
	uint64_t left;
	uint32_t chunk_size;
};

static void encode_one(void *arg, int worker, int i)
{
	const struct work *w = arg;
	struct dtn_encoder *e = w->encoder;
	struct dtn_coded *k = &e->coded[i];
	uint64_t at = (uint64_t)i * w->chunk_size, left = w->left - at;

	k->pieces = 0;
	k->chunk.raw = left < w->chunk_size ? (uint32_t)left : w->chunk_size;
	k->chunk.filter = e->level == 0 ? DTN_PLAIN : dtn_filter_for(w->tensor->type);
	if (e->level == 0) {
		store(k, w->from + at, k->chunk.raw);
		return;
	}
	prepare(&e->coder[worker], e->level, k->chunk.raw);
	compress(k, &e->coder[worker], w->tensor, w->from + at);
}

int dtn_encode(struct dtn_encoder *e, const struct dtn_tensor *t, const void *from, uint64_t left,
	       uint32_t chunk_size, const struct dtn_coded **coded)
{
	struct work w = { e, t, from, left, chunk_size };
	uint64_t chunks = (left + chunk_size - 1) / chunk_size;
	int most = e->threads.n > 1 ? AT_A_TIME : 1;
	int n = chunks < (uint64_t)most ? (int)chunks : most;

	if (n == 1)
		encode_one(&w, 0, 0);
	else
		e->threads.each(e->threads.pool, n, encode_one, &w);
	*coded = e->coded;
	return n;
}
