/* spool.h -- bytes put aside: in memory up to a limit, beyond it in a file that nobody sees. */
#ifndef DTN_SPOOL_H
#define DTN_SPOOL_H

#include "lib/base.h"

struct dtn_spool {
	uint64_t memory;                /* bytes of it that may be in memory */
	uint64_t n;                     /* bytes in it */
	uint8_t **page;                 /* while it is in memory */
	size_t pages;
	int fd;                         /* -1: in memory */
};

void dtn_spool_init(struct dtn_spool *, uint64_t memory);
void dtn_spool_release(struct dtn_spool *);

/* Append; returns where it begins. */
uint64_t dtn_spool_add(struct dtn_spool *, const void *data, uint64_t bytes);

/* `bytes` from `at` on, which must be there. */
void dtn_spool_get(const struct dtn_spool *, uint64_t at, void *into, uint64_t bytes);

/* Forget everything; what memory there is stays for what comes. */
void dtn_spool_clear(struct dtn_spool *);

#endif
