/* pick.h -- which samples of a stream are wanted: of a class, after some, up to a number.
 *
 * Frames of one trajectory belong together and count as one.  Classes come first, so what is
 * skipped and counted are samples of the classes that are asked for.
 */
#ifndef DTN_PICK_H
#define DTN_PICK_H

#include "lib/samples/held.h"

struct dtn_pick {
	uint64_t skip, head;            /* trajectories; head UINT64_MAX: all */
	struct dtn_classes classes;
	struct dtn_fields fields;

	uint64_t passed;                /* trajectories of the classes, so far */
	uint64_t samples;               /* in the segment, so far */
	bool takes;                     /* the trajectory that goes on */
	uint8_t *keep;                  /* [samples] of the record */
	size_t room;
};

/* The reader stands at a new segment; the segment has ended. */
void dtn_pick_segment(struct dtn_pick *, const struct dtn_reader *);
void dtn_pick_end(const struct dtn_pick *, const struct dtn_reader *);

/* Is nothing that follows wanted? */
bool dtn_pick_done(const struct dtn_pick *);

/* Can this record, which has samples, be one of the stream?  Dies where not. */
void dtn_pick_check(struct dtn_pick *, const struct dtn_reader *, const struct dtn_record *);

/* What is wanted of the record that the reader stands at.  Where classes are asked for, it must be
 * held already, else `held` may be NULL.  The part is valid until the next call. */
struct dtn_part dtn_pick_record(struct dtn_pick *, const struct dtn_reader *,
				const struct dtn_record *, const struct dtn_held *held,
				const struct dtn_spool *);

void dtn_pick_release(struct dtn_pick *);

#endif
