/* grid.c -- where each image lies in the picture of them all. */
#include "lib/image/grid.h"

#include <stdlib.h>
#include <string.h>

enum { PNG_MOST = 0x7fffffff };

/* The smallest c with c*c >= n. */
static uint64_t square_side(uint64_t n)
{
	uint64_t c = 1;

	while (c * c < n)
		c++;
	return c;
}

/* n parts of `size` pixels with pads between and around; false above what a PNG can have. */
static bool extent(uint64_t *result, uint64_t n, uint64_t size, uint64_t pad)
{
	return dtn_mul(result, n, size + pad) && dtn_add(result, *result, pad) &&
	       *result <= PNG_MOST;
}

bool dtn_grid_init(struct dtn_grid *g)
{
	uint64_t columns = g->columns ? g->columns : square_side(g->images);
	uint64_t rows;

	if (columns > g->images)
		columns = g->images;
	if (columns == 0 || columns > UINT32_MAX)
		return false;
	rows = (g->images - 1) / columns + 1;
	g->columns = (uint32_t)columns;
	return extent(&g->picture_width, columns * g->together, (uint64_t)g->width * g->scale,
		      g->pad) &&
	       extent(&g->picture_height, rows, (uint64_t)g->height * g->scale, g->pad);
}

uint64_t dtn_grid_bytes(const struct dtn_grid *g)
{
	return (uint64_t)g->height * g->width * (uint64_t)g->channels * g->together;
}

/* `width` pixels, each `scale` times. */
static uint8_t *widen(uint8_t *to, const uint8_t *from, uint32_t width, int channels,
		      uint32_t scale)
{
	for (uint32_t x = 0; x < width; x++, from += channels)
		for (uint32_t i = 0; i < scale; i++, to += channels)
			memcpy(to, from, (size_t)channels);
	return to;
}

void dtn_grid_row(const struct dtn_grid *g, const uint8_t *images, uint64_t y, uint8_t *row)
{
	uint64_t cell = (uint64_t)g->height * g->scale + g->pad;
	uint64_t within = y >= g->pad ? (y - g->pad) % cell / g->scale : g->height;
	uint64_t first = y >= g->pad ? (y - g->pad) / cell * g->columns : 0;
	uint64_t end = first + g->columns < g->images ? first + g->columns : g->images;
	size_t line = (size_t)g->width * (size_t)g->channels;
	size_t pad = (size_t)g->pad * (size_t)g->channels;

	memset(row, 0, (size_t)g->picture_width * (size_t)g->channels);
	if (within >= g->height)
		return;
	for (uint64_t i = first * g->together; i < end * g->together; i++)
		row = widen(row + pad, images + (i * g->height + within) * line, g->width,
			    g->channels, g->scale);
}

void dtn_grid_write(const struct dtn_grid *g, const uint8_t *images, struct dtn_output *output,
		    const struct dtn_png_text *text, int texts)
{
	uint8_t *row = dtn_alloc((size_t)g->picture_width, (size_t)g->channels);
	struct dtn_png_writer *png =
		dtn_png_writer_open(output, (uint32_t)g->picture_width,
				    (uint32_t)g->picture_height, g->channels, text, texts);

	for (uint64_t y = 0; y < g->picture_height; y++) {
		dtn_grid_row(g, images, y, row);
		dtn_png_write_row(png, row);
	}
	dtn_png_writer_close(png);
	free(row);
}
