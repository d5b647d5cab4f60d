/* encode.h -- chunks for the writer: compressed, or stored as they are, several at a time.
 *
 * Nothing outside format/ includes this.
 */
#ifndef DTN_ENCODE_H
#define DTN_ENCODE_H

#include "format/frame.h"

#include <sys/uio.h>

enum {
	DTN_BLOCK = 1 << 17,            /* the largest block of a zstd frame */
	DTN_BLOCKS_MOST = DTN_CHUNK_MOST / DTN_BLOCK
};

/* A chunk and the pieces that its zstd frame consists of.  A frame that stores has its headers here
 * and its blocks where the caller has the data; one that compresses is one piece. */
struct dtn_coded {
	struct dtn_chunk chunk;         /* its `data` is not set */
	int pieces;
	struct iovec piece[2 * DTN_BLOCKS_MOST + 1];
	uint8_t head[9 + 3 * DTN_BLOCKS_MOST + 4];
	uint8_t *compressed;
	size_t room;
};

struct dtn_encoder *dtn_encoder_open(int level);        /* level 0 stores */
void dtn_encoder_share(struct dtn_encoder *, const struct dtn_threads *);
void dtn_encoder_close(struct dtn_encoder *);

/* Encode the next chunks of a tensor, of which `left` bytes are at `from`: at least one, and as
 * many as are worth doing at a time.  How many; they are valid until the next call, as long as the
 * data is. */
int dtn_encode(struct dtn_encoder *, const struct dtn_tensor *, const void *from, uint64_t left,
	       uint32_t chunk_size, const struct dtn_coded **);

/* A frame that stores c->data, which has been filtered already or needs no filter. */
const struct dtn_coded *dtn_encode_stored(struct dtn_encoder *, const struct dtn_chunk *);

#endif
