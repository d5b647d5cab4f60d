/* dtn-png.c -- samples as a picture: one grid, a file for each, or trajectories frame by frame.
 *
 * A picture's height stands at its beginning, so a grid is held in memory, as bytes, until the last
 * sample has come.  Files of their own are written as the samples arrive.  An animation, and files
 * for frames, show one frame of all trajectories after the other, but a stream holds one trajectory
 * after the other, so all is put aside first.
 */
#include "format/dtn.h"
#include "lib/image/film.h"
#include "lib/image/grid.h"
#include "lib/image/said.h"
#include "lib/image/shown.h"
#include "lib/options.h"
#include "lib/output.h"
#include "lib/spool.h"

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
	{ "frames", 0, "DIR", "the same for trajectories: each file a grid, of one frame" },
	{ "animate", 0, NULL, "show trajectories as an animation" },
	{ "fps", 0, "N", "frames of it in a second (default: 12)" },
	{ "field", 0, "NAME,...", "show the tensor of this name; several side by side" },
	{ "max-pixels", 0, "N", "refuse to make a larger picture (default: 256M)" },
	{ "no-prov", 0, NULL, "do not say in the picture how it was made" },
	{ NULL, 0, NULL, NULL }
};

static const struct dtn_command command = {
	"[OPTION]... [STREAM]...", "Make a PNG picture of samples.", options,
	DTN_OUTPUT | DTN_ONE_THREAD | DTN_STREAM_IN
};

/* How long an animation's last frame stays, in seconds, and what of it is kept in memory. */
enum { PAUSE = 2, SPOOL_BYTES = 64 << 20 };

/* Options that change nothing in a picture. */
static const char idle[] = "--each= --frames= --max-pixels= --max-record=";

enum kind { GRID, EACH, FRAMES, FILM };

struct job {
	struct dtn_args args;
	struct dtn_grid grid;           /* columns 0: not given */
	enum kind kind;
	const char *folder;             /* of EACH and FRAMES */
	uint64_t max_pixels;
	bool silent;                    /* --no-prov */
	double fps;                     /* 0: not given */

	struct dtn_reader *in;
	struct dtn_output out;
	int segment;                    /* 1, 2, … */
	struct dtn_meta meta;           /* what all segments so far agree on */
	struct dtn_prov prov;
	struct dtn_said said;           /* nothing with --no-prov */

	uint64_t frames;                /* of each trajectory; 0: still images */
	struct dtn_spool spool;         /* FRAMES, FILM: all of them, [N,frames,fields,H,W,C] */

	struct dtn_shown shown;         /* its pixels are those of the grid, or of one record or
					 * frame */
};

/* Are trajectories shown frame by frame? */
static bool by_frame(const struct job *job)
{
	return job->kind == FRAMES || job->kind == FILM;
}

static void choose(struct job *job, enum kind kind)
{
	if (job->kind != GRID && job->kind != kind)
		dtn_usage("--each, --frames and --animate exclude each other");
	job->kind = kind;
	if (kind != FILM)
		job->folder = job->args.value;
}

static void parse(struct job *job, int argc, char **argv)
{
	struct dtn_args *a = &job->args;
	const char *name;

	job->grid.scale = 1;
	job->grid.pad = 2;
	job->max_pixels = (uint64_t)256 << 20;
	dtn_shown_init(&job->shown);
	dtn_args_begin(a, &command, argc, argv);
	while ((name = dtn_args_next(a))) {
		if (!strcmp(name, "columns"))
			job->grid.columns = (uint32_t)dtn_args_int(a, 1, INT_MAX);
		else if (!strcmp(name, "scale"))
			job->grid.scale = (uint32_t)dtn_args_int(a, 1, 1024);
		else if (!strcmp(name, "pad"))
			job->grid.pad = (uint32_t)dtn_args_int(a, 0, 1024);
		else if (!strcmp(name, "each"))
			choose(job, EACH);
		else if (!strcmp(name, "frames"))
			choose(job, FRAMES);
		else if (!strcmp(name, "animate"))
			choose(job, FILM);
		else if (!strcmp(name, "fps"))
			job->fps = dtn_args_real(a, 0.01, 1000);
		else if (!strcmp(name, "field"))
			dtn_shown_names(&job->shown, a);
		else if (!strcmp(name, "max-pixels"))
			job->max_pixels = dtn_args_size(a);
		else
			job->silent = true;
	}
	if (job->folder && a->output)
		dtn_usage("%s and -o exclude each other",
			  job->kind == EACH ? "--each" : "--frames");
	if (job->fps > 0 && job->kind != FILM)
		dtn_usage("--fps is for --animate");
}

/* --- samples come in --------------------------------------------------------------------- */

static _Noreturn void too_large(const struct job *job)
{
	dtn_die(DTN_INPUT, "%s: image too large: beyond %llu pixels (--max-pixels) or 2^31-1 "
		"a side", dtn_reader_name(job->in), (unsigned long long)job->max_pixels);
}

/* How long the segment's trajectories are, or at how many timesteps its images; 0: neither. */
static uint64_t length(const struct job *job)
{
	const struct dtn_meta *meta = dtn_reader_meta(job->in);
	const char *traced = dtn_meta_get(meta, "sample.frames"),
		   *text = traced ? traced : dtn_meta_get(meta, "noise.frames");
	char *end;
	long n = text ? strtol(text, &end, 10) : 0;

	return n > 0 && n <= INT_MAX && !*end ? (uint64_t)n : 0;
}

/* Such are shown as a row or by frames, all of one length; --each and --columns ask for no rows. */
static void frames(struct job *job)
{
	uint64_t n = length(job);

	if (by_frame(job) && n == 0)
		dtn_reader_die(job->in, "still images: %s wants trajectories (dtn-sample --trace)",
			       job->kind == FILM ? "--animate" : "--frames");
	if (job->segment == 1)
		job->frames = n;
	if (n == job->frames || job->kind == EACH || (job->kind == GRID && job->grid.columns))
		return;
	if (n == 0 || job->frames == 0)
		dtn_reader_die(job->in, "trajectories and still images together want --columns or "
			       "--each");
	dtn_reader_die(job->in, "trajectories of %llu frames, expected %llu",
		       (unsigned long long)n, (unsigned long long)job->frames);
}

/* Has the segment whole trajectories?  Else those that follow would be out of step. */
static void check_frames(const struct job *job)
{
	if (by_frame(job) && job->grid.images % job->frames != 0)
		dtn_reader_die(job->in, "trajectories of %llu frames are not whole",
			       (unsigned long long)job->frames);
}

/* Would n images still make a picture of the permitted size? */
static void check_size(const struct job *job, uint64_t n)
{
	const struct dtn_grid *g = &job->grid;
	uint64_t area = (uint64_t)g->height * g->width;

	if (!dtn_mul(&area, area, (uint64_t)g->scale * g->scale) ||
	    !dtn_mul(&area, area, g->together) || !dtn_mul(&area, area, n) ||
	    area > job->max_pixels)
		too_large(job);
}

/* What pictures say, once everything about their samples is known. */
static void say(struct job *job)
{
	const struct dtn_args *a = &job->args;

	dtn_said_release(&job->said);
	if (job->silent)
		return;
	dtn_prov_add(&job->prov, a->argc, a->argv, idle, a->operands, a->operand);
	dtn_said_make(&job->said, &job->meta, &job->prov);
}

static void write_file(struct job *job, uint64_t index, const struct dtn_grid *g,
		       const uint8_t *images)
{
	struct dtn_output out;
	char *path = dtn_format("%s/%08llu.png", job->folder, (unsigned long long)index);

	dtn_output_open(&out, path, true);
	out.hasty = true;
	dtn_grid_write(g, images, &out, job->said.text, job->said.n);
	dtn_output_commit(&out);
	free(path);
}

/* The record's images, at their places in the stream. */
static void write_each(struct job *job, uint64_t images)
{
	struct dtn_grid g = job->grid;

	g.images = 1;
	g.pad = 0;
	if (!dtn_grid_init(&g))
		too_large(job);
	for (uint64_t k = 0; k < images; k++)
		write_file(job, job->grid.images + k, &g,
			   job->shown.pixels + k * dtn_grid_bytes(&g));
}

static void take_record(struct job *job, const struct dtn_record *r)
{
	struct dtn_shown *shown = &job->shown;
	struct dtn_grid *g = &job->grid;
	uint64_t bytes, all = g->images + r->samples;
	uint64_t frame = by_frame(job) ? (all + job->frames - 1) / job->frames : all;

	dtn_shown_choose(shown, job->in, r, g);
	check_size(job, job->kind == EACH ? 1 : frame);
	bytes = dtn_grid_bytes(g);
	dtn_shown_read(shown, job->in, r, g, job->kind == GRID ? g->images * bytes : 0);
	if (by_frame(job))
		dtn_spool_add(&job->spool, shown->pixels, r->samples * bytes);
	else if (job->kind == EACH)
		write_each(job, r->samples);
	g->images = all;
}

static void take_segment(struct job *job)
{
	const struct dtn_record *r;

	job->segment++;
	if (job->kind == EACH) {        /* each picture tells its own story */
		dtn_meta_release(&job->meta);
		dtn_prov_release(&job->prov);
	}
	/* A picture of several runs must not name the seed of one. */
	if (job->kind == EACH || job->segment == 1)
		dtn_meta_copy(&job->meta, dtn_reader_meta(job->in));
	else
		dtn_meta_agree(&job->meta, dtn_reader_meta(job->in));
	dtn_prov_merge(&job->prov, dtn_reader_prov(job->in));
	if (job->kind == EACH)
		say(job);
	frames(job);
	while ((r = dtn_next_record(job->in)))
		take_record(job, r);
	check_frames(job);
}

static void write_grid(struct job *job)
{
	struct dtn_grid *g = &job->grid;

	if (!g->columns)
		g->columns = (uint32_t)job->frames;
	if (!dtn_grid_init(g) || g->picture_height * g->picture_width > job->max_pixels)
		too_large(job);
	dtn_say("%llu image%s, %u in a row, %llux%llu pixels", (unsigned long long)g->images,
		dtn_plural(g->images), g->columns, (unsigned long long)g->picture_width,
		(unsigned long long)g->picture_height);
	dtn_grid_write(g, job->shown.pixels, &job->out, job->said.text, job->said.n);
	dtn_output_commit(&job->out);
}

/* --- trajectories, frame by frame -------------------------------------------------------- */

/* A grid of a frame of each. */
static void arrange(struct job *job)
{
	struct dtn_grid *g = &job->grid;

	g->images /= job->frames;
	if (!dtn_grid_init(g) || g->picture_height * g->picture_width > job->max_pixels)
		too_large(job);
	dtn_shown_room(&job->shown, g->images * dtn_grid_bytes(g));
	dtn_say("%llu frames of %llux%llu pixels", (unsigned long long)job->frames,
		(unsigned long long)g->picture_width, (unsigned long long)g->picture_height);
}

/* Frame k of all of them. */
static const uint8_t *fetch(struct job *job, uint64_t k)
{
	const struct dtn_grid *g = &job->grid;
	const uint64_t bytes = dtn_grid_bytes(g);

	for (uint64_t i = 0; i < g->images; i++)
		dtn_spool_get(&job->spool, (i * job->frames + k) * bytes,
			      job->shown.pixels + i * bytes, bytes);
	return job->shown.pixels;
}

static void write_frames(struct job *job)
{
	arrange(job);
	for (uint64_t k = 0; k < job->frames; k++)
		write_file(job, k, &job->grid, fetch(job, k));
}

static void write_film(struct job *job)
{
	const struct dtn_grid *g = &job->grid;
	double seconds = 1 / (job->fps > 0 ? job->fps : 12);
	struct dtn_film *film;
	uint8_t *row;

	arrange(job);
	row = dtn_alloc((size_t)g->picture_width, (size_t)g->channels);
	film = dtn_film_open(&job->out, (uint32_t)g->picture_width, (uint32_t)g->picture_height,
			     g->channels, (uint32_t)job->frames, job->said.text, job->said.n);
	for (uint64_t k = 0; k < job->frames; k++) {
		const uint8_t *images = fetch(job, k);

		dtn_film_frame(film, k + 1 < job->frames ? seconds : PAUSE);
		for (uint64_t y = 0; y < g->picture_height; y++) {
			dtn_grid_row(g, images, y, row);
			dtn_film_row(film, row);
		}
	}
	dtn_film_close(film);
	dtn_output_commit(&job->out);
	free(row);
}

int main(int argc, char **argv)
{
	static struct job job;

	dtn_begin(argv);
	parse(&job, argc, argv);
	dtn_spool_init(&job.spool, SPOOL_BYTES);
	job.in = dtn_reader_open(job.args.operands, job.args.operand, DTN_SAMPLES);
	if (!job.folder)
		dtn_output_open(&job.out, job.args.output, job.args.force);
	else if (mkdir(job.folder, 0777) != 0 && errno != EEXIST)
		dtn_die(DTN_ENV, "%s:", job.folder);
	while (dtn_next_segment(job.in))
		take_segment(&job);
	if (job.grid.images == 0)
		dtn_die(DTN_INPUT, "%s: no images", dtn_reader_name(job.in));
	if (job.kind != EACH)
		say(&job);
	if (job.kind == FILM)
		write_film(&job);
	else if (job.kind == FRAMES)
		write_frames(&job);
	else if (job.kind == GRID)
		write_grid(&job);
	if (job.shown.strange)
		dtn_warn("%llu values are no numbers and shown as black",
			 (unsigned long long)job.shown.strange);
	dtn_reader_close(job.in);
	return DTN_OK;
}
