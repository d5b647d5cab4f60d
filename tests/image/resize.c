/* resize.c -- resizing, fitting, colours and turning against their meaning, in double.
 *
 * The reference takes each result pixel's weights straight from the definition and sums over the
 * whole picture; what streams rows must agree to the rounding of a byte. */
#include "lib/image/image.h"
#include "lib/image/pixel.h"
#include "lib/image/resize.h"

#include "tests/image/data.h"

#include <math.h>

static uint32_t state = 7;

static uint8_t noise(void)
{
	state = state * 1664525 + 1013904223;
	return (uint8_t)(state >> 24);
}

/* Keys' cubic with a = -1/2 as he writes it, by distance. */
static double keys(double s)
{
	s = fabs(s);
	return s < 1 ? 1.5 * s * s * s - 2.5 * s * s + 1 :
	       s < 2 ? -0.5 * s * s * s + 2.5 * s * s - 4 * s + 2 : 0;
}

/* The weight of source pixel k in result i, when from..to becomes `results` pixels. */
static double weight(int i, int k, double from, double to, int source, int results)
{
	double step = (to - from) / results, sum = 0;

	if (step >= 1) {
		double begin = fmax(from + i * step, k), end = fmin(from + (i + 1) * step, k + 1.0);

		return fmax(0, end - begin) / step;
	}
	/* The first and last pixel stand for all beyond them. */
	for (int at = k > 0 ? k : -4; at <= (k < source - 1 ? k : source + 3); at++)
		sum += keys(from + (i + 0.5) * step - 0.5 - at);
	return sum;
}

static double reference(const uint8_t *p, int w, int h, int channels, int c,
			const struct dtn_view *v, int x, int y)
{
	double sum = 0;

	for (int sy = 0; sy < h; sy++) {
		double down = weight(y, sy, v->y0, v->y1, h, v->height);
		for (int sx = 0; down != 0 && sx < w; sx++)
			sum += down * weight(x, sx, v->x0, v->x1, w, v->width) *
			       p[(sy * w + sx) * channels + c];
	}
	return fmin(255, fmax(0, sum));
}

/* The largest difference from the reference; what a view leaves out must be white. */
static double compare(struct dtn_decoder *d, int w, int h, int tw, int th, int channels,
		      enum dtn_fit fit)
{
	struct dtn_seen seen = { w, h, channels };
	struct dtn_wanted wanted = { tw, th, channels, fit };
	struct dtn_view v = dtn_fit_view(fit, w, h, tw, th);
	uint8_t *p = dtn_alloc((size_t)(w * h), (size_t)channels);
	uint8_t *out = dtn_alloc((size_t)(tw * th), (size_t)channels), *q = out;
	double worst = 0;

	for (int i = 0; i < w * h * channels; i++)
		p[i] = noise();
	memset(out, 77, (size_t)(tw * th * channels));
	dtn_convert(d, p, &seen, &wanted, out);
	for (int y = 0; y < th; y++)
		for (int x = 0; x < tw; x++)
			for (int c = 0; c < channels; c++, q++) {
				int vx = x - v.x, vy = y - v.y;
				bool inside = vx >= 0 && vx < v.width && vy >= 0 && vy < v.height;
				double want = inside ? reference(p, w, h, channels, c, &v, vx, vy)
						     : 255;

				worst = fmax(worst, fabs(*q - want));
			}
	free(p);
	free(out);
	return worst;
}

static void against_reference(struct dtn_decoder *d)
{
	static const int sizes[][4] = {         /* source w, h; target w, h */
		{ 8, 8, 8, 8 }, { 9, 7, 3, 5 }, { 31, 57, 16, 16 }, { 64, 48, 64, 47 },
		{ 100, 1, 7, 7 }, { 1, 1, 5, 4 }, { 2, 3, 31, 17 }, { 5, 40, 20, 10 },
		{ 33, 33, 32, 32 }, { 200, 133, 1, 1 }, { 3, 200, 8, 2 }, { 61, 17, 30, 18 },
		{ 28, 28, 32, 32 }, { 1, 90, 3, 3 }, { 13, 29, 26, 58 },
	};
	static const char *const fits[] = { "crop", "stretch", "pad" };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		for (int fit = DTN_CROP; fit <= DTN_PAD; fit++) {
			const int *s = sizes[i];
			double e = fmax(compare(d, s[0], s[1], s[2], s[3], 3, (enum dtn_fit)fit),
					compare(d, s[0], s[1], s[2], s[3], 1, (enum dtn_fit)fit));
			/* Half for rounding, a little for sums in float. */
			check(e < 0.502, "%dx%d to %dx%d, %s: off by %.3f", s[0], s[1], s[2], s[3],
			      fits[fit], e);
		}
}

static void constant(struct dtn_decoder *d)
{
	uint8_t p[70 * 70], out[90 * 90];
	bool good = true;

	for (int value = 0; value < 256; value += 5)
		for (int k = 1; k <= 70; k++) {
			struct dtn_seen seen = { k, 71 - k, 1 };
			int w = 1 + (k * 37) % 90, h = 1 + (k * 53) % 90;
			struct dtn_wanted wanted = { w, h, 1, DTN_STRETCH };
			size_t n = (size_t)(wanted.width * wanted.height);

			memset(p, value, sizeof(p));
			dtn_convert(d, p, &seen, &wanted, out);
			for (size_t i = 0; i < n; i++)
				good = good && out[i] == value;
		}
	check(good, "an even area stays even, to the bit, at any ratio");
}

static void views(void)
{
	struct dtn_view v = dtn_fit_view(DTN_CROP, 200, 100, 64, 64);

	check(v.x0 == 50 && v.x1 == 150 && v.y0 == 0 && v.y1 == 100 && v.width == 64,
	      "crop: the middle");
	v = dtn_fit_view(DTN_CROP, 33, 100, 32, 32);
	check(v.x0 == 0 && v.x1 == 33 && v.y0 == 33.5 && v.y1 == 66.5,
	      "crop: half pixels when scaled");
	v = dtn_fit_view(DTN_CROP, 101, 50, 50, 50);
	check(v.x0 == 25 && v.x1 == 75, "crop: whole pixels when not scaled");
	v = dtn_fit_view(DTN_PAD, 200, 100, 64, 64);
	check(v.x0 == 0 && v.x1 == 200 && v.x == 0 && v.y == 16 && v.width == 64 && v.height == 32,
	      "pad: everything, in the middle");
	v = dtn_fit_view(DTN_PAD, 1, 5000, 64, 64);
	check(v.width == 1 && v.height == 64 && v.x == 31, "pad: never less than a pixel");
	v = dtn_fit_view(DTN_STRETCH, 200, 100, 64, 32);
	check(v.x1 == 200 && v.y1 == 100 && v.width == 64 && v.height == 32, "stretch: everything");
}

static bool row_is(enum dtn_pixel kind, int channels, const char *from, const char *want,
		   uint32_t n)
{
	uint8_t out[16];

	dtn_pixel_row(out, channels, (const uint8_t *)from, kind, n);
	return memcmp(out, want, n * (size_t)channels) == 0;
}

static void colours(void)
{
	check(row_is(DTN_GREY, 3, "\x00\x80\xff", "\x00\x00\x00\x80\x80\x80\xff\xff\xff", 3),
	      "grey to RGB");
	check(row_is(DTN_RGB, 1, "\xff\x00\x00\x00\xff\x00\x00\x00\xff", "\x4c\x96\x1d", 3),
	      "RGB to luma");
	check(row_is(DTN_GREY_ALPHA, 1, "\x00\x00\x00\xff\x00\x80\xc8\x64", "\xff\x00\x7f\xe9", 4),
	      "grey with alpha over white");
	check(row_is(DTN_RGB_ALPHA, 3, "\x10\x20\x30\x00\x10\x20\x30\xff\x00\xff\x64\x33",
		     "\xff\xff\xff\x10\x20\x30\xcc\xff\xe0", 3), "RGB with alpha over white");
	check(row_is(DTN_CMYK, 3, "\x00\x00\x00\x00\xff\x00\x00\x00\x00\x00\x00\xff",
		     "\xff\xff\xff\x00\xff\xff\x00\x00\x00", 3), "inks");
	check(row_is(DTN_CMYK_INVERTED, 3, "\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\x00",
		     "\xff\xff\xff\x00\xff\xff\x00\x00\x00", 3), "inks, inverted");
}

/* The letter F, 2 wide and 3 high, as EXIF's eight orientations store it [TIFF 6.0, page 36]. */
static void orientations(void)
{
	static const char upright[] = "FEDCBA";         /* rows FE DC BA */
	static const char *const stored[] = {
		"FEDCBA", "EFCDAB", "ABCDEF", "BADCFE",
		"FDBECA",               /* 5: 0th row is the left side, 0th column the top */
		"ECAFDB",               /* 6: 0th row is the right side, 0th column the top */
		"ACEBDF",               /* 7: 0th row is the right side, 0th column the bottom */
		"BDFACE",               /* 8: 0th row is the left side, 0th column the bottom */
	};

	for (int o = 1; o <= 8; o++) {
		uint8_t out[7] = { 0 };

		dtn_pixel_upright(out, (const uint8_t *)stored[o - 1], o, 2, 3, 1);
		check(memcmp(out, upright, 6) == 0, "orientation %d: %s", o, (char *)out);
	}
}

int main(int argc, char **argv)
{
	struct dtn_decoder *d;

	(void)argc;
	dtn_begin(argv);
	d = dtn_decoder_open(1 << 26);
	against_reference(d);
	constant(d);
	views();
	colours();
	orientations();
	dtn_decoder_close(d);
	return failures > 0;
}
