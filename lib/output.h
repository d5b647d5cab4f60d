/* output.h -- where a program's result goes: standard output, or a file that appears only complete.
 *
 * A regular file is written under a temporary name beside its target, synced and renamed over it,
 * so the target is the old file or the new one at every moment.  A device, a pipe or /dev/stdout is
 * written directly.  On death, and on signals that others send, the temporary file is removed.
 */
#ifndef DTN_OUTPUT_H
#define DTN_OUTPUT_H

#include "lib/base.h"

#include <stdio.h>
#include <sys/uio.h>

struct dtn_output {
	int fd;
	const char *name;       /* for messages: "stdout" or the path */
	char *path;             /* the target with links resolved; NULL: written directly */
	char *temporary;
	bool hasty;             /* do not wait for the disk: set for each of many small files */
};

/* path NULL or "-": standard output.  A terminal is refused with status 2 unless `force`. */
void dtn_output_open(struct dtn_output *, const char *path, bool force);

/* Can `path` be created or replaced?  Dies with status 1 now rather than after hours of work. */
void dtn_output_check(const char *path);

/* Do both paths lead to one regular file, or would they if it were there? */
bool dtn_same_file(const char *, const char *);

/* Is it, or will it be, a regular file that appears by renaming? */
bool dtn_output_renames(const char *path);

/* Are both regular files, and one and the same, or will they be once they are committed? */
bool dtn_output_same(const struct dtn_output *, const struct dtn_output *);

/* Write all of it, or die with status 1. */
void dtn_output_write(struct dtn_output *, const void *data, size_t bytes);

/* The same with pieces from several places, whose descriptions it uses up. */
void dtn_output_gather(struct dtn_output *, struct iovec *, int pieces);

/* A FILE for fprintf, which dies where dtn_output_write does.  fclose it before the commit. */
FILE *dtn_output_stream(struct dtn_output *);

/* Sync and rename; nothing is visible before. */
void dtn_output_commit(struct dtn_output *);

/* Open an operand for reading: "-" is stdin, which must be no terminal (status 2) and may be named
 * only once.  A directory or a missing file dies with status 1.  `name`: what messages call it. */
int dtn_input_open(const char *operand, const char **name);

/* Read `bytes`, fewer only at the end of input; dies with status 1 where reading fails.  A
 * descriptor that does not block is waited for. */
size_t dtn_input_read(int fd, const char *name, void *data, size_t bytes);

#endif
