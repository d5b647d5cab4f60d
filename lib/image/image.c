/* image.c -- one image, from a file or from memory, brought to the wanted size and colours.
 *
 *      file -> rows as stored -> grey or RGB -> resized -> turned upright
 *
 * Rows pass through one at a time.  A picture that lies on its side is resized as it lies, into a
 * buffer of the small size, and turned last.  Background that padding leaves is white, as what
 * shows through transparent pixels is.
 */
#include "lib/image/image.h"

#include "lib/image/picture.h"
#include "lib/image/resize.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* The bytes of the header that was read last, and what they say. */
struct known { uint8_t *bytes; size_t n, room; struct dtn_seen seen; };

struct dtn_decoder {
	uint64_t max_pixels;
	struct dtn_bytes source;
	struct known known;
	struct dtn_png *png;
	struct dtn_jpeg *jpeg;
	struct dtn_resize resize;
	uint8_t *row;                   /* one row in the wanted colours */
	uint8_t *lying;                 /* the small picture before it is turned */
	size_t row_room, lying_room;
	/* of the image at work */
	enum dtn_pixel pixel;
	int channels;
	uint32_t width;
	uint8_t *copy;                  /* where rows go that need no resizing, or NULL */
};

struct dtn_decoder *dtn_decoder_open(uint64_t max_pixels)
{
	struct dtn_decoder *d = dtn_alloc(1, sizeof(*d));

	d->max_pixels = max_pixels;
	return d;
}

void dtn_decoder_close(struct dtn_decoder *d)
{
	if (d->png)
		dtn_png_close(d->png);
	if (d->jpeg)
		dtn_jpeg_close(d->jpeg);
	dtn_resize_release(&d->resize);
	dtn_bytes_release(&d->source);
	free(d->known.bytes);
	free(d->row);
	free(d->lying);
	free(d);
}

const char *dtn_image_format(const uint8_t *p, size_t n)
{
	static const struct { const char *name; size_t at, length; const char *bytes; } known[] = {
		{ "PNG", 0, 8, "\x89PNG\r\n\x1a\n" },
		{ "JPEG", 0, 3, "\xff\xd8\xff" },
		{ "GIF", 0, 4, "GIF8" },
		{ "WebP", 8, 4, "WEBP" },
		{ "BMP", 0, 2, "BM" },
		{ "TIFF", 0, 4, "II*\0" },
		{ "TIFF", 0, 4, "MM\0*" },
		{ "HEIF or AVIF", 4, 4, "ftyp" },
		{ "JPEG XL", 0, 2, "\xff\x0a" },
		{ "dtn stream", 8, 8, "\x89" "DTN\r\n\x1a\n" },
		{ "gzip", 0, 2, "\x1f\x8b" },
		{ "zip", 0, 4, "PK\x03\x04" },
		{ "PDF", 0, 5, "%PDF-" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (n >= known[i].at + known[i].length &&
		    memcmp(p + known[i].at, known[i].bytes, known[i].length) == 0)
			return known[i].name;
	return NULL;
}

static void *room(uint8_t **buffer, size_t *have, size_t bytes)
{
	if (bytes > *have) {
		*buffer = dtn_realloc(*buffer, bytes, 1);
		*have = bytes;
	}
	return *buffer;
}

static bool not_an_image(struct dtn_bytes *s, const char *format, size_t n,
			 struct dtn_fault *fault)
{
	if (s->error)
		return dtn_fault_system(fault, s->error);
	if (n == 0)
		return dtn_fault(fault, DTN_INPUT, "empty file");
	if (format)
		return dtn_fault(fault, DTN_INPUT, "%s, which cannot be read: wants PNG or JPEG",
				 format);
	return dtn_fault(fault, DTN_INPUT, "neither PNG, JPEG, IDX nor CIFAR-10 data");
}

/* The header of whatever the source holds.  Afterwards the decoder waits for rows or for being
 * abandoned. */
static bool begin(struct dtn_decoder *d, struct dtn_picture *picture, bool *jpeg,
		  struct dtn_fault *fault)
{
	uint8_t first[16];
	const char *format;
	size_t n;

	fault->status = DTN_OK;
	n = dtn_bytes_peek(&d->source, first, sizeof(first));
	format = dtn_image_format(first, n);
	*jpeg = format && strcmp(format, "JPEG") == 0;
	if (*jpeg) {
		if (!d->jpeg)
			d->jpeg = dtn_jpeg_open();
		return dtn_jpeg_header(d->jpeg, &d->source, picture, fault);
	}
	if (!format || strcmp(format, "PNG") != 0)
		return not_an_image(&d->source, format, n, fault);
	if (!d->png)
		d->png = dtn_png_open();
	return dtn_png_header(d->png, &d->source, picture, fault);
}

static void abandon(struct dtn_decoder *d, bool jpeg)
{
	if (jpeg)
		dtn_jpeg_abandon(d->jpeg);
	else
		dtn_png_abandon(d->png);
}

static bool too_large(const struct dtn_decoder *d, const struct dtn_picture *p,
		      struct dtn_fault *fault)
{
	if ((uint64_t)p->width * p->height <= d->max_pixels && p->width <= INT_MAX / 4 &&
	    p->height <= INT_MAX / 4)
		return false;
	dtn_fault(fault, DTN_INPUT, "too large: %ux%u pixels, --max-pixels is %llu", p->width,
		  p->height, (unsigned long long)d->max_pixels);
	return true;
}

/* Files of one origin often have the same header to the byte.  The libraries look no further, so it
 * says the same again, and none of them need be set up. */
static bool is_known(struct dtn_decoder *d)
{
	const struct known *k = &d->known;

	return k->n > 0 && dtn_bytes_fill(&d->source) >= k->n &&
	       memcmp(d->source.buffer, k->bytes, k->n) == 0;
}

static void learn(struct dtn_decoder *d, const struct dtn_seen *seen)
{
	struct known *k = &d->known;
	const uint8_t *taken = dtn_bytes_taken(&d->source, &k->n);

	if (!taken) {
		k->n = 0;
		return;
	}
	memcpy(room(&k->bytes, &k->room, k->n), taken, k->n);
	k->seen = *seen;
}

bool dtn_decode_header(struct dtn_decoder *d, int fd, struct dtn_seen *seen,
		       struct dtn_fault *fault)
{
	struct dtn_picture p;
	bool jpeg, turned;

	dtn_bytes_begin(&d->source, fd, true);
	if (is_known(d)) {
		*seen = d->known.seen;
		return true;
	}
	if (!begin(d, &p, &jpeg, fault))
		return false;
	abandon(d, jpeg);
	if (too_large(d, &p, fault))
		return false;
	turned = p.orientation >= 5;
	seen->width = (int)(turned ? p.height : p.width);
	seen->height = (int)(turned ? p.width : p.height);
	seen->channels = p.colour ? 3 : 1;
	learn(d, seen);
	return true;
}

static void take_row(void *arg, const uint8_t *row)
{
	struct dtn_decoder *d = arg;

	if (d->copy) {
		dtn_pixel_row(d->copy, d->channels, row, d->pixel, d->width);
		d->copy += (size_t)d->width * (size_t)d->channels;
		return;
	}
	if (dtn_pixel_bytes(d->pixel) != d->channels) {
		dtn_pixel_row(d->row, d->channels, row, d->pixel, d->width);
		row = d->row;
	}
	dtn_resize_row(&d->resize, row);
}

size_t dtn_wanted_bytes(const struct dtn_wanted *w)
{
	return (size_t)w->width * (size_t)w->height * (size_t)w->channels;
}

/* Make ready for `height` rows of `width` pixels, of which `view` is to fill `out`, whose size is
 * wanted's. */
static void expect(struct dtn_decoder *d, uint32_t width, uint32_t height, enum dtn_pixel pixel,
		   const struct dtn_view *view, const struct dtn_wanted *wanted, uint8_t *out)
{
	d->pixel = pixel;
	d->channels = wanted->channels;
	d->width = width;
	d->copy = NULL;
	if (width == (uint32_t)wanted->width && height == (uint32_t)wanted->height) {
		d->copy = out;
		return;
	}
	room(&d->row, &d->row_room, (size_t)width * (size_t)wanted->channels);
	if (view->width < wanted->width || view->height < wanted->height)
		memset(out, 255, dtn_wanted_bytes(wanted));
	dtn_resize_begin(&d->resize, (int)width, (int)height, wanted->channels, view, out,
			 wanted->width);
}

/* By how much may libjpeg shrink, so that the rest still shrinks or stays? */
static int shrink(const struct dtn_view *v)
{
	double across = (v->x1 - v->x0) / v->width, down = (v->y1 - v->y0) / v->height;
	double least = across < down ? across : down;

	return least >= 8 ? 8 : least >= 4 ? 4 : least >= 2 ? 2 : 1;
}

static uint32_t reduced(uint32_t side, int by)
{
	return (side + (uint32_t)by - 1) / (uint32_t)by;
}

bool dtn_decode(struct dtn_decoder *d, int fd, const struct dtn_wanted *wanted, uint8_t *out,
		struct dtn_fault *fault)
{
	struct dtn_rows rows = { .row = take_row, .arg = d };
	struct dtn_wanted lying = *wanted;
	struct dtn_picture p;
	struct dtn_view view;
	uint8_t *target = out;
	bool jpeg, good;
	int by = 1;

	dtn_bytes_begin(&d->source, fd, false);
	if (!begin(d, &p, &jpeg, fault))
		return false;
	if (too_large(d, &p, fault)) {
		abandon(d, jpeg);
		return false;
	}
	if (p.orientation >= 5) {
		lying.width = wanted->height;
		lying.height = wanted->width;
	}
	if (p.orientation > 1)
		target = room(&d->lying, &d->lying_room, dtn_wanted_bytes(&lying));
	view = dtn_fit_view(wanted->fit, (int)p.width, (int)p.height, lying.width, lying.height);
	if (jpeg) {
		by = shrink(&view);
		dtn_jpeg_shrink(d->jpeg, &p, by, wanted->channels == 1);
		view.x0 /= by, view.x1 /= by, view.y0 /= by, view.y1 /= by;
	}
	expect(d, reduced(p.width, by), reduced(p.height, by), p.pixel, &view, &lying, target);
	if (dtn_pixel_bytes(d->pixel) == d->channels)
		rows.whole = d->copy;
	good = jpeg ? dtn_jpeg_rows(d->jpeg, rows) : dtn_png_rows(d->png, rows);
	if (good && p.orientation > 1)
		dtn_pixel_upright(out, target, p.orientation, wanted->width, wanted->height,
				  wanted->channels);
	return good;
}

void dtn_convert(struct dtn_decoder *d, const uint8_t *pixels, const struct dtn_seen *seen,
		 const struct dtn_wanted *wanted, uint8_t *out)
{
	struct dtn_view view = dtn_fit_view(wanted->fit, seen->width, seen->height, wanted->width,
					    wanted->height);
	size_t bytes = (size_t)seen->width * (size_t)seen->channels;

	expect(d, (uint32_t)seen->width, (uint32_t)seen->height,
	       seen->channels == 1 ? DTN_GREY : DTN_RGB, &view, wanted, out);
	for (int y = 0; y < seen->height; y++)
		take_row(d, pixels + (size_t)y * bytes);
}
