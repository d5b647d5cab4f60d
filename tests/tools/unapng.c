/* unapng.c -- print an animated PNG as text, for the tests; written from the PNG specification.
 *
 *      unapng FILE     "WIDTH HEIGHT CHANNELS FRAMES PLAYS"; for each frame "frame SECONDS" as the
 *                      fraction it is, then a line for each row, values between blanks
 *      unapng -f FILE  the filters that its rows have, 0 to 4
 *
 * It knows what dtn-png may write (8 bits, grey or RGB, whole frames) and is strict: checksums, the
 * order of chunks, sequence numbers, lengths, and that nothing follows.  Only zlib's inflate is not
 * its own.  Anything wrong: a line on stderr and status 1.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static unsigned char *file;
static size_t size, at;
static unsigned width, height, channels, frames, sequence, frame, rows;
static int controls, images, ended, silent, used[5];
static unsigned char *above, *row;      /* of the frame; row[0] is the filter */
static size_t line, have;               /* bytes of `row`, and how many are there */
static z_stream z;

static void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "unapng: at byte %zu: ", at);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	exit(1);
}

static unsigned u32(const unsigned char *p)
{
	return (unsigned)p[0] << 24 | (unsigned)p[1] << 16 | (unsigned)p[2] << 8 | p[3];
}

/* CRC-32 bit by bit. */
static unsigned check_sum(const unsigned char *p, size_t n)
{
	unsigned c = 0xffffffffu;

	for (size_t i = 0; i < n; i++) {
		c ^= p[i];
		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
	}
	return ~c;
}

static int predictor(int a, int b, int c)
{
	int p = a + b - c, pa = abs(p - a), pb = abs(p - b), pc = abs(p - c);

	return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

static void one_row(void)
{
	unsigned char *x = row + 1;
	size_t n = line - 1, bpp = channels;

	if (rows++ == height)
		die("more than %u rows", height);
	if (row[0] > 4)
		die("filter %d", row[0]);
	used[row[0]] = 1;
	for (size_t i = 0; i < n; i++) {
		int a = i < bpp ? 0 : x[i - bpp], b = above[i], c = i < bpp ? 0 : above[i - bpp];

		x[i] = (unsigned char)(x[i] + (row[0] == 1 ? a : row[0] == 2 ? b :
				       row[0] == 3 ? (a + b) / 2 :
				       row[0] == 4 ? predictor(a, b, c) : 0));
		if (!silent)
			printf("%d%c", x[i], i + 1 < n ? ' ' : '\n');
	}
	memcpy(above, x, n);
	have = 0;
}

static void data(const unsigned char *p, size_t n)
{
	int result = Z_OK;

	if (n == 0)
		die("an empty chunk");
	z.next_in = (unsigned char *)p;
	z.avail_in = (unsigned)n;
	while (z.avail_in > 0) {
		z.next_out = row + have;
		z.avail_out = (unsigned)(line - have);
		if (result == Z_STREAM_END)
			die("bytes after the compressed data");
		result = inflate(&z, Z_NO_FLUSH);
		if (result != Z_OK && result != Z_STREAM_END)
			die("inflate: %d", result);
		have = line - z.avail_out;
		if (have == line)
			one_row();
	}
	ended = result == Z_STREAM_END;
}

static void end_frame(void)
{
	if (frame > 0 && (rows != height || have != 0 || !ended))
		die("frame %u: %u of %u rows, %zu bytes more, ended %d", frame, rows, height, have,
		    ended);
}

static void begin_frame(const unsigned char *p, size_t n)
{
	end_frame();
	if (n != 26 || !controls)
		die("fcTL of %zu bytes, acTL %d", n, controls);
	if (u32(p) != sequence)
		die("sequence number %u, expected %u", u32(p), sequence);
	sequence++;
	if (u32(p + 4) != width || u32(p + 8) != height || u32(p + 12) || u32(p + 16) || p[24] ||
	    p[25])
		die("no whole frame");
	if (!silent)
		printf("frame %d/%d\n", p[20] << 8 | p[21], p[22] << 8 | p[23]);
	frame++;
	rows = 0;
	ended = 0;
	memset(above, 0, line);
	inflateReset(&z);
}

static void header(const unsigned char *p, size_t n)
{
	if (n != 13 || width)
		die("IHDR of %zu bytes", n);
	width = u32(p);
	height = u32(p + 4);
	channels = p[9] == 0 ? 1 : p[9] == 2 ? 3 : 0;
	if (!width || !height || width >> 31 || height >> 31 || p[8] != 8 || !channels || p[10] ||
	    p[11] || p[12])
		die("%ux%u, %d bits, colour type %d", width, height, p[8], p[9]);
	line = (size_t)width * channels + 1;
	row = malloc(line);
	above = malloc(line);
	if (!row || !above || inflateInit(&z) != Z_OK)
		die("out of memory");
}

static void control(const unsigned char *p, size_t n)
{
	if (n != 8 || controls++ || images || u32(p) == 0)
		die("acTL of %zu bytes, out of place or a second", n);
	frames = u32(p);
	if (!silent)
		printf("%u %u %u %u %u\n", width, height, channels, frames, u32(p + 4));
}

static void chunk(const char *type, const unsigned char *p, size_t n)
{
	static char last[5];

	if (!width && strcmp(type, "IHDR"))
		die("%s before IHDR", type);
	if (!strcmp(type, "IHDR")) {
		header(p, n);
	} else if (!strcmp(type, "acTL")) {
		control(p, n);
	} else if (!strcmp(type, "fcTL")) {
		begin_frame(p, n);
	} else if (!strcmp(type, "IDAT")) {
		if (frame != 1 || (images++ && strcmp(last, "IDAT")))
			die("IDAT after %s in frame %u", last, frame);
		data(p, n);
	} else if (!strcmp(type, "fdAT")) {
		if (frame < 2 || n < 5 || u32(p) != sequence)
			die("fdAT in frame %u, number %u, expected %u", frame, u32(p), sequence);
		sequence++;
		data(p + 4, n - 4);
	} else if (!strcmp(type, "IEND")) {
		end_frame();
		if (n || frame != frames || !images || at + 4 != size)
			die("IEND after %u of %u frames, %zu bytes follow", frame, frames,
			    size - at - 4);
	} else if (strcmp(type, "tEXt") && strcmp(type, "iTXt")) {
		die("unexpected %s", type);
	}
	strcpy(last, type);
}

int main(int argc, char **argv)
{
	FILE *f = argc > 1 ? fopen(argv[argc - 1], "rb") : NULL;
	char type[5] = "";
	size_t n;

	silent = argc > 2 && !strcmp(argv[1], "-f");
	file = malloc(1 << 28);
	size = f && file ? fread(file, 1, 1 << 28, f) : 0;
	if (size < 8 || memcmp(file, "\x89PNG\r\n\x1a\n", 8))
		die("no PNG");
	for (at = 8; at < size; at += 4) {
		if (size - at < 12 || (n = u32(file + at)) > size - at - 12)
			die("cut short");
		memcpy(type, file + at + 4, 4);
		if (check_sum(file + at + 4, n + 4) != u32(file + at + 8 + n))
			die("checksum of %s", type);
		at += 8 + n;
		chunk(type, file + at - n, n);
	}
	if (strcmp(type, "IEND"))
		die("no IEND");
	for (int i = 0; silent && i < 5; i++)
		if (used[i])
			printf("%d\n", i);
	return 0;
}
