/* scratch.h -- room on disk that nobody else sees and nobody has to clean up.
 *
 * What is put aside has five names, each built of those above it:
 *
 *      scratch   a file without a name                                 here
 *      spool     bytes, in memory up to a limit, else in scratch       lib/spool.h
 *      held      one record in a spool, decoded or not                 lib/samples/held.h
 *      shelf     all records of a stream, held in a spool              lib/samples/shelf.h
 *      kept      for training: tensors, read row by row, in memory     lib/train/kept.h
 *                up to a limit, the others' chunks in scratch
 */
#ifndef DTN_SCRATCH_H
#define DTN_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

/* A new empty file in $TMPDIR, or /tmp, without a name: it is gone when its descriptor is closed,
 * however the program ends.  Dies with status 1 where there can be none. */
int dtn_scratch_open(void);

/* All `bytes` at `at`, or die with status 1. */
void dtn_scratch_read(int fd, void *into, size_t bytes, uint64_t at);

/* Append all bytes, or die with status 1. */
void dtn_scratch_write(int fd, const void *data, size_t bytes);

#endif
