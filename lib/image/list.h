/* list.h -- which images are there, and of which class is each?
 *
 * A folder is searched with everything below it, in the order of strcmp over whole paths.  In it,
 * files count as images by their names' ends or else by their first bytes; hidden files, pipes,
 * devices and anything that is no image are passed over.  What a user names himself is an image, or
 * an error.
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
	size_t path;                    /* begins there in dtn_list.text */
	uint64_t first;                 /* images in the files before this one */
	int class;                      /* of all its images; -1: none, or each has its own */
	int fd;                         /* open already; -1: to be opened */
	struct dtn_packed *packed;      /* NULL: one PNG or JPEG */
	int *map;                       /* the number of each class of a packed file */
};

struct dtn_list {
	struct dtn_packed_ask ask;
	struct dtn_bad *bad;
	char *text;                     /* all paths, each ended by a zero */
	size_t text_used, text_room;
	struct dtn_file *file;
	size_t files, file_room;
	uint64_t images;
	char **class;                   /* names, in the order of their numbers */
	int classes, class_room;        /* 0: no labels */
};

void dtn_list_init(struct dtn_list *, const struct dtn_packed_ask *, struct dtn_bad *);
void dtn_list_add(struct dtn_list *, const char *path);         /* a file, a folder or "-" */
void dtn_list_add_from(struct dtn_list *, const char *path);    /* what a file lists */
void dtn_list_finish(struct dtn_list *);                        /* numbers images and classes */
void dtn_list_release(struct dtn_list *);

const char *dtn_list_path(const struct dtn_list *, size_t file);        /* as messages name it */

/* A descriptor of the file for reading, -1 with errno; give it back with dtn_list_close. */
int dtn_list_open(const struct dtn_list *, size_t file);
void dtn_list_close(const struct dtn_list *, size_t file, int fd);

/* The file that holds image number i, which is below `images`. */
size_t dtn_list_find(const struct dtn_list *, uint64_t i);

/* For the parts of the list's own code: a file at the end; a class's name, -1 where none are
 * wanted. */
struct dtn_file *dtn_list_append(struct dtn_list *, const char *path);
int dtn_list_class(struct dtn_list *, const char *name, size_t length);
void dtn_list_folder(struct dtn_list *, const char *path);

/* Recognise what is open as `fd` and append it: one image, or a packed file.  FOUND in a folder, it
 * is passed over when it is none; NAMED by the user, it is an image or bad; what comes PIPED, or as
 * standard input, has besides no other file beside it and cannot be opened again.  The list takes
 * `fd`. */
enum dtn_how { DTN_FOUND, DTN_NAMED, DTN_PIPED };

void dtn_list_recognise(struct dtn_list *, const char *path, int fd, enum dtn_how);

#endif
