/* picture.c -- write an image file for the tests of dtn-load.
 *
 *      picture png  [-s WxH] [-k KIND] [-v NUMBER]     KIND: gray graya rgb rgba gray16 interlaced
 *      picture jpeg [-s WxH] [-k KIND] [-o EXIF]       KIND: gray rgb progressive cmyk
 *      picture idx  [-s WxH] [-n N] [-l]               N images; -l: their labels, i mod 7
 *      picture cifar [-n N]                            N records; labels i mod 10
 *
 * In PNG, IDX and CIFAR, value (y,x,c) of picture v is (7v + 3y + 5x + 11c) mod 256, as the tool
 * stream has it; alpha is 0 in the left half and 255 in the right one.  A JPEG has four even
 * quarters: red, green, blue and white in reading order.
 */
#include "lib/base.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jpeglib.h>            /* needs stdio.h before it */

static int width = 8, height = 8, count = 1, number, orientation;
static const char *kind = "rgb";
static bool labels;

static uint8_t value(int v, int y, int x, int c)
{
	return (uint8_t)(7 * v + 3 * y + 5 * x + 11 * c);
}

static void png(void)
{
	bool grey = !strncmp(kind, "gray", 4), alpha = kind[strlen(kind) - 1] == 'a';
	bool deep = !strcmp(kind, "gray16"), interlaced = !strcmp(kind, "interlaced");
	int colours = grey ? 1 : 3, step = (colours + alpha) * (deep ? 2 : 1);
	png_structp p = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png_create_info_struct(p);
	png_bytep *row = dtn_alloc((size_t)height, sizeof(*row));

	for (int y = 0; y < height; y++) {
		row[y] = dtn_alloc((size_t)width, (size_t)step);
		for (int x = 0; x < width; x++) {
			uint8_t *at = row[y] + x * step;
			for (int c = 0; c < colours; c++)
				at[c * (deep ? 2 : 1)] = value(number, y, x, c);
			if (deep)
				at[1] = 200;    /* low byte: rounding up would show */
			if (alpha)
				at[colours] = x < width / 2 ? 0 : 255;
		}
	}
	png_init_io(p, stdout);
	png_set_IHDR(p, info, (uint32_t)width, (uint32_t)height, deep ? 16 : 8,
		     (grey ? 0 : PNG_COLOR_MASK_COLOR) | (alpha ? PNG_COLOR_MASK_ALPHA : 0),
		     interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
	png_write_info(p, info);
	png_write_image(p, row);
	png_write_end(p, NULL);
}

static void exif(j_compress_ptr j)
{
	uint8_t block[] = {
		'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
		1, 0x12, 0, 3, 0, 0, 0, 1, 0, (uint8_t)orientation, 0, 0, 0, 0, 0, 0
	};

	jpeg_write_marker(j, JPEG_APP0 + 1, block, sizeof(block));
}

static void jpeg(void)
{
	static const uint8_t quarter[4][3] = {
		{ 255, 0, 0 }, { 0, 255, 0 }, { 0, 0, 255 }, { 255, 255, 255 }
	};
	bool inks = !strcmp(kind, "cmyk");
	int channels = !strcmp(kind, "gray") ? 1 : inks ? 4 : 3;
	struct jpeg_compress_struct j;
	struct jpeg_error_mgr error;
	uint8_t *row = dtn_alloc((size_t)width, 4);

	j.err = jpeg_std_error(&error);
	jpeg_create_compress(&j);
	jpeg_stdio_dest(&j, stdout);
	j.image_width = (unsigned)width;
	j.image_height = (unsigned)height;
	j.input_components = channels;
	j.in_color_space = channels == 1 ? JCS_GRAYSCALE : inks ? JCS_CMYK : JCS_RGB;
	jpeg_set_defaults(&j);
	jpeg_set_quality(&j, 100, TRUE);
	if (!strcmp(kind, "progressive"))
		jpeg_simple_progression(&j);
	jpeg_start_compress(&j, TRUE);
	if (orientation)
		exif(&j);
	for (int y = 0; y < height; y++) {
		for (int x = 0; x < width; x++) {
			const uint8_t *colour = quarter[2 * (y >= height / 2) + (x >= width / 2)];
			for (int c = 0; c < channels; c++)      /* Adobe's inks: 255 is none */
				row[x * channels + c] = c == 3 ? 255 : colour[c];
		}
		jpeg_write_scanlines(&j, &row, 1);
	}
	jpeg_finish_compress(&j);
}

static void big(uint32_t n)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		putchar((int)(n >> shift & 255));
}

static void idx(void)
{
	big(labels ? 0x801 : 0x803);
	big((uint32_t)count);
	if (!labels) {
		big((uint32_t)height);
		big((uint32_t)width);
	}
	for (int v = 0; v < count; v++) {
		if (labels)
			putchar(v % 7);
		for (int y = 0; !labels && y < height; y++)
			for (int x = 0; x < width; x++)
				putchar(value(v, y, x, 0));
	}
}

static void cifar(void)
{
	for (int v = 0; v < count; v++) {
		putchar(v % 10);
		for (int c = 0; c < 3; c++)
			for (int y = 0; y < 32; y++)
				for (int x = 0; x < 32; x++)
					putchar(value(v, y, x, c));
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int option;

	dtn_begin(argv);
	while ((option = getopt(argc - 1, argv + 1, "s:k:v:o:n:l")) != -1)
		switch (option) {
		case 's': sscanf(optarg, "%dx%d", &width, &height); break;
		case 'k': kind = optarg; break;
		case 'v': number = atoi(optarg); break;
		case 'o': orientation = atoi(optarg); break;
		case 'n': count = atoi(optarg); break;
		case 'l': labels = true; break;
		}
	if (!strcmp(what, "png"))
		png();
	else if (!strcmp(what, "jpeg"))
		jpeg();
	else if (!strcmp(what, "idx"))
		idx();
	else if (!strcmp(what, "cifar"))
		cifar();
	else
		dtn_die(DTN_USAGE, "wants png, jpeg, idx or cifar");
	return fflush(stdout) == 0 ? 0 : 1;
}
