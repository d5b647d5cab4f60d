/* jpeg.c -- the rows of a JPEG file, by libjpeg.
 *
 * libjpeg reports errors through a function that must not return: ours jumps back to the entry that
 * called into the library.  What it only warns of is an error here too, because the rest of the
 * picture would be grey or garbage; the few warnings that leave the picture whole are passed over.
 */
#include "lib/image/picture.h"

#include "lib/image/exif.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

enum {
	MOST_SCANS = 200,       /* a progressive file has about ten; a bomb has thousands */
	AT_A_TIME = 4,          /* rows; libjpeg makes one, two or four in one go */
	EOI = 0xd9
};

struct dtn_jpeg {
	struct jpeg_decompress_struct codec;    /* first: the callbacks get its address */
	struct jpeg_error_mgr error;
	struct jpeg_source_mgr input;
	struct jpeg_progress_mgr progress;
	jmp_buf failed;
	struct dtn_bytes *source;
	struct dtn_fault *fault;
	int orientation;
	uint8_t *row;
	size_t row_room;
	uint8_t exif[65536];
};

/* libjpeg's sentence without its "Corrupt JPEG data: " in front and its period. */
static void describe(j_common_ptr codec, char text[JMSG_LENGTH_MAX])
{
	static const char corrupt[] = "Corrupt JPEG data: ";
	char *begin = text;
	size_t n;

	codec->err->format_message(codec, text);
	if (strncmp(text, corrupt, strlen(corrupt)) == 0)
		begin += strlen(corrupt);
	n = strlen(begin);
	if (n > 0 && begin[n - 1] == '.')
		n--;
	memmove(text, begin, n);
	text[n] = '\0';
}

static _Noreturn void fail(j_common_ptr codec)
{
	struct dtn_jpeg *j = (struct dtn_jpeg *)codec;
	char text[JMSG_LENGTH_MAX];

	if (j->fault->status == DTN_OK && codec->err->msg_code == JERR_OUT_OF_MEMORY) {
		dtn_fault_system(j->fault, ENOMEM);
	} else if (j->fault->status == DTN_OK) {
		describe(codec, text);
		if (strncmp(text, "Unsupported", 11) == 0)
			dtn_fault(j->fault, DTN_INPUT, "u%s", text + 1);
		else
			dtn_fault(j->fault, DTN_INPUT, "corrupt JPEG (%s)", text);
	}
	longjmp(j->failed, 1);
}

static void message(j_common_ptr codec, int level)
{
	const struct jpeg_error_mgr *e = codec->err;

	if (level >= 0)         /* a trace */
		return;
	if (e->msg_code == JWRN_JFIF_MAJOR || e->msg_code == JWRN_ADOBE_XFORM)
		return;
	/* Bytes between the last pixel and the end marker: many cameras and editors leave some. */
	if (e->msg_code == JWRN_EXTRANEOUS_DATA && e->msg_parm.i[1] == EOI)
		return;
	fail(codec);
}

static void count_scans(j_common_ptr codec)
{
	struct dtn_jpeg *j = (struct dtn_jpeg *)codec;

	if (j->codec.input_scan_number <= MOST_SCANS)
		return;
	dtn_fault(j->fault, DTN_INPUT, "corrupt JPEG (more than %d scans)", (int)MOST_SCANS);
	fail(codec);
}

static void nothing(j_decompress_ptr codec)
{
	(void)codec;
}

static boolean fill(j_decompress_ptr codec)
{
	struct dtn_jpeg *j = (struct dtn_jpeg *)codec;
	struct dtn_bytes *s = j->source;
	size_t n = dtn_bytes_fill(s);

	if (n == 0) {
		if (s->error)
			dtn_fault_system(j->fault, s->error);
		else
			dtn_fault(j->fault, DTN_INPUT, "truncated JPEG");
		fail((j_common_ptr)codec);
	}
	j->input.next_input_byte = s->buffer + s->start;
	j->input.bytes_in_buffer = n;
	s->start = s->end;
	return TRUE;
}

static void skip(j_decompress_ptr codec, long n)
{
	struct jpeg_source_mgr *in = codec->src;

	while (n > (long)in->bytes_in_buffer) {
		n -= (long)in->bytes_in_buffer;
		fill(codec);
	}
	if (n > 0) {
		in->next_input_byte += n;
		in->bytes_in_buffer -= (size_t)n;
	}
}

static unsigned byte(j_decompress_ptr codec)
{
	if (codec->src->bytes_in_buffer == 0)
		fill(codec);
	codec->src->bytes_in_buffer--;
	return *codec->src->next_input_byte++;
}

/* Called at every APP1 marker: the first that holds EXIF says which way is up. */
static boolean read_app1(j_decompress_ptr codec)
{
	struct dtn_jpeg *j = (struct dtn_jpeg *)codec;
	unsigned length = byte(codec) << 8;
	size_t n;

	length |= byte(codec);
	n = length < 2 ? 0 : length - 2;
	for (size_t i = 0; i < n; i++)
		j->exif[i] = (uint8_t)byte(codec);
	if (j->orientation == 0 && n >= 6 && memcmp(j->exif, "Exif\0", 6) == 0)
		j->orientation = dtn_exif_orientation(j->exif, n);
	return TRUE;
}

struct dtn_jpeg *dtn_jpeg_open(void)
{
	struct dtn_jpeg *j = dtn_alloc(1, sizeof(*j));

	j->input.init_source = nothing;
	j->input.fill_input_buffer = fill;
	j->input.skip_input_data = skip;
	j->input.resync_to_restart = jpeg_resync_to_restart;
	j->input.term_source = nothing;
	j->progress.progress_monitor = count_scans;
	return j;
}

/* What libjpeg was given and has not taken goes back to the source. */
void dtn_jpeg_abandon(struct dtn_jpeg *j)
{
	j->source->start = j->source->end - j->input.bytes_in_buffer;
	jpeg_destroy_decompress(&j->codec);
}

void dtn_jpeg_close(struct dtn_jpeg *j)
{
	free(j->row);
	free(j);
}

static bool has_inks(const struct dtn_jpeg *j)
{
	return j->codec.jpeg_color_space == JCS_CMYK || j->codec.jpeg_color_space == JCS_YCCK;
}

/* A codec is made for each file: one that is kept would lend a damaged file the tables of the last.
 */
static bool header(struct dtn_jpeg *j)
{
	memset(&j->codec, 0, sizeof(j->codec));
	j->codec.err = jpeg_std_error(&j->error);
	j->error.error_exit = fail;
	j->error.emit_message = message;
	if (setjmp(j->failed))
		return false;
	jpeg_create_decompress(&j->codec);
	j->codec.src = &j->input;
	j->codec.progress = &j->progress;
	jpeg_set_marker_processor(&j->codec, JPEG_APP0 + 1, read_app1);
	jpeg_read_header(&j->codec, TRUE);
	if (j->codec.num_components == 1 || j->codec.num_components == 3 || has_inks(j))
		return true;
	return dtn_fault(j->fault, DTN_INPUT, "JPEG with %d color components is not supported",
			 j->codec.num_components);
}

/* What the rows will hold: grey, RGB, or four inks, which Adobe's programs store inverted. */
static void choose_output(struct dtn_jpeg *j, struct dtn_picture *picture, bool grey)
{
	J_COLOR_SPACE stored = j->codec.jpeg_color_space;

	if (has_inks(j)) {
		j->codec.out_color_space = JCS_CMYK;
		picture->pixel = j->codec.saw_Adobe_marker ? DTN_CMYK_INVERTED : DTN_CMYK;
	} else if (j->codec.num_components == 1 || (grey && stored == JCS_YCbCr)) {
		j->codec.out_color_space = JCS_GRAYSCALE;
		picture->pixel = DTN_GREY;
	} else {
		j->codec.out_color_space = JCS_RGB;
		picture->pixel = DTN_RGB;
	}
}

bool dtn_jpeg_header(struct dtn_jpeg *j, struct dtn_bytes *source, struct dtn_picture *picture,
		     struct dtn_fault *fault)
{
	j->source = source;
	j->fault = fault;
	j->orientation = 0;
	j->input.bytes_in_buffer = 0;
	if (!header(j)) {
		dtn_jpeg_abandon(j);
		return false;
	}
	picture->width = j->codec.image_width;
	picture->height = j->codec.image_height;
	picture->colour = j->codec.num_components > 1;
	picture->orientation = j->orientation ? j->orientation : 1;
	choose_output(j, picture, false);
	return true;
}

void dtn_jpeg_shrink(struct dtn_jpeg *j, struct dtn_picture *picture, int by, bool grey)
{
	j->codec.scale_num = 1;
	j->codec.scale_denom = (unsigned)by;
	choose_output(j, picture, grey);
}

static bool read_rows(struct dtn_jpeg *j, struct dtn_rows rows)
{
	size_t bytes;

	if (setjmp(j->failed))
		return false;
	jpeg_start_decompress(&j->codec);
	bytes = (size_t)j->codec.output_width * (size_t)j->codec.output_components;
	if (!rows.whole && bytes > j->row_room) {
		free(j->row);
		j->row = dtn_alloc_aligned(bytes + DTN_ASKEW);
		j->row_room = bytes;
	}
	while (j->codec.output_scanline < j->codec.output_height) {
		JSAMPROW row[AT_A_TIME];
		unsigned n = j->codec.output_height - j->codec.output_scanline;

		if (!rows.whole) {
			row[0] = j->row + DTN_ASKEW;
			jpeg_read_scanlines(&j->codec, row, 1);
			rows.row(rows.arg, row[0]);
			continue;
		}
		if (n > AT_A_TIME)
			n = AT_A_TIME;
		for (unsigned i = 0; i < n; i++)
			row[i] = rows.whole + (j->codec.output_scanline + i) * bytes;
		jpeg_read_scanlines(&j->codec, row, n);
	}
	jpeg_finish_decompress(&j->codec);
	return true;
}

bool dtn_jpeg_rows(struct dtn_jpeg *j, struct dtn_rows rows)
{
	bool good = read_rows(j, rows);

	dtn_jpeg_abandon(j);
	return good;
}
