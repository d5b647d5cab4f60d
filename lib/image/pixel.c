/* pixel.c -- rows of pixels as files have them, turned into grey or RGB; pictures turned upright.
 */
#include "lib/image/pixel.h"

#include <stddef.h>
#include <string.h>

int dtn_pixel_bytes(enum dtn_pixel kind)
{
	static const int bytes[] = { 1, 2, 3, 4, 4, 4 };

	return bytes[kind];
}

/* a*b/255, rounded to nearest, for a and b in 0 .. 255. */
static inline uint8_t scale(unsigned a, unsigned b)
{
	unsigned t = a * b + 128;

	return (uint8_t)((t + (t >> 8)) >> 8);
}

/* Value v over white, seen through alpha a. */
static inline uint8_t over_white(unsigned v, unsigned a)
{
	return (uint8_t)(255 - scale(255 - v, a));
}

static inline uint8_t luma(unsigned r, unsigned g, unsigned b)
{
	return (uint8_t)((19595 * r + 38470 * g + 7471 * b + 32768) >> 16);
}

static inline void put(uint8_t *to, int channels, uint8_t r, uint8_t g, uint8_t b)
{
	if (channels == 1) {
		to[0] = luma(r, g, b);
	} else {
		to[0] = r;
		to[1] = g;
		to[2] = b;
	}
}

static inline void put_grey(uint8_t *to, int channels, uint8_t v)
{
	to[0] = v;
	if (channels == 3)
		to[1] = to[2] = v;
}

/* One loop for a kind and a number of channels, both known when it is compiled. */
static inline void convert(uint8_t *to, int channels, const uint8_t *p, enum dtn_pixel kind,
			   uint32_t width)
{
	int step = dtn_pixel_bytes(kind);

	for (uint32_t x = 0; x < width; x++, p += step, to += channels)
		switch (kind) {
		case DTN_GREY:
			put_grey(to, channels, p[0]);
			break;
		case DTN_GREY_ALPHA:
			put_grey(to, channels, over_white(p[0], p[1]));
			break;
		case DTN_RGB:
			put(to, channels, p[0], p[1], p[2]);
			break;
		case DTN_RGB_ALPHA:
			put(to, channels, over_white(p[0], p[3]), over_white(p[1], p[3]),
			    over_white(p[2], p[3]));
			break;
		case DTN_CMYK:
			put(to, channels, scale(255 - p[0], 255 - p[3]),
			    scale(255 - p[1], 255 - p[3]), scale(255 - p[2], 255 - p[3]));
			break;
		case DTN_CMYK_INVERTED:
			put(to, channels, scale(p[0], p[3]), scale(p[1], p[3]), scale(p[2], p[3]));
			break;
		}
}

#define CASE(kind) \
	case kind: \
		if (channels == 1) \
			convert(to, 1, from, kind, width); \
		else \
			convert(to, 3, from, kind, width); \
		break

void dtn_pixel_row(uint8_t *to, int channels, const uint8_t *from, enum dtn_pixel kind,
		   uint32_t width)
{
	if (dtn_pixel_bytes(kind) == channels) {
		memcpy(to, from, (size_t)width * (size_t)channels);
		return;
	}
	switch (kind) {
	CASE(DTN_GREY);
	CASE(DTN_GREY_ALPHA);
	CASE(DTN_RGB);
	CASE(DTN_RGB_ALPHA);
	CASE(DTN_CMYK);
	CASE(DTN_CMYK_INVERTED);
	}
}

/* Where the upright pixel (x,y) lies in the picture as stored, whose sides are w and h [TIFF 6.0,
 * tag Orientation: which side of the stored picture the 0th row and column show]. */
static size_t stored(int orientation, size_t x, size_t y, size_t w, size_t h)
{
	switch (orientation) {
	case 2: return y * w + (w - 1 - x);
	case 3: return (h - 1 - y) * w + (w - 1 - x);
	case 4: return (h - 1 - y) * w + x;
	case 5: return x * w + y;
	case 6: return (h - 1 - x) * w + y;
	case 7: return (h - 1 - x) * w + (w - 1 - y);
	case 8: return x * w + (w - 1 - y);
	}
	return y * w + x;
}

void dtn_pixel_upright(uint8_t *to, const uint8_t *from, int orientation, int width, int height,
		       int channels)
{
	size_t c = (size_t)channels, w = (size_t)width, h = (size_t)height;
	size_t sw = orientation >= 5 ? h : w, sh = orientation >= 5 ? w : h;

	for (size_t y = 0; y < h; y++)
		for (size_t x = 0; x < w; x++, to += c)
			memcpy(to, from + c * stored(orientation, x, y, sw, sh), c);
}
