/* dtn-png.c -- samples as a picture: one grid, or a file for each.
 *
 * A picture's height stands at its beginning, so a grid is held in memory, as bytes, until the last
 * sample has come.  Files of their own are written as the samples arrive.
 */
#include "format/dtn.h"
#include "lib/image/grid.h"
#include "lib/image/png_write.h"
#include "lib/image/tone.h"
#include "lib/options.h"
#include "lib/output.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct dtn_option options[] = {
	{ "columns", 0, "N", "images in a row (default: to make a square)" },
	{ "scale", 0, "K", "enlarge every pixel to KxK (default: 1)" },
	{ "pad", 0, "N", "black pixels around images (default: 2)" },
	{ "each", 0, "DIR", "write DIR/00000000.png and so on instead of a grid" },
	{ "field", 0, "NAME", "show the tensor of this name" },
	{ "max-pixels", 0, "N", "refuse to make a larger picture (default: 256M)" },
	{ "no-prov", 0, NULL, "do not say in the picture how it was made" },
	{ NULL, 0, NULL, NULL }
};

static const struct dtn_command command = {
	"[OPTION]... [STREAM...]", "Make a PNG picture of samples.", options,
	DTN_OUTPUT | DTN_THREADS
};

/* Options that change nothing in a picture. */
static const char idle[] = "--each= --max-pixels= --field=";

struct job {
	struct dtn_args args;
	struct dtn_grid grid;           /* columns 0: not given */
	const char *each, *field;
	uint64_t max_pixels;
	bool silent;                    /* --no-prov */

	struct dtn_reader *in;
	struct dtn_output out;
	int segment;                    /* 1, 2, … */
	struct dtn_meta meta;           /* what all segments so far agree on */
	struct dtn_prov prov;

	uint8_t *pixels;                /* [N,H,W,C] of the grid, or of one record */
	uint64_t room;                  /* bytes there */
	uint64_t strange;               /* values that are no numbers */
};

static void parse(struct job *job, int argc, char **argv)
{
	struct dtn_args *a = &job->args;
	const char *name;

	job->grid.scale = 1;
	job->grid.pad = 2;
	job->max_pixels = (uint64_t)256 << 20;
	dtn_args_begin(a, &command, argc, argv);
	while ((name = dtn_args_next(a))) {
		if (!strcmp(name, "columns"))
			job->grid.columns = (uint32_t)dtn_args_int(a, 1, INT_MAX);
		else if (!strcmp(name, "scale"))
			job->grid.scale = (uint32_t)dtn_args_int(a, 1, 1024);
		else if (!strcmp(name, "pad"))
			job->grid.pad = (uint32_t)dtn_args_int(a, 0, 1024);
		else if (!strcmp(name, "each"))
			job->each = a->value;
		else if (!strcmp(name, "field"))
			job->field = a->value;
		else if (!strcmp(name, "max-pixels"))
			job->max_pixels = dtn_args_size(a);
		else
			job->silent = true;
	}
	if (job->each && a->output)
		dtn_usage("--each and -o exclude each other");
}

/* --- what a picture says about itself ---------------------------------------------------- */

/* The commands, one a line, this one last. */
static char *history(struct job *job)
{
	struct dtn_prov prov = { 0 };
	char *text = dtn_strdup("");

	dtn_prov_merge(&prov, &job->prov);
	dtn_prov_add(&prov, job->args.argc, job->args.argv, idle, job->args.operands,
		     job->args.operand);
	for (int i = 0; i < prov.n; i++) {
		char *more = dtn_format("%s%s%s", text, i ? "\n" : "", prov.line[i].command);
		free(text);
		text = more;
	}
	dtn_prov_release(&prov);
	return text;
}

static void write_picture(struct job *job, struct dtn_output *out, const struct dtn_grid *g,
			  const uint8_t *images)
{
	struct dtn_png_text *text = dtn_alloc((size_t)job->meta.n + 2, sizeof(*text));
	char *commands = job->silent ? NULL : history(job);
	uint8_t *row = dtn_alloc((size_t)g->picture_width, (size_t)g->channels);
	struct dtn_png_writer *png;
	int n = 0;

	if (!job->silent) {
		text[n++] = (struct dtn_png_text){ "Software", "dtn " DTN_VERSION };
		text[n++] = (struct dtn_png_text){ "dtn.commands", commands };
		for (int i = 0; i < job->meta.n; i++)
			text[n++] = (struct dtn_png_text){ job->meta.pair[i].key,
							   job->meta.pair[i].value };
	}
	png = dtn_png_writer_open(out, (uint32_t)g->picture_width, (uint32_t)g->picture_height,
				  g->channels, text, n);
	for (uint64_t y = 0; y < g->picture_height; y++) {
		dtn_grid_row(g, images, y, row);
		dtn_png_write_row(png, row);
	}
	dtn_png_writer_close(png);
	free(commands);
	free(text);
	free(row);
}

/* --- samples come in --------------------------------------------------------------------- */

static _Noreturn void too_large(const struct job *job)
{
	dtn_die(DTN_INPUT, "%s: image too large: beyond %llu pixels (--max-pixels) or 2^31-1 "
		"a side", dtn_reader_name(job->in), (unsigned long long)job->max_pixels);
}

static char *shape_of(const struct dtn_tensor *t)
{
	char *text = dtn_strdup("[");

	for (int i = 0; i < t->rank; i++) {
		char *more = dtn_format("%s%s%llu", text, i ? "," : "",
					(unsigned long long)t->dim[i]);
		free(text);
		text = more;
	}
	return dtn_format("%s]", text);
}

/* What is shown: the tensor that was asked for, else results before what they were made of. */
static int choose(const struct job *job, const struct dtn_record *r)
{
	static const int roles[] = { DTN_SAMPLE, DTN_NOISED, DTN_IMAGE, DTN_NOISE };

	if (job->field) {
		for (int i = 0; i < r->tensors; i++)
			if (!strcmp(r->tensor[i].name, job->field))
				return i;
		dtn_reader_die(job->in, "no tensor \"%s\"", job->field);
	}
	for (size_t k = 0; k < sizeof(roles) / sizeof(roles[0]); k++) {
		int i = dtn_find_tensor(r, roles[k], NULL);
		if (i >= 0)
			return i;
	}
	dtn_reader_die(job->in, "no tensor that holds images");
}

/* Is it [N,H,W,C] of one or three channels, of a type that we know, and of the size of the
 * others? */
static void check(struct job *job, const struct dtn_tensor *t)
{
	struct dtn_grid *g = &job->grid;

	if (!t->batched || t->rank != 4 || (t->dim[3] != 1 && t->dim[3] != 3) || t->dim[1] == 0 ||
	    t->dim[2] == 0 || t->dim[1] > INT_MAX || t->dim[2] > INT_MAX)
		dtn_reader_die(job->in, "cannot make an image from shape %s", shape_of(t));
	if (t->type != DTN_U8 && t->type != DTN_F32)
		dtn_reader_die(job->in, "tensor %s: dtype %s not supported", t->name,
			       dtn_type_name(t->type));
	if (g->height && (t->dim[1] != g->height || t->dim[2] != g->width ||
			  (int)t->dim[3] != g->channels))
		dtn_reader_die(job->in, "segment %d: incompatible field \"%s\": %s, expected "
			       "[N,%u,%u,%d]", job->segment, t->name, shape_of(t), g->height,
			       g->width, g->channels);
	g->height = (uint32_t)t->dim[1];
	g->width = (uint32_t)t->dim[2];
	g->channels = (int)t->dim[3];
}

/* A trajectory, or an image at several timesteps, is shown as a row: the first segment that says
 * how long it is decides. */
static void frames(struct job *job)
{
	const struct dtn_meta *meta = dtn_reader_meta(job->in);
	const char *traced = dtn_meta_get(meta, "sample.frames"),
		   *text = traced ? traced : dtn_meta_get(meta, "noise.frames");
	char *end;
	long n = text ? strtol(text, &end, 10) : 0;

	if (!job->grid.columns && n > 0 && n <= INT_MAX && !*end)
		job->grid.columns = (uint32_t)n;
}

/* n bytes at job->pixels, which are kept. */
static void make_room(struct job *job, uint64_t n)
{
	if (n <= job->room)
		return;
	job->room = n > 2 * job->room ? n : 2 * job->room;
	job->pixels = dtn_realloc(job->pixels, job->room, 1);
}

/* The record's images, as bytes, from job->pixels + at.  Room is made once the data has come:
 * what a record only claims to hold costs nothing. */
static void read_pixels(struct job *job, int i, const struct dtn_tensor *t, uint64_t at)
{
	const void *data = dtn_read_tensor(job->in, i, NULL);
	uint64_t n = t->bytes / dtn_type_size(t->type);

	make_room(job, at + n);
	if (t->type == DTN_U8)
		memcpy(job->pixels + at, data, n);
	else
		job->strange += dtn_tone_to_u8(job->pixels + at, data, n);
}

/* Would n more images still make a picture of the permitted size? */
static void check_size(const struct job *job, uint64_t n)
{
	const struct dtn_grid *g = &job->grid;
	uint64_t area = (uint64_t)g->height * g->width;

	if (!dtn_mul(&area, area, (uint64_t)g->scale * g->scale) || !dtn_mul(&area, area, n) ||
	    area > job->max_pixels)
		too_large(job);
}

static void write_file(struct job *job, uint64_t index, const uint8_t *image)
{
	struct dtn_grid g = job->grid;
	struct dtn_output out;
	char *path = dtn_format("%s/%08llu.png", job->each, (unsigned long long)index);

	g.images = 1;
	g.pad = 0;
	if (!dtn_grid_init(&g))
		too_large(job);
	dtn_output_open(&out, path, true);
	out.hasty = true;
	write_picture(job, &out, &g, image);
	dtn_output_commit(&out);
	free(path);
}

static void take_record(struct job *job, const struct dtn_record *r)
{
	struct dtn_grid *g = &job->grid;
	int i = choose(job, r);
	const struct dtn_tensor *t = &r->tensor[i];
	uint64_t bytes;

	check(job, t);
	check_size(job, job->each ? 1 : g->images + t->dim[0]);
	bytes = (uint64_t)g->height * g->width * (uint64_t)g->channels;
	read_pixels(job, i, t, job->each ? 0 : g->images * bytes);
	for (uint64_t k = 0; job->each && k < t->dim[0]; k++)
		write_file(job, g->images + k, job->pixels + k * bytes);
	g->images += t->dim[0];
}

static void take_segment(struct job *job)
{
	const struct dtn_record *r;

	job->segment++;
	if (job->each) {                /* each picture tells its own story */
		dtn_meta_release(&job->meta);
		dtn_prov_release(&job->prov);
	}
	/* A picture of several runs must not name the seed of one. */
	if (job->each || job->segment == 1)
		dtn_meta_copy(&job->meta, dtn_reader_meta(job->in));
	else
		dtn_meta_agree(&job->meta, dtn_reader_meta(job->in));
	dtn_prov_merge(&job->prov, dtn_reader_prov(job->in));
	frames(job);
	while ((r = dtn_next_record(job->in)))
		take_record(job, r);
}

static void write_grid(struct job *job)
{
	struct dtn_grid *g = &job->grid;

	if (!dtn_grid_init(g) || g->picture_height * g->picture_width > job->max_pixels)
		too_large(job);
	dtn_say("%llu images, %u in a row, %llux%llu pixels", (unsigned long long)g->images,
		g->columns, (unsigned long long)g->picture_width,
		(unsigned long long)g->picture_height);
	write_picture(job, &job->out, g, job->pixels);
	dtn_output_commit(&job->out);
}

int main(int argc, char **argv)
{
	static struct job job;

	dtn_begin(argv);
	parse(&job, argc, argv);
	job.in = dtn_reader_open(job.args.operands, job.args.operand, DTN_SAMPLES);
	dtn_reader_threads(job.in, job.args.threads ? job.args.threads : 1);
	if (!job.each)
		dtn_output_open(&job.out, job.args.output, job.args.force);
	else if (mkdir(job.each, 0777) != 0 && errno != EEXIST)
		dtn_die(DTN_ENV, "%s:", job.each);
	while (dtn_next_segment(job.in))
		take_segment(&job);
	if (job.grid.images == 0)
		dtn_die(DTN_INPUT, "%s: no images", dtn_reader_name(job.in));
	if (!job.each)
		write_grid(&job);
	if (job.strange)
		dtn_warn("%llu values are no numbers and shown as black",
			 (unsigned long long)job.strange);
	dtn_reader_close(job.in);
	return DTN_OK;
}
