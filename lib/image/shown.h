/* shown.h -- what of a record is shown as pictures. */
#ifndef DTN_SHOWN_H
#define DTN_SHOWN_H

#include "format/dtn.h"
#include "lib/image/grid.h"
#include "lib/options.h"

struct dtn_shown {
	int fields;                     /* tensors that are shown, of each sample side by side */
	char **name;                    /* [fields]; NULL: results before what they were made of */
	int *tensor;                    /* [fields] of the record */
	uint8_t *pixels;                /* grows as images come, which tensors only promise */
	uint64_t room;                  /* bytes there */
	uint64_t strange;               /* values that are no numbers */
};

/* One tensor, without a name. */
void dtn_shown_init(struct dtn_shown *);

/* Those of an option's list "NAME,NAME,...". */
void dtn_shown_names(struct dtn_shown *, const struct dtn_args *);

/* Find them in the record.  Their size goes into the grid.  Dies where one is not there or nothing
 * that can be shown, or is of another size than the grid has already. */
void dtn_shown_choose(struct dtn_shown *, const struct dtn_reader *, const struct dtn_record *,
		      struct dtn_grid *);

/* The record's images [N,fields,H,W,C], as bytes, to pixels + at. */
void dtn_shown_read(struct dtn_shown *, struct dtn_reader *, const struct dtn_record *,
		    const struct dtn_grid *, uint64_t at);

/* Have n bytes at pixels; what is there stays. */
void dtn_shown_room(struct dtn_shown *, uint64_t n);

#endif
