/* machine.h -- how many processors and how much memory this process may use. */
#ifndef DTN_MACHINE_H
#define DTN_MACHINE_H

#include <stdint.h>

/* Processors that it may run on, at least 1: the machine's, or those whose time a control group
 * that it is in may use, if that is less. */
int dtn_cores(void);

/* Bytes that it may hope for: the machine's, or those of a control group that it is in, if that
 * is less. */
uint64_t dtn_memory(void);

#endif
