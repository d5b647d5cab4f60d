/* source.h -- the bytes of one file, from its beginning, through a small buffer.
 *
 * Reads with pread, so that one descriptor can be read again from the start, and never maps a file:
 * a file that shrinks meanwhile is a short read, not a signal.
 */
#ifndef DTN_SOURCE_H
#define DTN_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct dtn_source {
	int fd;
	uint64_t size;          /* of the file; 0: unknown */
	uint64_t offset;        /* of the next byte to read from the file */
	uint8_t *buffer;        /* kept from file to file; released by dtn_source_release */
	size_t start, end;      /* the bytes read and not yet taken */
	int error;              /* errno of a failed read, or 0 */
};

void dtn_source_begin(struct dtn_source *, int fd);     /* from the first byte of a regular file */
size_t dtn_source_fill(struct dtn_source *);            /* bytes at hand; 0: end or error */
size_t dtn_source_peek(struct dtn_source *, uint8_t *to, size_t n);     /* first bytes, not taken */
size_t dtn_source_read(struct dtn_source *, void *to, size_t n);
void dtn_source_release(struct dtn_source *);

#endif
