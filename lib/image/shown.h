/* shown.h -- what of a record is shown as pictures. */
#ifndef DTN_SHOWN_H
#define DTN_SHOWN_H

#include "format/dtn.h"
#include "lib/image/grid.h"

/* The tensor of the record that is shown: the one called `field` or, without a name, results before
 * what they were made of.  The size of its images goes into the grid.  Dies where it is nothing
 * that can be shown, or of another size than the grid has already. */
int dtn_shown(const struct dtn_reader *, const struct dtn_record *, const char *field,
	      struct dtn_grid *);

#endif
