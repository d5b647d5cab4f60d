/* decode.c -- how fast do libpng and libjpeg alone decode a folder of files?
 *
 *      decode make DIR N               write DIR/png and DIR/jpeg, N pictures each
 *      decode png|jpeg THREADS DIR...  print the seconds that all files of the folders take
 *
 * What dtn-load is compared with: each thread takes the next file, reads it and decodes it into
 * memory, by the shortest use of the library.  The pictures are 256x192, smooth with some grain,
 * like photographs.
 */
#include "lib/base.h"
#include "lib/nn/pool.h"

#include <errno.h>
#include <glob.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jpeglib.h>            /* needs stdio.h before it */

enum { WIDE = 256, HIGH = 192, ROW = WIDE * 3 };

/* --- making --------------------------------------------------------------------------------- */

static uint32_t bits(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static void draw(uint8_t *pixel, uint32_t number)       /* [HIGH,WIDE,3] */
{
	uint32_t seed = number * 2654435761u + 1;
	float fx = 0.01f + (float)(bits(&seed) % 100) / 1000,
	      fy = 0.01f + (float)(bits(&seed) % 100) / 1000;

	for (int y = 0; y < HIGH; y++)
		for (int x = 0; x < WIDE; x++)
			for (int c = 0; c < 3; c++) {
				float wave = sinf((float)x * fx + (float)c) *
					     cosf((float)y * fy - (float)c);
				float edge =
					(x / 32 + y / 24 + (int)number) % 5 < 2 ? 20.0f : -20.0f;
				float grain = (float)(bits(&seed) % 9) - 4;

				*pixel++ = (uint8_t)(128 + 90 * wave + edge * wave + grain);
			}
}

static FILE *create(const char *path)
{
	FILE *f = fopen(path, "wb");

	if (!f)
		dtn_die(DTN_ENV, "open %s:", path);
	return f;
}

static void write_png(const char *path, const uint8_t *pixel)
{
	png_image image = { .version = PNG_IMAGE_VERSION,
			    .width = WIDE,
			    .height = HIGH,
			    .format = PNG_FORMAT_RGB };

	if (!png_image_write_to_file(&image, path, 0, pixel, 0, NULL))
		dtn_die(DTN_ENV, "%s: %s", path, image.message);
}

static void write_jpeg(const char *path, const uint8_t *pixel)
{
	struct jpeg_compress_struct j;
	struct jpeg_error_mgr error;
	FILE *f = create(path);

	j.err = jpeg_std_error(&error);
	jpeg_create_compress(&j);
	jpeg_stdio_dest(&j, f);
	j.image_width = WIDE;
	j.image_height = HIGH;
	j.input_components = 3;
	j.in_color_space = JCS_RGB;
	jpeg_set_defaults(&j);
	jpeg_set_quality(&j, 85, TRUE);
	jpeg_start_compress(&j, TRUE);
	while (j.next_scanline < HIGH)
		jpeg_write_scanlines(&j, &(JSAMPROW){ (JSAMPROW)pixel + j.next_scanline * ROW }, 1);
	jpeg_finish_compress(&j);
	jpeg_destroy_compress(&j);
	if (fclose(f) != 0)
		dtn_die(DTN_ENV, "write %s:", path);
}

static void make(const char *folder, int n)
{
	static const char *const kind[] = { "png", "jpeg" };
	uint8_t *pixel = dtn_alloc(HIGH, ROW);

	for (int k = 0; k < 2; k++) {
		char *below = dtn_format("%s/%s", folder, kind[k]);

		if (mkdir(below, 0777) != 0 && errno != EEXIST)
			dtn_die(DTN_ENV, "mkdir %s:", below);
		for (int i = 0; i < n; i++) {
			char *path = dtn_format("%s/%05d.%s", below, i, kind[k]);

			draw(pixel, (uint32_t)i);
			(k ? write_jpeg : write_png)(path, pixel);
			free(path);
		}
		free(below);
	}
	free(pixel);
}

/* --- decoding ------------------------------------------------------------------------------- */

static void read_png(FILE *f, uint8_t *pixel)
{
	png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png_create_info_struct(png);

	png_init_io(png, f);
	png_read_info(png, info);
	if (png_get_rowbytes(png, info) != ROW || png_get_image_height(png, info) != HIGH)
		dtn_die(DTN_INPUT, "not a picture of this program");
	for (int y = 0; y < HIGH; y++)
		png_read_row(png, pixel + y * ROW, NULL);
	png_read_end(png, NULL);
	png_destroy_read_struct(&png, &info, NULL);
}

static void read_jpeg(FILE *f, uint8_t *pixel)
{
	struct jpeg_decompress_struct j;
	struct jpeg_error_mgr error;

	j.err = jpeg_std_error(&error);
	jpeg_create_decompress(&j);
	jpeg_stdio_src(&j, f);
	jpeg_read_header(&j, TRUE);
	jpeg_start_decompress(&j);
	if (j.output_width != WIDE || j.output_height != HIGH || j.output_components != 3)
		dtn_die(DTN_INPUT, "not a picture of this program");
	while (j.output_scanline < HIGH)
		jpeg_read_scanlines(&j, &(JSAMPROW){ pixel + j.output_scanline * ROW }, 1);
	jpeg_finish_decompress(&j);
	jpeg_destroy_decompress(&j);
}

struct work {
	char **path;
	uint8_t **pixel;        /* per worker */
	bool jpeg;
};

static void nothing(void)
{
}

static void one(void *arg, int worker, int i)
{
	struct work *w = arg;
	FILE *f = fopen(w->path[i], "rb");

	if (!f)
		dtn_die(DTN_ENV, "open %s:", w->path[i]);
	(w->jpeg ? read_jpeg : read_png)(f, w->pixel[worker]);
	fclose(f);
}

static void decode(const char *kind, int threads, int folders, char **folder)
{
	struct work w = { .jpeg = kind[0] == 'j' };
	struct dtn_pool *pool = dtn_pool_open(threads, nothing);
	glob_t found;
	double began;

	for (int i = 0; i < folders; i++) {
		char *pattern = dtn_format("%s/*.%s", folder[i], kind);

		if (glob(pattern, i ? GLOB_APPEND : 0, NULL, &found) != 0)
			dtn_die(DTN_INPUT, "no files %s", pattern);
		free(pattern);
	}
	w.path = found.gl_pathv;
	w.pixel = dtn_alloc((size_t)threads, sizeof(*w.pixel));
	for (int i = 0; i < threads; i++)
		w.pixel[i] = dtn_alloc(HIGH, ROW);
	began = dtn_seconds();
	dtn_pool_each(pool, (int)found.gl_pathc, one, &w);
	printf("%.4f\n", dtn_seconds() - began);
	dtn_pool_close(pool);
	for (int i = 0; i < threads; i++)
		free(w.pixel[i]);
	free(w.pixel);
	globfree(&found);
}

int main(int argc, char **argv)
{
	dtn_begin(argv);
	if (argc < 4)
		dtn_die(DTN_USAGE, "usage: decode make DIR N | decode png|jpeg THREADS DIR...");
	if (strcmp(argv[1], "make") == 0)
		make(argv[2], atoi(argv[3]));
	else
		decode(argv[1], atoi(argv[2]), argc - 3, argv + 3);
	return 0;
}
