/* hand.h -- images of a list in a row, decoded by one thread, each with its class or its fault. */
#ifndef DTN_HAND_H
#define DTN_HAND_H

#include "lib/image/load.h"

struct dtn_hand;        /* what one thread keeps from one to the next */

/* The order stays the caller's. */
struct dtn_hand *dtn_hand_open(const struct dtn_order *, uint64_t max_pixels);
void dtn_hand_close(struct dtn_hand *);

/* The n images from a position on, [n,H,W,C] as the order wants them, and their classes [n], -1
 * where there are none.  Returns how many of them are bad; each of these gets an allocated fault,
 * whose text is empty where the reason was told with an earlier one; the others' are left alone. */
uint32_t dtn_hand_decode(struct dtn_hand *, uint64_t position, uint32_t n, uint8_t *images,
			 int32_t *class, struct dtn_fault **fault);

#endif
