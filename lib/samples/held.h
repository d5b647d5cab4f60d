/* held.h -- records put aside, as the chunks they came in or as plain bytes.
 *
 * What is whole and unchanged is written again chunk by chunk, without decoding it.  Whatever else
 * is wanted of a record is decoded one tensor after the other.
 */
#ifndef DTN_HELD_H
#define DTN_HELD_H

#include "lib/samples/classes.h"
#include "lib/samples/fields.h"
#include "lib/spool.h"

struct dtn_held {
	const char *input;              /* where it is from, for messages */
	uint64_t number;                /* of the record there */
	uint32_t samples;
	uint32_t chunk_size;
	uint64_t at;                    /* in the spool */
	int pieces;                     /* -1: plain, all tensors one after the other */
	struct dtn_piece { uint32_t raw, stored; uint8_t codec, filter; } *piece;
};

/* Which samples, and what is done to them. */
struct dtn_part {
	const uint8_t *keep;            /* [samples]; NULL: all */
	uint32_t samples;               /* that are kept */
	const struct dtn_classes *classes;      /* labels are renumbered by it; NULL: they stay */
	bool encode;                    /* anew, also what could be copied */
};

/* Put the record that the reader stands at into the spool, in chunks. */
void dtn_held_take(struct dtn_held *, struct dtn_reader *, const struct dtn_record *,
		   struct dtn_spool *);
void dtn_held_release(struct dtn_held *);

/* Tensor i of the part; allocated. */
void *dtn_held_tensor(const struct dtn_held *, const struct dtn_spool *, const struct dtn_fields *,
		      int i, const struct dtn_part *);

/* Write the part as a record. */
void dtn_held_write(const struct dtn_held *, const struct dtn_spool *, const struct dtn_fields *,
		    const struct dtn_part *, struct dtn_writer *, uint32_t chunk_size);

/* Put the part into another spool: as it is where it can be copied, unless it shall be `plain`. */
void dtn_held_move(struct dtn_held *to, struct dtn_spool *, const struct dtn_held *,
		   const struct dtn_spool *from, const struct dtn_fields *, const struct dtn_part *,
		   bool plain);

#endif
