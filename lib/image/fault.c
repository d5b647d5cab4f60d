/* fault.c -- why one image could not be loaded: the reason as a line of text. */
#include "lib/image/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool dtn_fault(struct dtn_fault *fault, enum dtn_status status, const char *format, ...)
{
	int error = errno;
	va_list args;
	size_t n;

	fault->status = status;
	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	n = strlen(fault->text);
	if (n > 0 && fault->text[n - 1] == ':')
		snprintf(fault->text + n, sizeof(fault->text) - n, " %s", strerror(error));
	return false;
}
