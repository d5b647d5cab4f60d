/* fault.h -- why one image could not be loaded.
 *
 * One broken photograph among thousands need not end the program, so the decoders hand their reason
 * upward instead of dying.  Whoever knows the file's name puts it in front.
 */
#ifndef DTN_FAULT_H
#define DTN_FAULT_H

#include "lib/base.h"

struct dtn_fault {
	enum dtn_status status;         /* DTN_OK: nothing is wrong */
	int error;                      /* what dtn_fault_system was given, else 0 */
	char text[200];                 /* one line without name and period */
};

/* Record a reason; always false, so that `return dtn_fault(...)` reads well. */
bool dtn_fault(struct dtn_fault *, enum dtn_status, const char *format, ...) DTN_PRINTF(3, 4);

/* The same for an errno, with status DTN_ENV. */
bool dtn_fault_system(struct dtn_fault *, int error);

/* Is the program short of memory or descriptors?  That says nothing about the image. */
bool dtn_fault_of_program(const struct dtn_fault *);

#endif
