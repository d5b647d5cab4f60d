/* list.h -- which images are there, and of which class is each?
 *
 * A folder is searched with everything below it, in the order of strcmp over whole paths.  In it, files
 * count as images by their names' ends or else by their first bytes; hidden files, pipes, devices and
 * anything that is no image are passed over.  What a user names himself is an image, or an error.
 */
#ifndef DTN_LIST_H
#define DTN_LIST_H

#include "lib/image/packed.h"

struct dtn_bad {
	bool skip;              /* warn and count; otherwise die at the first */
	uint64_t count;
};

/* One bad file, or image in it: dies, or warns unless the text is empty, and counts. */
void dtn_bad_one(struct dtn_bad *, const char *path, const struct dtn_fault *);

struct dtn_file {
	size_t path;                    /* in dtn_list.text */
	size_t below;                   /* where in the path what is below the named folder begins; 0: named itself */
	uint64_t first;                 /* images in the files before this one */
	int class;                      /* of all its images; -1: none, or each has its own */
	int fd;                         /* open already; -1: open it by path */
	struct dtn_packed *packed;      /* NULL: one PNG or JPEG */
};

struct dtn_list {
	struct dtn_packed_ask ask;      /* set by the caller, like bad */
	struct dtn_bad *bad;
	char *text;                     /* all paths, each ended by a zero */
	size_t text_used, text_room;
	struct dtn_file *file;
	size_t files, file_room;
	uint64_t images;
	char **class;                   /* names, in the order of their numbers */
	int classes;                    /* 0: no labels */
};

void dtn_list_init(struct dtn_list *, const struct dtn_packed_ask *, struct dtn_bad *);
void dtn_list_add(struct dtn_list *, const char *path);         /* a file, a folder or "-" */
void dtn_list_add_from(struct dtn_list *, const char *path);    /* a file of such, one a line */
void dtn_list_finish(struct dtn_list *);                        /* numbers images and classes */
void dtn_list_release(struct dtn_list *);

const char *dtn_list_path(const struct dtn_list *, size_t file);        /* as messages name it */

/* The file that holds image number i, which is below `images`. */
size_t dtn_list_find(const struct dtn_list *, uint64_t i);

/* The number of the class that a packed file calls `label`. */
int dtn_list_class(const struct dtn_list *, size_t file, int label);

#endif
