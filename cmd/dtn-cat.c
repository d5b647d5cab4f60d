/* dtn-cat.c -- streams of samples as one: joined, cut, shuffled, split, of some classes.
 *
 * Without --shuffle and --split, records are passed on as they come, one segment for each that is
 * read, and what is wanted whole is not decoded.  For those two everything is put aside first, and
 * each result is one segment.
 */
#include "format/dtn.h"
#include "lib/labels.h"
#include "lib/machine.h"
#include "lib/options.h"
#include "lib/output.h"
#include "lib/rng.h"
#include "lib/samples/pick.h"
#include "lib/samples/shelf.h"

#include <stdlib.h>
#include <string.h>

static const struct dtn_option options[] = {
	{ "class", 0, "NAME", "only samples of this class, or of several: A,B" },
	{ "shuffle", 0, "SEED", "in a random order that follows from SEED" },
	{ "skip", 0, "N", "without the first N" },
	{ "head", 0, "N", "N at most" },
	{ "split", 0, "FRACTION", "this part of them to -o, the others to -O" },
	{ "max-mem", 0, "SIZE", "keep SIZE bytes of samples in memory, more in $TMPDIR"
	  " (default: half of the memory)" },
	{ "level", 'z', "LEVEL", "compress everything anew: zstd level, -5 to 19; 0: none" },
	{ "no-prov", 0, NULL, "do not record this command in the output" },
	{ "output", 'o', "FILE", "write to FILE, which appears only complete" },
	{ "rest", 'O', "FILE", "what --split leaves, as a second -o would" },
	{ "force", 0, NULL, "write binary data even to a terminal" },
	{ NULL, 0, NULL, NULL }
};

static const struct dtn_command command = {
	"[OPTION]... [STREAM]...",
	"Join streams of samples, or take a part of them, or shuffle them.", options,
	DTN_ONE_THREAD | DTN_STREAM_IN
};

struct job {
	struct dtn_args args;
	char **class;                   /* --class */
	int classes;
	bool shuffle, split, encode, selects, force;
	uint64_t seed, skip, head, memory;
	double fraction;
	const char *target[2];          /* -o and -O */

	struct dtn_reader *in;
	struct dtn_output out[2];
	struct dtn_writer *writer[2];
	struct dtn_pick pick;
	struct dtn_spool spool;         /* the record that is being looked at */

	/* where everything is put aside */
	struct dtn_shelf shelf;
	struct dtn_meta meta;           /* what all segments say */
	struct dtn_prov prov;
	uint32_t chunk_size;            /* of the first segment */
};

/* --- what is wanted ----------------------------------------------------------------------- */

/* Several names as metadata has them, with commas between. */
static void add_classes(struct job *job, const char *text)
{
	char **name;
	int n = dtn_labels_split(text, &name);

	job->class = dtn_realloc(job->class, (size_t)(job->classes + n), sizeof(*job->class));
	for (int i = 0; i < n; i++)
		job->class[job->classes++] = name[i];
	free(name);
}

static void add_target(struct job *job, int k)
{
	if (job->target[k])
		dtn_usage("more than two outputs");
	job->target[k] = job->args.value;
}

static void one_option(struct job *job, const char *name)
{
	struct dtn_args *a = &job->args;

	if (!strcmp(name, "class")) {
		add_classes(job, a->value);
	} else if (!strcmp(name, "shuffle")) {
		job->seed = dtn_args_natural(a, 0, UINT64_MAX);
		job->shuffle = true;
	} else if (!strcmp(name, "skip")) {
		job->skip = dtn_args_natural(a, 0, UINT64_MAX);
	} else if (!strcmp(name, "head")) {
		job->head = dtn_args_natural(a, 0, UINT64_MAX);
	} else if (!strcmp(name, "split")) {
		job->fraction = dtn_args_real(a, 0, 1);
		job->split = true;
	} else if (!strcmp(name, "max-mem")) {
		job->memory = dtn_args_size(a);
	} else if (!strcmp(name, "level")) {
		a->level = (int)dtn_args_int(a, -5, 19);
		job->encode = true;
	} else if (!strcmp(name, "no-prov")) {
		a->no_prov = true;
	} else if (!strcmp(name, "force")) {
		job->force = true;
	} else if (!strcmp(name, "rest")) {
		add_target(job, 1);
	} else {
		add_target(job, job->target[0] != NULL);
	}
}

static _Noreturn void twice(const struct job *job)
{
	dtn_usage("--split to the same file twice: %s", job->target[1]);
}

static void parse(struct job *job, int argc, char **argv)
{
	const char *name;

	job->head = UINT64_MAX;
	dtn_args_begin(&job->args, &command, argc, argv);
	job->memory = dtn_memory() / 2;
	while ((name = dtn_args_next(&job->args)))
		one_option(job, name);
	if (job->split && !(job->target[0] && job->target[1]))
		dtn_usage("--split wants -o FILE and -O FILE");
	if (!job->split && job->target[1])
		dtn_usage("two outputs are for --split");
	if (job->split && !strcmp(job->target[0], job->target[1]))
		twice(job);
	job->selects = job->shuffle || job->split || job->classes > 0 || job->skip > 0 ||
		       job->head != UINT64_MAX;
}

/* --- the beginning of a segment ----------------------------------------------------------- */

/* Open a segment of the outputs, with provenance of its own where anything is changed. */
static void begin(struct job *job, struct dtn_writer *out, struct dtn_meta *meta,
		  struct dtn_prov *prov, uint32_t chunk_size, bool changed)
{
	if (changed && !job->args.no_prov)
		dtn_prov_add(prov, job->args.argc, job->args.argv,
			     "--max-mem= --max-record= -O= --rest=", job->args.operands,
			     job->args.operand);
	dtn_writer_chunk_size(out, chunk_size);
	dtn_write_segment(out, DTN_SAMPLES, meta, prov);
}

static void set_labels(struct dtn_meta *meta, const struct dtn_classes *classes)
{
	char *text = dtn_classes_text(classes);

	if (text)
		dtn_meta_set(meta, "labels", "%s", text);
	free(text);
}

/* The reader's segment goes on as one of its own. */
static void pass_segment(struct job *job)
{
	struct dtn_meta meta = { 0 };
	struct dtn_prov prov = { 0 };

	dtn_meta_copy(&meta, dtn_reader_meta(job->in));
	dtn_prov_merge(&prov, dtn_reader_prov(job->in));
	if (job->pick.classes.grown)
		set_labels(&meta, &job->pick.classes);
	begin(job, job->writer[0], &meta, &prov, dtn_reader_chunk_size(job->in),
	      job->selects || job->pick.classes.grown);
	dtn_meta_release(&meta);
	dtn_prov_release(&prov);
}

/* --- as they come ------------------------------------------------------------------------- */

static void copy_record(struct job *job, const struct dtn_record *r)
{
	struct dtn_record copy = *r;
	struct dtn_chunk c;

	dtn_write_describe(job->writer[0], &copy);
	for (int i = 0; i < r->tensors; i++)
		while (dtn_read_chunk(job->in, i, &c))
			dtn_write_chunk(job->writer[0], &c);
}

static void pass_record(struct job *job, const struct dtn_record *r)
{
	struct dtn_held held = { 0 };
	struct dtn_part part;
	bool changed = job->encode || (job->pick.classes.map && job->pick.fields.label >= 0);

	if (job->classes > 0)
		dtn_held_take(&held, job->in, r, &job->spool);
	part = dtn_pick_record(&job->pick, job->in, r, &held, &job->spool);
	if (part.samples == 0)
		goto done;
	if (job->classes == 0 && part.samples == r->samples && !changed) {
		copy_record(job, r);
		return;
	}
	if (job->classes == 0)
		dtn_held_take(&held, job->in, r, &job->spool);
	part.encode = job->encode;
	dtn_held_write(&held, &job->spool, &job->pick.fields, &part, job->writer[0],
		       dtn_reader_chunk_size(job->in));
done:
	dtn_held_release(&held);
	dtn_spool_clear(&job->spool);
}

static void pass_any(struct job *job, const struct dtn_record *r)
{
	if (r->samples == 0) {          /* no batch: nothing is known of it */
		copy_record(job, r);
		return;
	}
	dtn_pick_check(&job->pick, job->in, r);
	pass_record(job, r);
}

static void end_segment(struct job *job)
{
	dtn_write_end(job->writer[0]);
}

/* --- all at once -------------------------------------------------------------------------- */

static bool empty(const struct dtn_record *r)
{
	for (int i = 0; i < r->tensors; i++)
		if (r->tensor[i].bytes > 0)
			return false;
	return true;
}

static void keep_record(struct job *job, const struct dtn_record *r)
{
	const struct dtn_fields *f = &job->pick.fields;
	struct dtn_held held;
	struct dtn_part part;

	if (r->samples == 0 && empty(r))
		return;
	if (r->samples == 0)
		dtn_reader_die(job->in, "no batch of samples, which has no place in another order");
	dtn_pick_check(&job->pick, job->in, r);
	if (job->shuffle && f->single >= 0)
		dtn_reader_die(job->in, "tensor %s belongs to the whole record, not to samples",
			       f->tensor[f->single].name);
	dtn_held_take(&held, job->in, r, &job->spool);
	part = dtn_pick_record(&job->pick, job->in, r, &held, &job->spool);
	dtn_shelf_add(&job->shelf, &held, &job->spool, f, &part, job->shuffle);
	dtn_held_release(&held);
	dtn_spool_clear(&job->spool);
}

static void keep_segment(struct job *job)
{
	if (job->pick.fields.segments == 1) {
		dtn_meta_copy(&job->meta, dtn_reader_meta(job->in));
		job->chunk_size = dtn_reader_chunk_size(job->in);
	} else {
		dtn_meta_agree(&job->meta, dtn_reader_meta(job->in));
	}
	dtn_prov_merge(&job->prov, dtn_reader_prov(job->in));
}

static void keep_nothing(struct job *job)
{
	(void)job;
}

/* The numbers of all trajectories or samples, *to of them, in random order; those from *from to
 * *to-1 are wanted. */
static uint32_t *shuffled(const struct job *job, uint64_t *from, uint64_t *to)
{
	uint64_t n = *to;
	uint32_t *order;

	if (n > INT32_MAX)
		dtn_die(DTN_INPUT, "%s: %llu samples are too many to shuffle",
			dtn_reader_name(job->in), (unsigned long long)n);
	order = dtn_alloc(n + 1, sizeof(*order));
	dtn_rng_order(dtn_rng(job->seed, DTN_RNG_ORDER, 0, 0), order, (uint32_t)n);
	*from = job->skip < n ? job->skip : n;
	*to = job->head < n - *from ? *from + job->head : n;
	return order;
}

/* Write the trajectories from .. to-1 of the order, or as they are, as a segment. */
static void write_part(struct job *job, int k, const uint32_t *order, uint64_t from, uint64_t to)
{
	const struct dtn_fields *f = &job->pick.fields;
	struct dtn_prov prov = { 0 };

	dtn_prov_merge(&prov, &job->prov);
	begin(job, job->writer[k], &job->meta, &prov, job->chunk_size, true);
	if (order && to > from)
		dtn_shelf_write_order(&job->shelf, f, order + from, to - from, job->writer[k]);
	else if (!order)
		dtn_shelf_write(&job->shelf, f, from * f->frames, to * f->frames, job->encode,
				job->writer[k], job->chunk_size);
	dtn_write_end(job->writer[k]);
	dtn_prov_release(&prov);
	dtn_say("%s: %llu samples", job->out[k].name,
		(unsigned long long)((to - from) * f->frames));
}

static void write_all(struct job *job)
{
	uint64_t from = 0, to = job->shelf.samples / job->pick.fields.frames, middle;
	uint32_t *order = job->shuffle ? shuffled(job, &from, &to) : NULL;

	set_labels(&job->meta, &job->pick.classes);
	middle = job->split ? from + (uint64_t)(job->fraction * (double)(to - from) + 0.5) : to;
	write_part(job, 0, order, from, middle < to ? middle : to);
	if (job->split)
		write_part(job, 1, order, middle < to ? middle : to, to);
	free(order);
}

/* --- either way --------------------------------------------------------------------------- */

/* Read as far as anything is wanted, which is to the end unless --head says otherwise. */
static void read_all(struct job *job, void (*segment)(struct job *),
		     void (*record)(struct job *, const struct dtn_record *),
		     void (*end)(struct job *))
{
	const struct dtn_record *r;
	bool done = false;

	while (!done && dtn_next_segment(job->in)) {
		dtn_pick_segment(&job->pick, job->in);
		segment(job);
		while (!(done = dtn_pick_done(&job->pick)) && (r = dtn_next_record(job->in)))
			record(job, r);
		if (!done)
			dtn_pick_end(&job->pick, job->in);
		end(job);
	}
	if (!done)
		dtn_classes_finish(&job->pick.classes, dtn_reader_name(job->in));
}

/* --- the program -------------------------------------------------------------------------- */

static void open_outputs(struct job *job)
{
	for (int k = 0; k < 1 + job->split; k++) {
		dtn_output_open(&job->out[k], job->target[k], job->force);
		job->writer[k] = dtn_writer_open(&job->out[k], job->args.level);
	}
	if (job->split && dtn_output_same(&job->out[0], &job->out[1]))
		twice(job);
}

static void close_outputs(struct job *job)
{
	for (int k = 0; k < 1 + job->split; k++)
		dtn_writer_close(job->writer[k]);
	for (int k = 0; k < 1 + job->split; k++)
		dtn_output_commit(&job->out[k]);
}

int main(int argc, char **argv)
{
	static struct job job;

	dtn_begin(argv);
	parse(&job, argc, argv);
	open_outputs(&job);
	job.in = dtn_reader_open(job.args.operands, job.args.operand, DTN_SAMPLES);
	dtn_classes_want(&job.pick.classes, job.class, job.classes);
	dtn_spool_init(&job.spool, job.memory);
	dtn_shelf_init(&job.shelf, job.memory);
	job.pick.skip = job.shuffle ? 0 : job.skip;
	job.pick.head = job.shuffle ? UINT64_MAX : job.head;
	if (job.shuffle || job.split) {
		read_all(&job, keep_segment, keep_record, keep_nothing);
		write_all(&job);
	} else {
		dtn_reader_pass_on(job.in, job.writer[0]);
		read_all(&job, pass_segment, pass_any, end_segment);
	}
	close_outputs(&job);
	dtn_shelf_release(&job.shelf);
	dtn_spool_release(&job.spool);
	dtn_pick_release(&job.pick);
	dtn_meta_release(&job.meta);
	dtn_prov_release(&job.prov);
	dtn_reader_close(job.in);
	for (int i = 0; i < job.classes; i++)
		free(job.class[i]);
	free(job.class);
	return DTN_OK;
}
