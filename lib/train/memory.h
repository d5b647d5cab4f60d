/* memory.h -- will it fit? */
#ifndef DTN_MEMORY_H
#define DTN_MEMORY_H

#include "kernels/backend.h"
#include "lib/train/settings.h"

/* Bytes that training takes, the data not counted; or a network beside it that only goes forward,
 * with the trainer's weights.  `once`, and `each` for every worker. */
struct dtn_memory_use { uint64_t once, each; };
struct dtn_memory_use dtn_memory_use(const struct dtn_settings *, const struct dtn_backend *,
				     int type, int slice, bool training);

/* With how many workers, at most so many, training fits; not even one: death with status 3.  A
 * device with a queue has one.  `askers`: networks beside it that share its averaged weights.
 * *left: bytes of memory beside all of them. */
int dtn_fit_memory(const struct dtn_settings *, const struct dtn_backend *, int type, int workers,
		   int askers, uint64_t *left);

/* Would a step end in reasonable time?  The work of the middle's attention grows with the square of
 * its positions; too many of them: death with status 3. */
void dtn_fit_attention(const struct dtn_unet *);

/* Images a slice: on a device with a queue a batch, or a half, a third, ... if that is what fits;
 * else what the network wants. */
int dtn_fit_slice(const struct dtn_settings *, const struct dtn_backend *, int type);

#endif
