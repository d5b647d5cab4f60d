/* progress.h -- what a person sees of a run. */
#ifndef DTN_PROGRESS_H
#define DTN_PROGRESS_H

#include "lib/line.h"
#include "lib/train/limits.h"
#include "lib/train/step.h"

struct dtn_progress {
	struct dtn_line line;
	struct dtn_limits limits;
	double begun;                   /* clock */
	double images, seconds, steps;  /* sums that forget: quotients are averages of late */
	double loss, losses;
	int64_t step;
};

void dtn_progress_init(struct dtn_progress *, struct dtn_limits);

/* Show that it begins. */
void dtn_progress_begin(struct dtn_progress *, int64_t step);

/* A step took `seconds`; show it where it is time to. */
void dtn_progress_step(struct dtn_progress *, int64_t step, const struct dtn_step *, int images,
		       double seconds);

/* Images a second, lately. */
double dtn_progress_rate(const struct dtn_progress *);

/* A whole line on stderr, terminal or not. */
void dtn_progress_say(struct dtn_progress *);

#endif
