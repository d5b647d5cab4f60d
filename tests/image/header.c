/* header.c -- what a header says does not depend on the headers that the decoder read before.
 *
 * A decoder that knows a file is shown the same file with a byte changed, or cut; it must say what
 * a new one says.
 */
#include "lib/image/image.h"

#include "tests/check.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <jpeglib.h>            /* needs stdio.h before it */

enum { SIDE = 40, MOST = 1 << 16, MOST_PIXELS = 1 << 20 };

static uint8_t pixels[SIDE * SIDE * 3];
static int file;

static size_t make_png(uint8_t *to)
{
	png_image image = { .version = PNG_IMAGE_VERSION, .width = SIDE, .height = SIDE,
			    .format = PNG_FORMAT_RGB };
	png_alloc_size_t n = MOST;

	return png_image_write_to_memory(&image, to, &n, 0, pixels, 0, NULL) ? n : 0;
}

static size_t make_jpeg(uint8_t *to)
{
	struct jpeg_compress_struct j;
	struct jpeg_error_mgr error;
	unsigned long n = MOST;

	j.err = jpeg_std_error(&error);
	jpeg_create_compress(&j);
	jpeg_mem_dest(&j, &to, &n);
	j.image_width = j.image_height = SIDE;
	j.input_components = 3;
	j.in_color_space = JCS_RGB;
	jpeg_set_defaults(&j);
	jpeg_start_compress(&j, TRUE);
	while (j.next_scanline < SIDE)
		jpeg_write_scanlines(&j, &(JSAMPROW){ pixels + j.next_scanline * SIDE * 3 }, 1);
	jpeg_finish_compress(&j);
	jpeg_destroy_compress(&j);
	return n;
}

static void put(const uint8_t *bytes, size_t n)
{
	if (ftruncate(file, 0) != 0 || pwrite(file, bytes, n, 0) != (ssize_t)n)
		dtn_die(DTN_ENV, "write:");
}

static bool look(struct dtn_decoder *d, struct dtn_seen *seen, struct dtn_fault *fault)
{
	memset(seen, 0, sizeof(*seen));
	memset(fault, 0, sizeof(*fault));
	return dtn_decode_header(d, file, seen, fault);
}

static bool agrees(const uint8_t *original, size_t whole, const uint8_t *changed, size_t n)
{
	struct dtn_decoder *used = dtn_decoder_open(MOST_PIXELS);
	struct dtn_decoder *fresh = dtn_decoder_open(MOST_PIXELS);
	struct dtn_seen a, b;
	struct dtn_fault why, because;
	bool same;

	put(original, whole);
	same = look(used, &a, &why);
	put(changed, n);
	same = same && look(used, &a, &why) == look(fresh, &b, &because) &&
	       memcmp(&a, &b, sizeof(a)) == 0 && strcmp(why.text, because.text) == 0;
	dtn_decoder_close(used);
	dtn_decoder_close(fresh);
	return same;
}

static void kind(const char *name, size_t (*make)(uint8_t *))
{
	static const uint8_t change[] = { 1, 2, 16, 128, 255 };
	uint8_t *original = dtn_alloc(MOST, 1), *changed = dtn_alloc(MOST, 1);
	size_t n = make(original), bad = 0;

	for (size_t at = 0; at < n && at < 1000; at++)
		for (size_t i = 0; i < sizeof(change); i++) {
			memcpy(changed, original, n);
			changed[at] ^= change[i];
			bad += !agrees(original, n, changed, n);
		}
	for (size_t cut = 0; cut <= n && cut <= 1000; cut++)
		bad += !agrees(original, n, original, cut);
	check(n > 0 && bad == 0, name, "what the decoder knows is not what the file says");
	free(original);
	free(changed);
}

int main(int argc, char **argv)
{
	(void)argc;
	dtn_begin(argv);
	for (size_t i = 0; i < sizeof(pixels); i++)
		pixels[i] = (uint8_t)(i * i >> 5);
	file = memfd_create("picture", MFD_CLOEXEC);
	kind("PNG", make_png);
	kind("JPEG", make_jpeg);
	return failures > 0;
}
