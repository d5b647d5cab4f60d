/* dtn-info.c -- say what is in a stream, check it, or take one tensor out of it.
 *
 * Listing skips the data, by seeking where that is possible; only -c decodes all of it.
 */
#include "format/dtn.h"
#include "format/summary.h"
#include "lib/options.h"
#include "lib/output.h"
#include "lib/plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum mode { LIST, JSON, CHECK, DUMP, DEVICES };

static const struct dtn_option options[] = {
	{ "check", 'c', NULL, "decode everything; say nothing if all is well" },
	{ "json", 0, NULL, "print one JSON document" },
	{ "dump", 0, "TENSOR", "write the bytes of one tensor: NAME or ROLE:NAME" },
	{ "devices", 0, NULL, "list what can compute here" },
	{ NULL, 0, NULL, NULL }
};

static const struct dtn_command command = {
	"[OPTION]... [STREAM]...", "Say what is in a stream of samples or a model.", options,
	DTN_OUTPUT | DTN_ONE_THREAD | DTN_STREAM_IN
};

/* --- in words ----------------------------------------------------------------------------- */

static double ratio(uint64_t bytes, uint64_t stored)
{
	return stored ? (double)bytes / (double)stored : 1.0;
}

static void print_shape(char *to, size_t n, const struct dtn_field *f)
{
	size_t at = (size_t)snprintf(to, n, "%s", f->t.rank == 0 ? "scalar" : "");

	for (int d = 0; d < f->t.rank && at < n; d++)
		at += (size_t)snprintf(to + at, n - at, d ? "x%llu" : "%llu",
				       (unsigned long long)dtn_field_extent(f, d));
	if (f->varies && at < n)
		snprintf(to + at, n - at, " (varies)");
	else if (f->counted && at < n)
		snprintf(to + at, n - at, ": %lld", (long long)f->count);
}

/* What belongs to a weight repeats its line; the count by role says enough, without -v. */
static bool repeats(const struct dtn_summary *s, const struct dtn_field *f)
{
	return s->kind == DTN_MODEL && dtn_verbosity < 1 &&
	       (f->t.role == DTN_EMA || f->t.role == DTN_ADAM_M || f->t.role == DTN_ADAM_V);
}

static void print_fields(FILE *out, const struct dtn_summary *s)
{
	char shape[200];
	int name = 4, dims = 4;

	for (int i = 0; i < s->n; i++) {
		int n = (int)strlen(s->field[i].t.name);
		print_shape(shape, sizeof(shape), &s->field[i]);
		name = n > name ? n : name;
		dims = (int)strlen(shape) > dims ? (int)strlen(shape) : dims;
	}
	if (s->n > 0)
		fprintf(out, "\n  %-9s  %-*s  %-5s  %-*s  %12s  %6s\n", "role", name, "name",
			"dtype", dims, "dims", "bytes", "ratio");
	for (int i = 0; i < s->n; i++) {
		const struct dtn_field *f = &s->field[i];
		if (repeats(s, f))
			continue;
		print_shape(shape, sizeof(shape), f);
		fprintf(out, "  %-9s  %-*s  %-5s  %-*s  %12llu  %6.2f\n", dtn_role_name(f->t.role),
			name, f->t.name, dtn_field_type(f), dims, shape,
			(unsigned long long)f->bytes, ratio(f->bytes, f->stored));
	}
	if (s->more)
		fprintf(out, "  and %llu more\n", (unsigned long long)s->more);
}

/* A value of the metadata between two pieces of a sentence, where it is known. */
static const char *say(FILE *out, const struct dtn_summary *s, const char *before, const char *key,
		       const char *after)
{
	const char *value = dtn_meta_get(&s->meta, key);

	if (value) {
		char *visible = dtn_escape(value, strlen(value));
		fprintf(out, "%s%s%s", before, visible, after);
		free(visible);
	}
	return value;
}

/* Weights and how many tensors of each role there are. */
static void print_roles(FILE *out, const struct dtn_summary *s)
{
	int count[256] = { 0 };

	fprintf(out, "  %llu parameters; tensors:", (unsigned long long)s->parameters);
	for (int i = 0; i < s->n; i++)
		count[s->field[i].t.role & 255]++;
	for (int role = 0, some = 0; role < 256; role++)
		if (count[role])
			fprintf(out, "%s %d %s", some++ ? "," : "", count[role],
				dtn_role_name(role));
	fputc('\n', out);
}

static void print_model(FILE *out, const struct dtn_summary *s)
{
	if (say(out, s, "  network: ", "model.arch", "")) {
		say(out, s, " version ", "model.version", "");
		say(out, s, " for images of ", "image.width", "");
		say(out, s, "x", "image.height", "");
		say(out, s, "x", "image.channels", "");
		say(out, s, ", width ", "unet.channels", "");
		say(out, s, " times ", "unet.mult", " by level");
		say(out, s, ", blocks a level: ", "unet.blocks", "");
		say(out, s, ", attention: ", "unet.attn", "");
		fputc('\n', out);
	}
	if (say(out, s, "  diffusion: ", "ddpm.steps", " steps")) {
		say(out, s, ", ", "ddpm.schedule", " schedule");
		say(out, s, ", predicts ", "ddpm.prediction", "");
		fputc('\n', out);
	}
}

static void print_texts(FILE *out, const struct dtn_summary *s)
{
	if (s->meta.n > 0)
		fputc('\n', out);
	for (int i = 0; i < s->meta.n; i++) {
		const struct dtn_pair *p = &s->meta.pair[i];
		char *visible = dtn_escape(p->value, strlen(p->value));
		fprintf(out, "  %s = %s\n", p->key, visible);
		free(visible);
	}
	if (s->prov.n > 0)
		fprintf(out, "\n  made by (run, from runs, program, command)\n");
	for (int i = 0; i < s->prov.n; i++) {
		const struct dtn_run_line *l = &s->prov.line[i];
		char *text = dtn_format("%s %s  %s", l->program, l->version, l->command);
		char *visible = dtn_escape(text, strlen(text));
		fprintf(out, "  %3d  %-4s %s\n", i + 1, l->parents, visible);
		free(visible);
		free(text);
	}
}

static void print_list(FILE *out, const struct dtn_summary *s, const char *name)
{
	char *visible = dtn_escape(name, strlen(name));

	fprintf(out, "%s: %s, dtn 1.%d\n", visible, dtn_summary_kind(s), s->minor);
	free(visible);
	fprintf(out, "  %llu segment%s, %llu record%s, ", (unsigned long long)s->segments,
		dtn_plural(s->segments), (unsigned long long)s->records, dtn_plural(s->records));
	if (s->kind != DTN_MODEL)
		fprintf(out, "%llu sample%s, ", (unsigned long long)s->samples,
			dtn_plural(s->samples));
	fprintf(out, "%llu bytes of data, ratio %.2f\n", (unsigned long long)s->bytes,
		ratio(s->bytes, s->stored));
	if (s->parameters)
		print_roles(out, s);
	print_model(out, s);
	print_fields(out, s);
	print_texts(out, s);
}

/* --- check and dump ----------------------------------------------------------------------- */

static void check(struct dtn_reader *in)
{
	const struct dtn_record *r;
	size_t n;

	dtn_reader_check_index(in);
	while (dtn_next_segment(in))
		while ((r = dtn_next_record(in)))
			for (int i = 0; i < r->tensors; i++)
				while (dtn_read_part(in, i, &n))
					;
}

/* NAME is a field of samples, a model's weights, counters and the like; what belongs to a weight
 * has its name, too, and wants the role before it: ema:NAME. */
static bool wanted(const struct dtn_tensor *t, const char *name)
{
	const char *role = dtn_role_name(t->role);
	size_t n = strlen(role);

	if (!strncmp(name, role, n) && name[n] == ':' && !strcmp(name + n + 1, t->name))
		return true;
	return !strcmp(name, t->name) && t->role != DTN_EMA && t->role != DTN_ADAM_M &&
	       t->role != DTN_ADAM_V;
}

static bool dump(struct dtn_reader *in, const char *name, struct dtn_output *out)
{
	const struct dtn_record *r;
	const void *part;
	bool found = false;
	size_t n;

	while (dtn_next_segment(in))
		while ((r = dtn_next_record(in)))
			for (int i = 0; i < r->tensors; i++)
				if (wanted(&r->tensor[i], name)) {
					found = true;
					while ((part = dtn_read_part(in, i, &n)))
						dtn_output_write(out, part, n);
				}
	return found;
}

/* --- the program -------------------------------------------------------------------------- */

struct job {
	enum mode mode;
	const char *tensor;
};

static void choose(struct job *job, enum mode mode)
{
	if (job->mode != LIST && job->mode != mode)
		dtn_usage("only one of --check, --json, --dump and --devices at a time");
	job->mode = mode;
}

/* One listing for each operand, or one for all of them together. */
static void list(const struct job *job, FILE *out, int operands, char *const *operand)
{
	struct dtn_reader *in = dtn_reader_open(operands, operand, DTN_ANY);
	struct dtn_summary s = { 0 };

	dtn_summary_add(&s, in);
	if (job->mode == JSON)
		dtn_summary_json(out, &s);
	else
		print_list(out, &s, dtn_reader_name(in));
	if (s.classes_differ)
		dtn_warn("%s: segments number their classes differently; dtn-cat makes one list",
			 dtn_reader_name(in));
	dtn_summary_release(&s);
	dtn_reader_close(in);
}

static void print(const struct job *job, const struct dtn_args *args)
{
	struct dtn_output o;
	FILE *out;

	dtn_output_open(&o, args->output, true);
	out = dtn_output_stream(&o);
	if (job->mode == DEVICES)
		dtn_list_devices(out);
	else if (job->mode == JSON || args->operands == 0)
		list(job, out, args->operands, args->operand);
	else
		for (int i = 0; i < args->operands; i++) {
			if (i > 0)
				fputc('\n', out);
			list(job, out, 1, &args->operand[i]);
			fflush(out);    /* the next one may be the end */
		}
	fclose(out);
	dtn_output_commit(&o);
}

static void dump_to(const struct job *job, const struct dtn_args *args)
{
	struct dtn_reader *in = dtn_reader_open(args->operands, args->operand, DTN_ANY);
	struct dtn_output o;

	dtn_output_open(&o, args->output, args->force);
	if (!dump(in, job->tensor, &o))
		dtn_reader_die(in, "no tensor \"%s\"", job->tensor);
	dtn_output_commit(&o);
	dtn_reader_close(in);
}

int main(int argc, char **argv)
{
	struct job job = { 0 };
	struct dtn_args args;
	const char *name;

	dtn_begin(argv);
	dtn_args_begin(&args, &command, argc, argv);
	while ((name = dtn_args_next(&args)))
		if (!strcmp(name, "check")) {
			choose(&job, CHECK);
		} else if (!strcmp(name, "json")) {
			choose(&job, JSON);
		} else if (!strcmp(name, "devices")) {
			choose(&job, DEVICES);
		} else {
			choose(&job, DUMP);
			job.tensor = args.value;
		}
	if (job.mode == DEVICES && args.operands > 0)
		dtn_usage("--devices takes no stream");
	if (job.mode == CHECK && args.output)
		dtn_usage("--check prints nothing, so -o %s would get nothing", args.output);
	if (job.mode == CHECK) {
		struct dtn_reader *in = dtn_reader_open(args.operands, args.operand, DTN_ANY);
		check(in);
		dtn_reader_close(in);
	} else if (job.mode == DUMP) {
		dump_to(&job, &args);
	} else {
		print(&job, &args);
	}
	return DTN_OK;
}
