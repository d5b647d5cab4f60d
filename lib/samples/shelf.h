/* shelf.h -- all samples of a stream put aside, to be written in another order or in two parts. */
#ifndef DTN_SHELF_H
#define DTN_SHELF_H

#include "lib/samples/held.h"

struct dtn_shelf {
	struct dtn_spool spool;
	struct dtn_held *held;
	uint64_t *first;                /* number of each one's first sample */
	size_t n, cap;
	uint64_t samples;
};

void dtn_shelf_init(struct dtn_shelf *, uint64_t memory);       /* bytes; more goes to $TMPDIR */
void dtn_shelf_release(struct dtn_shelf *);

/* Put a part of a record here; `plain` all where they shall be shuffled. */
void dtn_shelf_add(struct dtn_shelf *, const struct dtn_held *, const struct dtn_spool *,
		   const struct dtn_fields *, const struct dtn_part *, bool plain);

/* Write the samples from .. to-1 in their order. */
void dtn_shelf_write(const struct dtn_shelf *, const struct dtn_fields *, uint64_t from,
		     uint64_t to, bool encode, struct dtn_writer *, uint32_t chunk_size);

/* Write the samples order[0 .. n-1]; each number stands for `frames` samples in a row.  All are
 * plain. */
void dtn_shelf_write_order(const struct dtn_shelf *, const struct dtn_fields *,
			   const uint32_t *order, uint64_t n, struct dtn_writer *);

#endif
