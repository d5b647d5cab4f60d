/* progress.c -- one line on a terminal, rewritten; otherwise silence. */
#include "lib/train/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VERBOSE_STEPS = 100 };           /* with -v, a line every so many */

static const double KEEP = 0.99;        /* of the sums, a step */

void dtn_progress_init(struct dtn_progress *p, struct dtn_limits limits)
{
	memset(p, 0, sizeof(*p));
	dtn_line_init(&p->line);
	p->limits = limits;
	p->begun = dtn_seconds();
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
	if (p->losses <= 0) {
		snprintf(text + n, room - (size_t)n, "  no loss yet");
		return;
	}
	snprintf(text + n, room - (size_t)n, "  loss %.4f  %.*f images/s  %s left",
		 p->loss / p->losses, rate < 10, rate,
		 dtn_clock_text(seconds_left(p, p->seconds / p->steps)));
}

void dtn_progress_begin(struct dtn_progress *p, int64_t step)
{
	char text[160];

	p->step = step;
	describe(p, text, sizeof(text));
	dtn_line_show(&p->line, "%s", text);
}

void dtn_progress_step(struct dtn_progress *p, int64_t step, const struct dtn_step *s, int images,
		       double seconds)
{
	bool shown = dtn_line_due(&p->line);
	bool said = !p->line.terminal && step % VERBOSE_STEPS == 0;
	char text[160];

	p->step = step;
	p->images = KEEP * p->images + images;
	p->seconds = KEEP * p->seconds + seconds;
	p->steps = KEEP * p->steps + 1;
	if (s->finite) {
		p->loss = KEEP * p->loss + s->loss;
		p->losses = KEEP * p->losses + 1;
	}
	if (!shown && !said)
		return;
	describe(p, text, sizeof(text));
	if (shown)
		dtn_line_show(&p->line, "%s", text);
	else
		dtn_say("%s", text);
}

void dtn_progress_say(struct dtn_progress *p)
{
	char text[160];

	describe(p, text, sizeof(text));
	dtn_line_clear(&p->line);
	if (dtn_verbosity > -2)
		fprintf(stderr, "%s: %s\n", dtn_program, text);
}
