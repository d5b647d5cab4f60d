/* line.h -- one line on a terminal that is written over and over: how far a program is. */
#ifndef DTN_LINE_H
#define DTN_LINE_H

#include "lib/base.h"

struct dtn_line {
	bool terminal;                  /* false: nothing is shown */
	int width;                      /* of what stands there */
	double shown;                   /* clock; at first, when it began */
};

void dtn_line_init(struct dtn_line *);

/* Is it time to show something?  True at most ten times a second, not at once, and never where
 * there is no terminal. */
bool dtn_line_due(struct dtn_line *);
void dtn_line_show(struct dtn_line *, const char *format, ...) DTN_PRINTF(2, 3);
void dtn_line_clear(struct dtn_line *);         /* at the end */

/* Rub out the line that was shown last, if it is still there: messages begin with this. */
void dtn_line_interrupt(void);

/* Seconds as 0:05, 12:34 or 3:25:45; valid until the next call. */
const char *dtn_clock_text(double seconds);

#endif
