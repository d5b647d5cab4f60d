/* progress.c -- one line on a terminal, rewritten; otherwise silence. */
#include "lib/train/progress.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

enum { VERBOSE_STEPS = 100 };           /* with -v, a line every so many */

static const double REDRAW = 0.1;       /* seconds */
static const double KEEP = 0.99;        /* of the moving averages, a step */

void dtn_progress_init(struct dtn_progress *p, struct dtn_limits limits)
{
	memset(p, 0, sizeof(*p));
	p->terminal = isatty(2) && dtn_verbosity >= 0;
	p->limits = limits;
	p->begun = dtn_seconds();
}

/* Seconds as 0:05, 12:34 or 3:25:45. */
static int clock_text(char *text, size_t room, double seconds)
{
	long s = seconds < 0 ? 0 : seconds < 1e9 ? lround(seconds) : 1000000000;

	if (s < 3600)
		return snprintf(text, room, "%ld:%02ld", s / 60, s % 60);
	return snprintf(text, room, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

static double seconds_left(const struct dtn_progress *p, double per_step)
{
	double by_steps = p->limits.steps ? (double)(p->limits.steps - p->step) * per_step : INFINITY;
	double by_time = p->limits.seconds ? p->limits.seconds - (dtn_seconds() - p->begun) : INFINITY;

	return by_steps < by_time ? by_steps : by_time;
}

/* "step 120/1000  loss 0.0432  512 images/s  1:23 left" */
static void describe(const struct dtn_progress *p, char *text, size_t room)
{
	double steps = p->seconds > 0 ? p->images / p->seconds : 0, per_step = p->seconds / p->weight;
	int n = snprintf(text, room, "step %lld", (long long)p->step);

	if (p->limits.steps)
		n += snprintf(text + n, room - (size_t)n, "/%lld", (long long)p->limits.steps);
	if (p->weight <= 0) {
		snprintf(text + n, room - (size_t)n, "  no step finished yet");
		return;
	}
	n += snprintf(text + n, room - (size_t)n, "  loss %.4f  %.*f images/s  ", p->loss / p->weight,
		      steps < 10, steps);
	n += clock_text(text + n, room - (size_t)n, seconds_left(p, per_step));
	snprintf(text + n, room - (size_t)n, " left");
}

/* Blanks rather than an escape sequence rub out a longer line. */
void dtn_progress_show(struct dtn_progress *p, const char *text)
{
	int width = text ? (int)strlen(text) : 0, rest = p->width > width ? p->width - width : 0;

	if (!p->terminal || (!text && p->width == 0))
		return;
	fprintf(stderr, "\r%s%*s%s", text ? text : "", rest, "", text ? "" : "\r");
	fflush(stderr);
	p->width = width;
}

void dtn_progress_step(struct dtn_progress *p, int64_t step, const struct dtn_step *s, int images,
		       double seconds)
{
	char text[160], line[200];
	double now = dtn_seconds();

	p->step = step;
	p->images = KEEP * p->images + images;
	p->seconds = KEEP * p->seconds + seconds;
	p->weight = KEEP * p->weight + 1;
	p->loss = KEEP * p->loss + (s->finite ? s->loss : p->weight > 1 ? p->loss / (p->weight - 1) * KEEP : 0);
	if (p->terminal && now - p->shown >= REDRAW) {
		p->shown = now;
		describe(p, text, sizeof(text));
		snprintf(line, sizeof(line), "%s: %s", dtn_program, text);
		dtn_progress_show(p, line);
	} else if (!p->terminal && step % VERBOSE_STEPS == 0) {
		describe(p, text, sizeof(text));
		dtn_say("%s", text);
	}
}

void dtn_progress_line(struct dtn_progress *p)
{
	char text[160];

	describe(p, text, sizeof(text));
	dtn_progress_show(p, NULL);
	if (dtn_verbosity > -2)
		fprintf(stderr, "%s: %s\n", dtn_program, text);
}

/* --- the table ------------------------------------------------------------------------------- */

/* A log that cannot be written must not cost the model: say so once, and fail at the end. */
static void check(struct dtn_log *l)
{
	if (l->failed || (fflush(l->file) == 0 && !ferror(l->file)))
		return;
	if (errno != EPIPE)             /* whoever reads it has seen enough */
		dtn_warn("%s: %s; training goes on", l->name, strerror(errno));
	l->failed = errno != EPIPE;
	if (!l->failed) {
		if (l->file != stdout)
			fclose(l->file);
		l->file = NULL;
	}
}

static void header(struct dtn_log *l)
{
	fputs("step\tsamples\tskipped\tloss\tgradient\trate\timages_per_second\tseconds", l->file);
	if (l->validates) {
		fputs("\tvalidation", l->file);
		for (int b = 0; b < DTN_BINS; b++)
			fprintf(l->file, "\tbin%d", b);
	}
	fputc('\n', l->file);
}

void dtn_log_open(struct dtn_log *l, const char *name, bool resumed, bool validates)
{
	bool standard = name && !strcmp(name, "-");

	memset(l, 0, sizeof(*l));
	l->validates = validates;
	if (!name)
		return;
	l->name = standard ? "stdout" : name;
	l->file = standard ? stdout : fopen(name, resumed ? "ae" : "we");
	if (!l->file)
		dtn_die(DTN_ENV, "%s:", name);
	if (!resumed || standard || ftell(l->file) == 0)
		header(l);
	check(l);
}

void dtn_log_row(struct dtn_log *l, const struct dtn_counters *c, const struct dtn_step *s, double rate,
		 double seconds, const struct dtn_validation *v)
{
	if (!l->file || l->failed)
		return;
	fprintf(l->file, "%lld\t%lld\t%lld\t%.6g\t%.6g\t%.6g\t%.5g\t%.3f", (long long)c->step,
		(long long)c->sample, (long long)c->skipped, s->loss, s->norm, s->rate, rate, seconds);
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
	if (!l->file)
		return;
	if (l->file == stdout ? fflush(stdout) != 0 : fclose(l->file) != 0)
		l->failed = true;
	if (l->failed)
		dtn_die(DTN_ENV, "%s: the log is not complete", l->name);
}
