/* known.h -- the classes of the images to train on: which there are, and which each image is of.
 *
 * A class is its name.  Each segment of a stream has its own list of names, and its labels are
 * places in it; streams that have labels but no names call their classes by their numbers.  The
 * list here begins with the first segment's and grows by the names that others bring, unless a
 * model or the images that are trained on have closed it.
 */
#ifndef DTN_KNOWN_H
#define DTN_KNOWN_H

#include "format/dtn.h"
#include "lib/labels.h"

enum { DTN_NO_CLASS = -1 };             /* label of an image that is of none */

struct dtn_known {
	bool wanted;                    /* false: labels are not looked at */
	struct dtn_labels list;
	bool closed;                    /* no more may come: they are those of a model */
	int32_t *label;                 /* of each image */
	uint64_t room;
	int *number;                    /* of the segment's names in the list; -1: not in it */
	int numbers, number_room;       /* for all segments that name none it is the same */
	bool named;                     /* does the segment name its classes? */
	bool begun, begun_named;        /* some image was seen; in a segment that names them */
};

/* From now on labels are wanted; the reader stands in the first segment.  `names`, as metadata has
 * them: the only classes there are; NULL: find them. */
void dtn_known_want(struct dtn_known *, const struct dtn_reader *, const char *names);

/* A new segment; tensor i of a record, its labels, whose first image has this number; a record that
 * has none. */
void dtn_known_segment(struct dtn_known *, const struct dtn_reader *);
void dtn_known_record(struct dtn_known *, struct dtn_reader *, const struct dtn_record *, int i,
		      uint64_t first);
_Noreturn void dtn_known_missing(const struct dtn_reader *);

char *dtn_known_text(const struct dtn_known *);         /* as metadata has them; allocated */
void dtn_known_release(struct dtn_known *);

#endif
