/* progress.c -- one line on a terminal, rewritten; otherwise silence. */
#include "lib/train/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { VERBOSE_STEPS = 100 };           /* with -v, a line every so many */

static const double REDRAW = 0.1;       /* seconds */
static const double KEEP = 0.99;        /* of the sums, a step */

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
	double left = INFINITY, time;

	if (p->limits.steps)
		left = (double)(p->limits.steps - p->step) * per_step;
	time = p->limits.seconds - (dtn_seconds() - p->begun);
	return p->limits.seconds && time < left ? time : left;
}

double dtn_progress_rate(const struct dtn_progress *p)
{
	return p->seconds > 0 ? p->images / p->seconds : 0;
}

/* "step 120/1000  loss 0.0432  512 images/s  1:23 left" */
static void describe(const struct dtn_progress *p, char *text, size_t room)
{
	double rate = dtn_progress_rate(p);
	int n = snprintf(text, room, "step %lld", (long long)p->step);

	if (p->limits.steps)
		n += snprintf(text + n, room - (size_t)n, "/%lld", (long long)p->limits.steps);
	if (p->steps <= 0) {
		snprintf(text + n, room - (size_t)n, "  the first is being made");
		return;
	}
	n += snprintf(text + n, room - (size_t)n, "  loss %.4f  %.*f images/s  ",
		      p->loss / p->losses, rate < 10, rate);
	n += clock_text(text + n, room - (size_t)n, seconds_left(p, p->seconds / p->steps));
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
	p->steps = KEEP * p->steps + 1;
	if (s->finite) {
		p->loss = KEEP * p->loss + s->loss;
		p->losses = KEEP * p->losses + 1;
	}
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
