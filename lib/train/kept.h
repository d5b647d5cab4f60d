/* kept.h -- tensors of samples, to be fetched row by row many times: in memory, and beyond a limit
 * in a file without a name. */
#ifndef DTN_KEPT_H
#define DTN_KEPT_H

#include "format/dtn.h"

/* Where all of them are. */
struct dtn_keep {
	uint64_t memory, max_memory;    /* bytes in memory, and the limit */
	int spool;                      /* the file, -1 while there is none */
	uint64_t spooled;               /* its bytes */
	size_t largest_raw, largest_stored;     /* of its chunks */
};

struct dtn_kept_piece;                       /* one chunk in the spool */

/* One tensor of one record. */
struct dtn_kept {
	uint8_t *bytes;                 /* NULL: spooled */
	struct dtn_kept_piece *piece;
	int pieces;
};

void dtn_keep_init(struct dtn_keep *, uint64_t max_memory);
void dtn_keep_release(struct dtn_keep *);

/* Read tensor i of the reader's record and keep it. */
void dtn_keep(struct dtn_keep *, struct dtn_kept *, struct dtn_reader *, const struct dtn_tensor *,
	      int i);
void dtn_kept_release(struct dtn_kept *);

/* What one worker needs to fetch rows: room for a chunk of the spool. */
struct dtn_fetch {
	char *stored, *raw;
	uint64_t at;                    /* of the chunk in raw in the spool; UINT64_MAX: none */
};

void dtn_fetch_start(struct dtn_fetch *, const struct dtn_keep *);
void dtn_fetch_release(struct dtn_fetch *);

/* `bytes` from `begin` on: a pointer to them, or `into`, filled. The tensor describes what was kept
 * to the decoder. */
const void *dtn_fetch_bytes(struct dtn_fetch *, const struct dtn_keep *, const struct dtn_kept *,
			    const struct dtn_tensor *, uint64_t begin, size_t bytes, void *into);

#endif
