/* jpeg.c -- every file of a collection of JPEGs: the right colours and the right way up, or a
 * reason.
 *
 * The manifest holds each picture's mean R, G and B as libjpeg-turbo's own djpeg gives it. */
#include "lib/image/exif.h"
#include "lib/image/image.h"

#include "tests/image/data.h"

#include <fcntl.h>
#include <math.h>
#include <unistd.h>

static struct dtn_decoder *decoder;

/* Decode at the size the file has; the pixels are the caller's.  NULL: refused. */
static uint8_t *decode(const char *path, struct dtn_wanted *size, struct dtn_fault *fault)
{
	struct dtn_seen seen;
	uint8_t *pixels = NULL;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		dtn_die(DTN_ENV, "%s:", path);
	if (dtn_decode_header(decoder, fd, &seen, fault)) {
		*size = (struct dtn_wanted){ seen.width, seen.height, 3, DTN_CROP };
		pixels = dtn_alloc((size_t)seen.width * (size_t)seen.height, 3);
		if (!dtn_decode(decoder, fd, size, pixels, fault)) {
			free(pixels);
			pixels = NULL;
		}
	}
	close(fd);
	return pixels;
}

static double mean_error(const uint8_t *pixels, size_t n, const char *expected)
{
	double mean[3], worst = 0;

	if (sscanf(expected, "%lf,%lf,%lf", &mean[0], &mean[1], &mean[2]) != 3)
		return INFINITY;
	for (size_t c = 0; c < 3; c++) {
		double sum = 0;
		for (size_t i = 0; i < n; i++)
			sum += pixels[3 * i + c];
		worst = fmax(worst, fabs(sum / (double)n - mean[c]));
	}
	return worst;
}

/* A file that djpeg takes must have its colours.  One that it refuses must be refused, except where
 * it is no JPEG at all: those that are PNG files load as what they are.  Warnings may go either way
 * here; that cut files are refused has its own case. */
static void one(const char *folder, char *field[])
{
	char *path = dtn_format("%s/%s", folder, field[0]);
	struct dtn_fault fault = { 0 };
	struct dtn_wanted size;
	uint8_t *pixels = decode(path, &size, &fault);

	if (strcmp(field[8], "ok") == 0) {
		size_t n = (size_t)size.width * (size_t)size.height;
		double e = pixels ? mean_error(pixels, n, field[9]) : INFINITY;

		check(e <= 0.011, "%s: mean colour off by %.3f %s", field[0], e, fault.text);
	} else if (strcmp(field[8], "error") == 0 && !strstr(field[10], "starts with 0x89 0x50")) {
		check(!pixels && fault.status == DTN_INPUT, "%s: %s", field[0],
		      pixels ? "was accepted" : fault.text);
	} else {
		check(pixels || fault.status == DTN_INPUT, "%s: %s", field[0],
		      pixels ? "accepted" : fault.text);
	}
	if (strstr(field[0], "truncated"))
		check(!pixels, "%s: cut, so refused", field[0]);
	free(pixels);
	free(path);
}

static void manifest(const char *data, const char *folder)
{
	char *path = dtn_format("%s/jpegs/jpegs-manifest.tsv", data), line[4096], *field[11];
	FILE *file = fopen(path, "r");

	if (!file || !fgets(line, sizeof(line), file))
		dtn_die(DTN_ENV, "%s:", path);
	free(path);
	while (fgets(line, sizeof(line), file))
		if (data_fields(line, field, 11) == 11 && strncmp(field[0], "exif/", 5) != 0)
			one(folder, field);
	fclose(file);
}

/* Each picture of a series is the first one, turned: the mean difference is that of JPEG alone. */
static void series(const char *folder, const char *name, int width, int height)
{
	struct dtn_fault fault = { 0 };
	struct dtn_wanted size;
	uint8_t *first = NULL;

	for (int i = 1; i <= 9; i++) {
		char *path = dtn_format("%s/exif/%s_%d.jpg", folder, name, i % 9);
		uint8_t *pixels = decode(path, &size, &fault);
		size_t n = (size_t)width * (size_t)height * 3;
		double sum = 0;

		free(path);
		if (!pixels || size.width != width || size.height != height) {
			check(false, "%s_%d: %dx%d %s", name, i % 9, size.width, size.height,
			      fault.text);
			free(pixels);
			continue;
		}
		for (size_t k = 0; first && k < n; k++)
			sum += abs(pixels[k] - first[k]);
		check(sum / (double)n < 6, "%s_%d: differs by %.2f", name, i % 9, sum / (double)n);
		if (!first)
			first = pixels;
		else
			free(pixels);
	}
	free(first);
}

static void put(uint8_t *p, unsigned n, int bytes, bool big)
{
	for (int i = 0; i < bytes; i++)
		p[big ? bytes - 1 - i : i] = (uint8_t)(n >> 8 * i);
}

/* A directory with a first entry that does not matter, then the orientation. */
static size_t exif(uint8_t *p, unsigned orientation, bool big)
{
	memcpy(p, "Exif\0\0", 6);
	memcpy(p + 6, big ? "MM" : "II", 2);
	put(p + 8, 42, 2, big);
	put(p + 10, 8, 4, big);
	put(p + 14, 2, 2, big);
	memset(p + 16, 1, 12);
	put(p + 28, 0x112, 2, big);
	put(p + 30, 3, 2, big);
	put(p + 32, 1, 4, big);
	put(p + 36, orientation, 2, big);
	put(p + 38, 0, 2, big);
	return 40;
}

static void exif_cases(void)
{
	uint8_t bytes[40], *exact;
	uint32_t seed = 1;
	bool good = true;

	for (unsigned o = 0; o < 11; o++)
		for (int big = 0; big < 2; big++) {
			int want = o >= 1 && o <= 8 ? (int)o : 1;
			good = good && dtn_exif_orientation(bytes, exif(bytes, o, big)) == want;
		}
	check(good, "orientations 0 to 10, both byte orders");
	good = true;
	for (size_t n = 0; n <= 40; n++) {      /* allocated exactly, for the sanitizer */
		exact = dtn_alloc(n, 1);
		exif(bytes, 6, false);
		memcpy(exact, bytes, n);
		good = good && dtn_exif_orientation(exact, n) == (n == 40 ? 6 : 1);
		free(exact);
	}
	check(good, "every cut of an EXIF block is upright");
	for (int i = 0; i < 200000; i++) {
		exact = dtn_alloc(40, 1);
		memcpy(exact, bytes, exif(bytes, 6, i & 1));
		for (int k = 0; k < 3; k++) {
			seed = seed * 1664525 + 1013904223;
			exact[6 + (seed >> 8) % 34] = (uint8_t)(seed >> 24);
		}
		int o = dtn_exif_orientation(exact, 40);
		good = good && o >= 1 && o <= 8;
		free(exact);
	}
	check(good, "damaged EXIF blocks give an orientation all the same");
}

int main(int argc, char **argv)
{
	const char *data;
	char *folder, *inner;

	(void)argc;
	dtn_begin(argv);
	exif_cases();
	data = data_folder("the collection of JPEGs");
	if (!data)
		return failures > 0;
	decoder = dtn_decoder_open(1 << 26);
	folder = data_unpack(data, "jpegs/jpegs.tar.gz");
	inner = dtn_format("%s/jpegs", folder);
	manifest(data, inner);
	series(inner, "Landscape", 225, 150);
	series(inner, "Portrait", 150, 225);
	free(inner);
	data_remove(folder);
	dtn_decoder_close(decoder);
	return failures > 0;
}
