/* line.c -- one line on a terminal that is written over and over.
 *
 * Blanks rather than escape sequences rub out what was there, so nothing depends on the terminal's
 * kind.  A line that is wider than the terminal is cut: the rest would go to a next one, and stay.
 * One that is narrower is filled up, as another program of the pipe may have written a longer one,
 * and the cursor goes back, so that whatever that program prints next does not begin behind it.
 */
#include "lib/line.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const double Pause = 0.1;        /* seconds */

static struct dtn_line *shown;          /* what stands there, or NULL */

void dtn_line_init(struct dtn_line *line)
{
	*line = (struct dtn_line){
		.terminal = isatty(2) && dtn_verbosity >= 0, .shown = dtn_seconds()
	};
}

bool dtn_line_due(struct dtn_line *line)
{
	double now = dtn_seconds();

	if (!line->terminal || now - line->shown < Pause)
		return false;
	line->shown = now;
	return true;
}

/* The terminal's columns but the last, where some go on to the next line; 0: it does not say.  They
 * may be others than the last time. */
static int columns(void)
{
	struct winsize size;

	return ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col - 1 : 0;
}

void dtn_line_show(struct dtn_line *line, const char *format, ...)
{
	char text[200];
	va_list args;
	int n = snprintf(text, sizeof(text), "%s: ", dtn_program), before = line->width, most;

	if (!line->terminal)
		return;
	if (n >= (int)sizeof(text))     /* the caller may call a program what it likes */
		n = (int)sizeof(text) - 1;
	va_start(args, format);
	n += vsnprintf(text + n, sizeof(text) - (size_t)n, format, args);
	va_end(args);
	n = n < (int)sizeof(text) ? n : (int)sizeof(text) - 1;
	most = columns();
	if (most == 0)
		most = before > n ? before : n;
	line->width = n < most ? n : most;
	shown = line;
	fprintf(stderr, "\r%.*s%*s\r", line->width, text, most - line->width, "");
	fflush(stderr);
}

void dtn_line_clear(struct dtn_line *line)
{
	if (line->terminal && line->width > 0) {
		int most = columns();

		fprintf(stderr, "\r%*s\r", most > 0 ? most : line->width, "");
		fflush(stderr);
	}
	line->width = 0;
	if (shown == line)
		shown = NULL;
}

void dtn_line_interrupt(void)
{
	if (shown)
		dtn_line_clear(shown);
}

const char *dtn_clock_text(double seconds)
{
	static _Thread_local char text[40];
	long s = seconds > 0 ? seconds < 1e9 ? lround(seconds) : 1000000000 : 0;

	if (s < 3600)
		snprintf(text, sizeof(text), "%ld:%02ld", s / 60, s % 60);
	else
		snprintf(text, sizeof(text), "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
	return text;
}
