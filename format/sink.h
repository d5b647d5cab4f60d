/* sink.h -- where the writer's frames go: each is added whole, and FAIL where the program dies.
 *
 * Where another thread dies between two calls, FAIL follows what was added, and the second call
 * does not return.
 *
 * Nothing outside format/ includes this.
 */
#ifndef DTN_SINK_H
#define DTN_SINK_H

#include "format/frame.h"
#include "lib/output.h"

#include <pthread.h>
#include <stdatomic.h>

struct dtn_sink {
	struct dtn_output *output;
	uint8_t *buffer;
	size_t n, cap;
	bool flushing;                  /* within a write */

	/* the segment */
	bool open;                      /* between HEAD and END */
	uint32_t chunk_size, chain;
	uint64_t written;               /* its bytes that have left the buffer */

	pthread_mutex_t lock;           /* of all the above */
	atomic_bool dying;              /* nobody may enter any more */
};

/* `output` stays the caller's; FAIL is written to it if the program dies before the release, which
 * writes what is in the buffer. */
void dtn_sink_init(struct dtn_sink *, struct dtn_output *);
void dtn_sink_release(struct dtn_sink *);

/* Where the next frame's body of n bytes goes, which `after` bytes shall follow. */
uint8_t *dtn_sink_room(struct dtn_sink *, size_t n, size_t after);

/* Add the frame whose body of n bytes is there.  END is written at once. */
void dtn_sink_frame(struct dtn_sink *, uint32_t tag, uint32_t flags, size_t n);

/* Add the CHNK whose body of n bytes is there, and its zstd frame, of which nothing is needed any
 * more afterwards. */
void dtn_sink_chunk(struct dtn_sink *, size_t n, const struct iovec *piece, int pieces);

/* HEAD: a segment begins. */
void dtn_sink_head(struct dtn_sink *, enum dtn_kind, uint32_t chunk_size);

void dtn_sink_flush(struct dtn_sink *);
uint64_t dtn_sink_position(const struct dtn_sink *);    /* of the next frame in the segment */

#endif
