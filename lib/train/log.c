/* log.c -- the table of a run, TSV with a header: a row a step.
 *
 * The log must never cost the model: when it cannot be written any more, training goes on without
 * it and the program fails at its end. A reader that leaves is no failure.
 */
#include "lib/train/log.h"

#include "lib/line.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check(struct dtn_log *l)
{
	if (fflush(l->file) == 0 && !ferror(l->file))
		return;
	l->failed = errno != EPIPE;
	if (l->failed)
		dtn_warn("%s: %s; training goes on without it", l->name, strerror(errno));
	l->file = NULL;
}

/* The first line; allocated. */
static char *header(const struct dtn_log *l)
{
	const char *always = "step\tsamples\tskipped\tloss\tgradient\trate\timages_per_second\t"
			     "seconds";
	const char *validation = "\tvalidation\tbin0\tbin1\tbin2\tbin3\tbin4\tbin5\tbin6\tbin7\t"
				 "bin8\tbin9";

	_Static_assert(DTN_BINS == 10, "as many names");
	return dtn_format("%s%s\n", always, l->validates ? validation : "");
}

/* Cut off the rows of steps after `step`: a run that was killed made them, but did not save.  What
 * has another first line is no table to go on with. */
static void cut(struct dtn_log *l, const char *names, int64_t step)
{
	char *line = NULL;
	size_t room = 0;
	off_t good = 0;

	while (getline(&line, &room, l->file) >= 0 && strchr(line, '\n')) {
		if (good == 0 && strcmp(line, names))
			dtn_usage("--log %s has other columns than this run: --val as before, or "
				  "another file", l->name);
		if (strtoll(line, NULL, 10) > step)
			break;
		good = ftello(l->file);
	}
	free(line);
	(void)!ftruncate(fileno(l->file), good);
	fseeko(l->file, good, SEEK_SET);
	if (good == 0)
		fputs(names, l->file);
}

static bool has_rows(const char *name)
{
	struct stat st;

	return stat(name, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
}

void dtn_log_open(struct dtn_log *l, const char *name, int64_t step, bool validates)
{
	bool standard = name && !strcmp(name, "-"), goes_on;
	char *names;

	memset(l, 0, sizeof(*l));
	l->validates = validates;
	if (!name)
		return;
	goes_on = !standard && step > 0 && has_rows(name);
	l->name = standard ? "stdout" : name;
	l->file = standard ? stdout : fopen(name, goes_on ? "r+e" : "we");
	if (!l->file)
		dtn_die(DTN_ENV, "%s:", name);
	names = header(l);
	if (goes_on)
		cut(l, names, step);
	else
		fputs(names, l->file);
	free(names);
	check(l);
}

void dtn_log_row(struct dtn_log *l, const struct dtn_counters *c, const struct dtn_step *s,
		 double images, double seconds, const struct dtn_validation *v)
{
	if (!l->file)
		return;
	if (l->file == stdout)          /* it may be the terminal that shows progress */
		dtn_line_interrupt();
	fprintf(l->file, "%lld\t%lld\t%lld\t%.6g\t%.6g\t%.6g\t%.5g\t%.3f", (long long)c->step,
		(long long)c->sample, (long long)c->skipped, s->loss, s->norm, s->rate, images,
		seconds);
	if (l->validates && v) {
		fprintf(l->file, "\t%.6g", v->loss);
		for (int b = 0; b < DTN_BINS; b++)
			fprintf(l->file, "\t%.6g", v->bin[b]);
	}
	for (int i = 0; l->validates && !v && i <= DTN_BINS; i++)
		fputs("\t-", l->file);
	fputc('\n', l->file);
	check(l);
}

void dtn_log_close(struct dtn_log *l)
{
	if (l->file && (l->file == stdout ? fflush(stdout) : fclose(l->file)) != 0)
		l->failed = true;
	l->file = NULL;
	if (l->failed)
		dtn_die(DTN_ENV, "%s: the log is not complete", l->name);
}
