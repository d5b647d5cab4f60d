/* png.c -- every file of PngSuite and of a collection of corner cases: the right pixels, or a
 * reason.
 *
 * The manifests hold the SHA-256 of each picture as RGBA rows, made by another program. */
#include "lib/image/picture.h"

#include "tests/image/data.h"

#include <fcntl.h>
#include <unistd.h>

static struct {
	enum dtn_pixel kind;
	uint32_t width;
	uint8_t *next;
} rgba;

static void take(void *arg, const uint8_t *p)
{
	int step = dtn_pixel_bytes(rgba.kind);

	(void)arg;
	for (uint32_t x = 0; x < rgba.width; x++, p += step, rgba.next += 4) {
		bool colour = step >= 3;
		rgba.next[0] = p[0];
		rgba.next[1] = colour ? p[1] : p[0];
		rgba.next[2] = colour ? p[2] : p[0];
		rgba.next[3] = step == 2 ? p[1] : step == 4 ? p[3] : 255;
	}
}

/* The picture's digest; false: refused, with the reason in `fault`. */
static bool digest(struct dtn_png *png, const char *path, char hex[65], struct dtn_fault *fault)
{
	struct dtn_bytes source = { 0 };
	struct dtn_picture picture;
	uint8_t *pixels = NULL;
	int fd = open(path, O_RDONLY);
	bool good;

	if (fd < 0)
		dtn_die(DTN_ENV, "%s:", path);
	fault->status = DTN_OK;
	dtn_bytes_begin(&source, fd, false);
	good = dtn_png_header(png, &source, &picture, fault);
	if (good && (uint64_t)picture.width * picture.height > 1 << 26) {
		dtn_png_abandon(png);
		good = dtn_fault(fault, DTN_INPUT, "too large");
	}
	if (good) {
		size_t bytes = (size_t)picture.width * picture.height * 4;

		pixels = dtn_alloc(bytes, 1);
		rgba.kind = picture.pixel;
		rgba.width = picture.width;
		rgba.next = pixels;
		good = dtn_png_rows(png, (struct dtn_rows){ .row = take });
		sha256(hex, pixels, bytes);
	}
	free(pixels);
	dtn_bytes_release(&source);
	close(fd);
	return good;
}

static bool tidy(const struct dtn_fault *fault)
{
	size_t n = strlen(fault->text);

	return fault->status != DTN_OK && n > 0 && fault->text[n - 1] != '.' &&
	       !strchr(fault->text, '\n');
}

static void manifest(struct dtn_png *png, const char *data, const char *table, const char *folder)
{
	char *path = dtn_format("%s/pngsuite/%s", data, table), line[4096], hex[65], *field[10];
	FILE *file = fopen(path, "r");
	struct dtn_fault fault;

	if (!file || !fgets(line, sizeof(line), file))
		dtn_die(DTN_ENV, "%s:", path);
	free(path);
	while (fgets(line, sizeof(line), file)) {
		if (data_fields(line, field, 10) != 10)
			continue;
		path = dtn_format("%s/%s", folder, field[0]);
		if (strcmp(field[7], "ok") != 0) {
			bool refused = !digest(png, path, hex, &fault);
			check(refused && tidy(&fault), "%s: %s", field[0],
			      refused ? fault.text : "was accepted");
		} else if (digest(png, path, hex, &fault)) {
			check(strcmp(hex, field[8]) == 0, "%s: pixels", field[0]);
		} else {        /* under invalid/, libpng may accept what another program refuses */
			check(strncmp(field[0], "invalid/", 8) == 0 && tidy(&fault), "%s: %s",
			      field[0], fault.text);
		}
		free(path);
	}
	fclose(file);
}

int main(int argc, char **argv)
{
	const char *data;
	struct dtn_png *png;
	char *folder, *inner;

	(void)argc;
	dtn_begin(argv);
	data = data_folder("PngSuite");
	if (!data)
		return 0;
	png = dtn_png_open();
	folder = data_unpack(data, "pngsuite/pngsuite.tar.gz");
	inner = dtn_format("%s/pngsuite", folder);
	manifest(png, data, "pngsuite-manifest.tsv", inner);
	free(inner);
	data_remove(folder);
	folder = data_unpack(data, "pngsuite/png-extra.tar.gz");
	inner = dtn_format("%s/png-extra", folder);
	manifest(png, data, "png-extra-manifest.tsv", inner);
	free(inner);
	data_remove(folder);
	dtn_png_close(png);
	return failures > 0;
}
