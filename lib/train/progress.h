/* progress.h -- what a person sees of a run, and the table a program reads. */
#ifndef DTN_PROGRESS_H
#define DTN_PROGRESS_H

#include "lib/train/validate.h"

#include <stdio.h>

/* Where a run ends: at the first limit that it meets.  0: none. */
struct dtn_limits {
	int64_t steps;                  /* all of the training's */
	double seconds;                 /* of this run */
};

struct dtn_progress {
	bool terminal;
	struct dtn_limits limits;
	double begun, shown;            /* clock */
	double images, seconds;         /* of the latest steps: their rate */
	double loss, weight;            /* a moving average is loss / weight */
	int64_t step;
	int width;                      /* of the line on the terminal */
};

void dtn_progress_init(struct dtn_progress *, struct dtn_limits);

/* A step took `seconds`; show it where it is time to. */
void dtn_progress_step(struct dtn_progress *, int64_t step, const struct dtn_step *, int images,
		       double seconds);

/* A whole line on stderr, terminal or not. */
void dtn_progress_line(struct dtn_progress *);

/* Text beside the line that is being rewritten; NULL takes the line away, before a message. */
void dtn_progress_show(struct dtn_progress *, const char *text);

/* --- the table of a run, TSV, a row a step ------------------------------------------------------ */

struct dtn_log { FILE *file; const char *name; bool validates, failed; };

/* Begin it, or go on with a file that has rows already.  name NULL: none; "-": stdout. */
void dtn_log_open(struct dtn_log *, const char *name, bool resumed, bool validates);
void dtn_log_row(struct dtn_log *, const struct dtn_counters *, const struct dtn_step *, double rate,
		 double seconds, const struct dtn_validation *);
void dtn_log_close(struct dtn_log *);   /* death with status 1 where it is not complete */

#endif
