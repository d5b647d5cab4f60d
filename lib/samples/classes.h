/* classes.h -- the classes of several segments as one numbered list.
 *
 * Each segment has its own list of names, and its labels are places in it.  The list here begins as
 * the first segment's and grows by the names that later ones bring, so a number never changes its
 * meaning, and a list is always the beginning of every later one.
 */
#ifndef DTN_CLASSES_H
#define DTN_CLASSES_H

#include "format/dtn.h"
#include "lib/labels.h"

struct dtn_classes {
	struct dtn_labels list;
	bool begun, named;              /* some segment was seen; with names */
	char *text;                     /* of the last list that was seen */
	int *map;                       /* what the segment's numbers become; NULL: nothing else */
	int mapped;                     /* how many names the segment has */
	bool grown;                     /* the list is longer than the segment's own */

	/* --class */
	int wishes;
	char *const *wish;
	bool *wanted;                   /* [list.n] */
	bool *met;                      /* [wishes] */
};

/* The classes that are asked for, by name or, where there are no names, by number. */
void dtn_classes_want(struct dtn_classes *, char *const *names, int n);

/* The reader stands at a new segment. */
void dtn_classes_segment(struct dtn_classes *, const struct dtn_reader *);

/* All names so far as metadata keeps them; NULL: there are none.  Allocated. */
char *dtn_classes_text(const struct dtn_classes *);

/* Can `t` be labels?  Dies where not. */
void dtn_classes_check(const struct dtn_classes *, const struct dtn_reader *,
		       const struct dtn_tensor *t);

/* keep[i] stays true where labels[i], as the segment has it, is of a class that is asked for. */
void dtn_classes_choose(struct dtn_classes *, const struct dtn_reader *,
			const struct dtn_tensor *, const void *labels, uint8_t *keep);

/* The segment's numbers become the list's. */
void dtn_classes_renumber(const struct dtn_classes *, const char *input, const struct dtn_tensor *,
			  void *labels, uint32_t n);

/* All was read: die where there is no such class as was asked for. */
void dtn_classes_finish(const struct dtn_classes *, const char *input);
void dtn_classes_release(struct dtn_classes *);

#endif
