/* fault.c -- why one image could not be loaded: the reason as a line of text. */
#include "lib/image/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool dtn_fault(struct dtn_fault *fault, enum dtn_status status, const char *format, ...)
{
	va_list args;

	fault->status = status;
	fault->error = 0;
	va_start(args, format);
	vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return false;
}

bool dtn_fault_system(struct dtn_fault *fault, int error)
{
	dtn_fault(fault, DTN_ENV, "%s", error == ENOMEM ? "out of memory" : strerror(error));
	fault->error = error;
	return false;
}

bool dtn_fault_of_program(const struct dtn_fault *fault)
{
	return fault->status == DTN_ENV &&
	       (fault->error == EMFILE || fault->error == ENFILE || fault->error == ENOMEM);
}
