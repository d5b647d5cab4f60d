/* png_write.c -- libpng's writing side.
 *
 * libpng hands over bytes in small pieces (a chunk's length, its name, its body, its checksum);
 * they are gathered here so that a pipe sees few writes.  Whatever goes wrong ends the program,
 * so libpng's longjmp is not needed.
 */
#include "lib/image/png_write.h"

#include <stdlib.h>
#include <string.h>

#include <png.h>

enum { ROOM = 1 << 16 };

struct dtn_png_writer {
	png_structp png;
	png_infop info;
	struct dtn_output *output;
	size_t n;
	uint8_t buffer[ROOM];
};

static void flush(struct dtn_png_writer *w)
{
	dtn_output_write(w->output, w->buffer, w->n);
	w->n = 0;
}

static void take(png_structp png, png_bytep data, size_t bytes)
{
	struct dtn_png_writer *w = png_get_io_ptr(png);

	while (bytes > 0) {
		size_t part = ROOM - w->n < bytes ? ROOM - w->n : bytes;
		memcpy(w->buffer + w->n, data, part);
		w->n += part;
		data += part;
		bytes -= part;
		if (w->n == ROOM)
			flush(w);
	}
}

static void keep(png_structp png)
{
	(void)png;
}

static void on_error(png_structp png, png_const_charp text)
{
	const struct dtn_output *output = png_get_error_ptr(png);

	dtn_die(DTN_ENV, "%s: libpng: %s", output->name, text);
}

static void on_warning(png_structp png, png_const_charp text)
{
	const struct dtn_output *output = png_get_error_ptr(png);

	dtn_warn("%s: libpng: %s", output->name, text);
}

/* Memory or death, so that libpng has nothing to say about it. */
static png_voidp get(png_structp png, png_alloc_size_t bytes)
{
	(void)png;
	return dtn_alloc(1, bytes);
}

static void give_back(png_structp png, png_voidp p)
{
	(void)png;
	free(p);
}

/* Latin-1 is what tEXt holds; anything beyond ASCII travels as UTF-8 in iTXt. */
static void add_texts(struct dtn_png_writer *w, const struct dtn_png_text *text, int texts)
{
	png_text *t = dtn_alloc((size_t)texts, sizeof(*t));

	for (int i = 0; i < texts; i++) {
		bool ascii = true;
		for (const char *p = text[i].value; *p; p++)
			ascii &= (unsigned char)*p < 0x80;
		t[i].compression = ascii ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
		t[i].key = (char *)(uintptr_t)text[i].key;
		t[i].text = (char *)(uintptr_t)text[i].value;
		t[i].text_length = ascii ? strlen(text[i].value) : 0;
		t[i].itxt_length = ascii ? 0 : strlen(text[i].value);
	}
	if (texts > 0)
		png_set_text(w->png, w->info, t, texts);
	free(t);
}

struct dtn_png_writer *dtn_png_writer_open(struct dtn_output *output, uint32_t width,
					   uint32_t height, int channels,
					   const struct dtn_png_text *text, int texts)
{
	struct dtn_png_writer *w = dtn_alloc(1, sizeof(*w));
	int colour = channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB;

	w->output = output;
	w->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, output, on_error, on_warning,
					   NULL, get, give_back);
	w->info = w->png ? png_create_info_struct(w->png) : NULL;
	if (!w->info)
		dtn_die(DTN_ENV, "out of memory");
	png_set_write_fn(w->png, w, take, keep);
	png_set_user_limits(w->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_set_compression_buffer_size(w->png, ROOM);
	png_set_IHDR(w->png, w->info, width, height, 8, colour, PNG_INTERLACE_NONE,
		     PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
	add_texts(w, text, texts);
	png_write_info(w->png, w->info);
	return w;
}

void dtn_png_write_row(struct dtn_png_writer *w, const uint8_t *row)
{
	png_write_row(w->png, row);
}

void dtn_png_writer_close(struct dtn_png_writer *w)
{
	png_write_end(w->png, NULL);
	flush(w);
	png_destroy_write_struct(&w->png, &w->info);
	free(w);
}
