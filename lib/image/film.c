/* film.c -- an animated PNG: pictures of one size that follow each other.
 *
 *      signature IHDR text acTL | fcTL IDAT... | fcTL fdAT... | fcTL fdAT... | IEND
 *                                first picture
 *
 * [PNG, third edition, 2025, and the APNG specification that it took in].  libpng writes none of
 * this, so the chunks are put together here, and the rows filtered and compressed as libpng does
 * it. fcTL and fdAT are numbered, together, from 0; a fdAT is an IDAT behind its number.
 */
#include "lib/image/film.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { ROOM = 1 << 16, HEADER = 8, NUMBER = 4, CRC = 4, FILTERS = 5, PART = 1 << 30 };

struct dtn_film {
	struct dtn_output *output;
	uint32_t width, height, frames;
	int channels;
	size_t line;                    /* bytes of a row */
	uint32_t frame;                 /* begun so far */
	uint32_t sequence;              /* of the next fcTL or fdAT */
	uint32_t rows;                  /* of this frame so far */
	z_stream z;
	uint8_t *before;                /* the row above; zeros at first */
	uint8_t *filtered[FILTERS];     /* filter type and row */
	uint8_t chunk[HEADER + NUMBER + ROOM + CRC];    /* what is compressed goes to its end */
};

static void put32(uint8_t *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

/* --- chunks ------------------------------------------------------------------------------- */

/* A chunk whose n bytes of data lie at chunk + HEADER, with room for the CRC behind them. */
static void write_chunk(struct dtn_output *output, uint8_t *chunk, const char *type, size_t n)
{
	put32(chunk, (uint32_t)n);
	memcpy(chunk + 4, type, 4);
	put32(chunk + HEADER + n, (uint32_t)crc32_z(0, chunk + 4, 4 + n));
	dtn_output_write(output, chunk, HEADER + n + CRC);
}

static void write_header(struct dtn_film *f)
{
	static const uint8_t signature[] = "\x89PNG\r\n\x1a\n";
	uint8_t chunk[HEADER + 13 + CRC], *p = chunk + HEADER;

	dtn_output_write(f->output, signature, 8);
	put32(p, f->width);
	put32(p + 4, f->height);
	p[8] = 8;                       /* bits */
	p[9] = f->channels == 1 ? 0 : 2;        /* grey or RGB */
	p[10] = p[11] = p[12] = 0;      /* deflate, the five filters, no interlace */
	write_chunk(f->output, chunk, "IHDR", 13);
}

/* ASCII as tEXt: key, zero, text.  Anything else as iTXt: key, zero, not compressed (two zeros), no
 * language, no translated key (a zero each), UTF-8. */
static void write_text(struct dtn_film *f, const struct dtn_png_text *text)
{
	size_t key = strlen(text->key), n = strlen(text->value), gap = 1;
	uint8_t *chunk = dtn_alloc(HEADER + key + n + 5 + CRC, 1);

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)text->value[i] >= 0x80)
			gap = 5;
	memcpy(chunk + HEADER, text->key, key);
	memcpy(chunk + HEADER + key + gap, text->value, n);
	write_chunk(f->output, chunk, gap == 1 ? "tEXt" : "iTXt", key + gap + n);
	free(chunk);
}

static void write_control(struct dtn_film *f)
{
	uint8_t chunk[HEADER + 8 + CRC];

	put32(chunk + HEADER, f->frames);
	put32(chunk + HEADER + 4, 0);   /* for ever */
	write_chunk(f->output, chunk, "acTL", 8);
}

/* A fraction of two 16-bit numbers that is close to `seconds`: of all denominators that leave the
 * numerator its 16 bits, the smallest that fits best. */
static void find_delay(double seconds, uint16_t *numerator, uint16_t *denominator)
{
	double best = INFINITY;

	for (uint32_t d = 1; d <= UINT16_MAX; d++) {
		double n = round(seconds * d), off = fabs(n / d - seconds);

		if (n > UINT16_MAX)
			break;
		if (n < 1 || off >= best * (1 - 1e-6))
			continue;
		best = off;
		*numerator = (uint16_t)n;
		*denominator = (uint16_t)d;
		if (off < 1e-9 * seconds)
			break;
	}
}

/* --- rows --------------------------------------------------------------------------------- */

static uint8_t paeth(int left, int above, int corner)
{
	int p = left + above - corner, a = abs(p - left), b = abs(p - above), c = abs(p - corner);

	return (uint8_t)(a <= b && a <= c ? left : b <= c ? above : corner);
}

/* The filters of PNG: nothing, left, above, their mean, Paeth's choice. */
static void filter(uint8_t *const *to, const uint8_t *row, const uint8_t *before, size_t n,
		   size_t pixel)
{
	for (size_t i = 0; i < n; i++) {
		int left = i < pixel ? 0 : row[i - pixel], above = before[i];
		int corner = i < pixel ? 0 : before[i - pixel];

		to[0][1 + i] = row[i];
		to[1][1 + i] = (uint8_t)(row[i] - left);
		to[2][1 + i] = (uint8_t)(row[i] - above);
		to[3][1 + i] = (uint8_t)(row[i] - (left + above) / 2);
		to[4][1 + i] = (uint8_t)(row[i] - paeth(left, above, corner));
	}
}

/* The filtered row whose bytes, as signed numbers, are smallest together: mostly the one that
 * becomes shortest [PNG, 12.7]. */
static const uint8_t *smallest(const struct dtn_film *f)
{
	uint64_t least = UINT64_MAX;
	int best = 0;

	for (int k = 0; k < FILTERS; k++) {
		uint64_t sum = 0;

		for (size_t i = 1; i <= f->line; i++)
			sum += f->filtered[k][i] < 128 ? f->filtered[k][i] :
						       256u - f->filtered[k][i];
		if (sum < least) {
			least = sum;
			best = k;
		}
	}
	return f->filtered[best];
}

/* What the compressor has made becomes an IDAT, or a fdAT after the first picture. */
static void write_data(struct dtn_film *f)
{
	size_t n = ROOM - f->z.avail_out;

	if (n > 0 && f->frame == 1) {
		write_chunk(f->output, f->chunk + NUMBER, "IDAT", n);
	} else if (n > 0) {
		put32(f->chunk + HEADER, f->sequence++);
		write_chunk(f->output, f->chunk, "fdAT", NUMBER + n);
	}
	f->z.next_out = f->chunk + HEADER + NUMBER;
	f->z.avail_out = ROOM;
}

static void compress_part(struct dtn_film *f, const uint8_t *data, size_t n, int flush)
{
	int result;

	f->z.next_in = (uint8_t *)(uintptr_t)data;
	f->z.avail_in = (uInt)n;
	do {
		if (f->z.avail_out == 0)
			write_data(f);
		result = deflate(&f->z, flush);
		if (result == Z_STREAM_ERROR)
			abort();
	} while (f->z.avail_in > 0 || (flush == Z_FINISH && result != Z_STREAM_END));
}

/* zlib counts its input in 32 bits. */
static void compress_row(struct dtn_film *f, const uint8_t *data, size_t n, bool last)
{
	for (size_t part; n > 0; data += part, n -= part) {
		part = n < PART ? n : PART;
		compress_part(f, data, part, last && part == n ? Z_FINISH : Z_NO_FLUSH);
	}
	if (last)
		write_data(f);
}

/* --- for callers -------------------------------------------------------------------------- */

struct dtn_film *dtn_film_open(struct dtn_output *output, uint32_t width, uint32_t height,
			       int channels, uint32_t frames, const struct dtn_png_text *text,
			       int texts)
{
	struct dtn_film *f = dtn_alloc(1, sizeof(*f));

	f->output = output;
	f->width = width;
	f->height = height;
	f->channels = channels;
	f->frames = frames;
	f->line = (size_t)width * (size_t)channels;
	f->before = dtn_alloc(f->line, 1);
	for (int k = 0; k < FILTERS; k++) {
		f->filtered[k] = dtn_alloc(f->line + 1, 1);
		f->filtered[k][0] = (uint8_t)k;
	}
	if (deflateInit2(&f->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15, 8, Z_FILTERED) != Z_OK)
		dtn_die(DTN_ENV, "out of memory");
	write_header(f);
	for (int i = 0; i < texts; i++)
		write_text(f, &text[i]);
	write_control(f);
	return f;
}

void dtn_film_frame(struct dtn_film *f, double seconds)
{
	uint8_t chunk[HEADER + 26 + CRC], *p = chunk + HEADER;
	uint16_t numerator = 1, denominator = 1;

	if (f->frame == f->frames || (f->frame > 0 && f->rows != f->height))
		abort();
	find_delay(seconds, &numerator, &denominator);
	put32(p, f->sequence++);
	put32(p + 4, f->width);
	put32(p + 8, f->height);
	memset(p + 12, 0, 8);           /* at the upper left corner */
	put16(p + 20, numerator);
	put16(p + 22, denominator);
	p[24] = p[25] = 0;              /* it stays until the next replaces it */
	write_chunk(f->output, chunk, "fcTL", 26);
	f->frame++;
	f->rows = 0;
	memset(f->before, 0, f->line);
	deflateReset(&f->z);
	f->z.next_out = f->chunk + HEADER + NUMBER;
	f->z.avail_out = ROOM;
}

void dtn_film_row(struct dtn_film *f, const uint8_t *row)
{
	filter(f->filtered, row, f->before, f->line, (size_t)f->channels);
	f->rows++;
	compress_row(f, smallest(f), f->line + 1, f->rows == f->height);
	memcpy(f->before, row, f->line);
}

void dtn_film_close(struct dtn_film *f)
{
	uint8_t chunk[HEADER + CRC];

	if (f->frame != f->frames || f->rows != f->height)
		abort();
	write_chunk(f->output, chunk, "IEND", 0);
	deflateEnd(&f->z);
	for (int k = 0; k < FILTERS; k++)
		free(f->filtered[k]);
	free(f->before);
	free(f);
}
