/* bytes.h -- the bytes of one file, from its beginning, through a small buffer.
 *
 * Reads with pread, so that one descriptor can be read again from the start, and never maps a file:
 * a file that shrinks meanwhile is a short read, not a signal.
 */
#ifndef DTN_BYTES_H
#define DTN_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dtn_bytes {
	int fd;
	size_t first;           /* bytes to read at first; then as many as there is room for */
	uint64_t offset;        /* of the next byte to read from the file */
	uint8_t *buffer;        /* kept from file to file; released by dtn_bytes_release */
	size_t start, end;      /* the bytes read and not yet taken */
	int error;              /* errno of a failed read, or 0 */
};

/* From the first byte of a regular file; `brief`: probably, little more than a header is wanted. */
void dtn_bytes_begin(struct dtn_bytes *, int fd, bool brief);
uint64_t dtn_bytes_size(const struct dtn_bytes *);    /* of the file; 0: unknown */
size_t dtn_bytes_fill(struct dtn_bytes *);            /* bytes at hand; 0: end or error */
size_t dtn_bytes_peek(struct dtn_bytes *, uint8_t *to, size_t n);     /* first bytes, not taken */
size_t dtn_bytes_read(struct dtn_bytes *, void *to, size_t n);

/* What was taken so far, from the first byte of the file on; NULL where the buffer does not hold it
 * any more. */
const uint8_t *dtn_bytes_taken(const struct dtn_bytes *, size_t *n);
void dtn_bytes_release(struct dtn_bytes *);

#endif
