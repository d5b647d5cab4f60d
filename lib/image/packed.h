/* packed.h -- files that hold many images of one size: MNIST's IDX, CIFAR-10 binary.
 *
 *      IDX       00 00 08 03, then N, H, W as 32-bit big-endian numbers, then bytes [N,H,W]
 *      CIFAR-10  per image a label byte, then bytes [3,32,32]
 */
#ifndef DTN_PACKED_H
#define DTN_PACKED_H

#include "lib/image/image.h"

struct dtn_packed;

struct dtn_packed_ask {
	bool labels;            /* look for the labels, too */
	bool any_order;         /* images will not be asked for in ascending order */
	uint64_t max_pixels;
};

/* Is it one of these?  NULL with fault->status DTN_OK: no.  NULL otherwise: it is, and not
 * acceptable. `path` is where labels and names of classes are looked for, beside it; NULL: nowhere.
 * The packed file owns `fd` from success on. */
struct dtn_packed *dtn_packed_open(const char *path, int fd, const struct dtn_packed_ask *,
				   struct dtn_fault *);
void dtn_packed_close(struct dtn_packed *);

struct dtn_seen dtn_packed_seen(const struct dtn_packed *);
uint32_t dtn_packed_count(const struct dtn_packed *);
int dtn_packed_classes(const struct dtn_packed *);              /* 0: no labels */
const char *dtn_packed_class(const struct dtn_packed *, int);   /* its name */

/* `n` images from number `first` on into `pixels` [n,H,W,C] and `labels` [n]; returns how many
 * there were before the first that is bad or missing, and says in `fault` why when it is less than
 * n; the text is empty where the reason was told before.  May be called by several threads; a
 * compressed file makes them wait for each other, in ascending order, and once one of its images is
 * bad, all that follow are. */
uint32_t dtn_packed_read(struct dtn_packed *, uint32_t first, uint32_t n, uint8_t *pixels,
			 int *labels, struct dtn_fault *);

#endif
