/* gzip.h -- zlib's compressed files, with reasons instead of codes. */
#ifndef DTN_GZIP_H
#define DTN_GZIP_H

#include "lib/image/fault.h"

#include <zlib.h>

/* How many of the n bytes could be read; fewer at the end, or where something is wrong. */
size_t dtn_gzip_read(gzFile, void *to, size_t n);

/* Why fewer came; always false. */
bool dtn_gzip_fault(gzFile, struct dtn_fault *);

/* Nothing follows, and the checksum is right? */
bool dtn_gzip_end(gzFile, struct dtn_fault *);

#endif
