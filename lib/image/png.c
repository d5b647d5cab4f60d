/* png.c -- the rows of a PNG file, by libpng.
 *
 * libpng reports errors by longjmp, so every call into it sits in a function that sets the jump's
 * target first and keeps what it needs afterwards in the struct.  Its messages never reach stderr.
 */
#include "lib/image/picture.h"

#include <errno.h>
#include <png.h>
#include <stdlib.h>
#include <string.h>

struct dtn_png {
	png_structp png;                /* NULL between files */
	png_infop info;
	struct dtn_bytes *source;
	struct dtn_fault *fault;
	uint32_t width, height;
	uint8_t *row;                   /* one row */
	size_t row_room;
	uint8_t *whole;                 /* all rows of an interlaced file */
};

static void fail(png_structp png, png_const_charp why)
{
	struct dtn_png *p = png_get_error_ptr(png);

	if (p->fault->status == DTN_OK)
		dtn_fault(p->fault, DTN_INPUT, "corrupt PNG (%s)", why);
	png_longjmp(png, 1);
}

static void ignore(png_structp png, png_const_charp why)
{
	(void)png;
	(void)why;
}

static void take(png_structp png, png_bytep to, size_t n)
{
	struct dtn_png *p = png_get_io_ptr(png);

	if (dtn_bytes_read(p->source, to, n) == n)
		return;
	if (p->source->error)
		dtn_fault_system(p->fault, p->source->error);
	else
		dtn_fault(p->fault, DTN_INPUT, "truncated PNG");
	png_error(png, "truncated");
}

struct dtn_png *dtn_png_open(void)
{
	return dtn_alloc(1, sizeof(struct dtn_png));
}

void dtn_png_abandon(struct dtn_png *p)
{
	if (p->png)
		png_destroy_read_struct(&p->png, &p->info, NULL);
	free(p->whole);
	p->whole = NULL;
}

void dtn_png_close(struct dtn_png *p)
{
	dtn_png_abandon(p);
	free(p->row);
	free(p);
}

static bool begin(struct dtn_png *p)
{
	p->png = png_create_read_struct(PNG_LIBPNG_VER_STRING, p, fail, ignore);
	p->info = p->png ? png_create_info_struct(p->png) : NULL;
	if (!p->info)
		return false;
	png_set_read_fn(p->png, p, take);
	/* The caller limits the size, by pixels.  What neither size nor colour depends on is passed
	 * over, among it compressed text and profiles that could unpack to any length. */
	png_set_user_limits(p->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
	png_set_keep_unknown_chunks(p->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
	return true;
}

/* Deflate makes at most 1032 bytes out of one: a header that promises more than the whole file can
 * hold is refused before any memory is taken for it. */
static bool too_short(const struct dtn_png *p)
{
	uint64_t row = png_get_rowbytes(p->png, p->info), size = dtn_bytes_size(p->source);

	return size > 0 && row * p->height / 1032 > size;
}

static enum dtn_pixel pixel_kind(int channels)
{
	return channels == 1 ? DTN_GREY : channels == 2 ? DTN_GREY_ALPHA :
	       channels == 3 ? DTN_RGB : DTN_RGB_ALPHA;
}

static bool header(struct dtn_png *p, struct dtn_picture *picture)
{
	if (setjmp(png_jmpbuf(p->png)))
		return false;
	png_read_info(p->png, p->info);
	p->width = png_get_image_width(p->png, p->info);
	p->height = png_get_image_height(p->png, p->info);
	png_set_expand(p->png);
	png_set_strip_16(p->png);
	picture->width = p->width;
	picture->height = p->height;
	picture->colour = png_get_color_type(p->png, p->info) & PNG_COLOR_MASK_COLOR;
	picture->orientation = 1;
	return true;
}

bool dtn_png_header(struct dtn_png *p, struct dtn_bytes *source, struct dtn_picture *picture,
		    struct dtn_fault *fault)
{
	p->source = source;
	p->fault = fault;
	if (!begin(p)) {
		dtn_png_abandon(p);
		return dtn_fault_system(fault, ENOMEM);
	}
	if (header(p, picture)) {
		int type = png_get_color_type(p->png, p->info);
		bool alpha = (type & PNG_COLOR_MASK_ALPHA) ||
			     png_get_valid(p->png, p->info, PNG_INFO_tRNS);

		picture->pixel = pixel_kind((picture->colour ? 3 : 1) + alpha);
		return true;
	}
	dtn_png_abandon(p);
	return false;
}

/* Rows arrive in order unless the file is interlaced: then seven passes fill the picture. */
static void read_passes(struct dtn_png *p, uint8_t *whole, size_t bytes, int passes)
{
	for (int pass = 0; pass < passes; pass++)
		for (uint32_t y = 0; y < p->height; y++)
			png_read_row(p->png, whole + y * bytes, NULL);
}

static bool read_rows(struct dtn_png *p, struct dtn_rows rows)
{
	size_t bytes;
	int passes;

	if (setjmp(png_jmpbuf(p->png)))
		return false;
	if (too_short(p))
		return dtn_fault(p->fault, DTN_INPUT, "corrupt PNG (too short for %ux%u pixels)",
				 p->width, p->height);
	passes = png_set_interlace_handling(p->png);
	png_read_update_info(p->png, p->info);
	bytes = png_get_rowbytes(p->png, p->info);
	if (rows.whole) {
		read_passes(p, rows.whole, bytes, passes);
	} else if (passes == 1) {
		if (bytes > p->row_room) {
			p->row = dtn_realloc(p->row, bytes, 1);
			p->row_room = bytes;
		}
		for (uint32_t y = 0; y < p->height; y++) {
			png_read_row(p->png, p->row, NULL);
			rows.row(rows.arg, p->row);
		}
	} else {
		p->whole = malloc(bytes * p->height);
		if (!p->whole)
			return dtn_fault_system(p->fault, ENOMEM);
		read_passes(p, p->whole, bytes, passes);
		for (uint32_t y = 0; y < p->height; y++)
			rows.row(rows.arg, p->whole + y * bytes);
	}
	png_read_end(p->png, NULL);
	return true;
}

bool dtn_png_rows(struct dtn_png *p, struct dtn_rows rows)
{
	bool good = read_rows(p, rows);

	dtn_png_abandon(p);
	return good;
}
