/* memory.h -- will it fit? */
#ifndef DTN_MEMORY_H
#define DTN_MEMORY_H

#include "lib/train/settings.h"

/* Bytes that this process may hope for: of the machine, or of its control group if that is less. */
uint64_t dtn_memory(void);

/* With how many workers, at most so many, training fits; not even one: death with status 3. */
int dtn_fit_memory(const struct dtn_settings *, int type, int workers);

#endif
