/* unpng.c -- print a PNG file as text, for the tests: its size, its pixels, what it says of itself.
 *
 *      unpng FILE      "WIDTH HEIGHT CHANNELS", then a line for each row, values between blanks
 *      unpng -t FILE   "KEY=VALUE" for each text chunk
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

int main(int argc, char **argv)
{
	int texts = argc > 2 && !strcmp(argv[1], "-t");
	FILE *f = fopen(argv[argc - 1], "rb");
	png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
	png_infop info = png_create_info_struct(png);
	png_textp text;
	png_bytep *rows;
	unsigned width, height, channels;

	if (!f || setjmp(png_jmpbuf(png)))
		return 1;
	png_init_io(png, f);
	png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_read_png(png, info, 0, NULL);
	if (texts) {
		int n = png_get_text(png, info, &text, NULL);
		for (int i = 0; i < n; i++)
			printf("%s=%s\n", text[i].key, text[i].text);
		return fgetc(f) != EOF;
	}
	width = png_get_image_width(png, info);
	height = png_get_image_height(png, info);
	channels = png_get_channels(png, info);
	rows = png_get_rows(png, info);
	printf("%u %u %u\n", width, height, channels);
	for (unsigned y = 0; y < height; y++)
		for (unsigned i = 0; i < width * channels; i++)
			printf("%d%c", rows[y][i], i + 1 < width * channels ? ' ' : '\n');
	return fgetc(f) != EOF;         /* nothing may follow */
}
