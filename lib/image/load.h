/* load.h -- the images of a list, decoded by several threads, delivered in order.
 *
 * What is delivered depends on the list and on what is asked for, never on the number of threads or
 * on which of them is faster.
 */
#ifndef DTN_LOAD_H
#define DTN_LOAD_H

#include "format/dtn.h"
#include "lib/image/list.h"

struct dtn_load_ask {
	struct dtn_wanted wanted;       /* width 0: as they are; channels 0: as the first is */
	int threads;                    /* in all, the caller's included */
	bool shuffle;
	uint64_t seed;                  /* of the shuffle */
	uint64_t limit;                 /* at most so many images */
	uint64_t max_pixels;
	uint32_t per_batch;             /* so many are delivered at a time, at most; see below */
};

enum { DTN_LOAD_SIDE = 64 };    /* where sizes differ and none is asked for */

/* In which order, and how large: asks the headers of images as far as that is open.  The list, its
 * number of bad ones and its files stay the caller's. */
struct dtn_order {
	const struct dtn_list *list;
	uint32_t *shuffled;             /* NULL: as listed */
	uint64_t n;                     /* positions that may be asked for, from 0 */
	struct dtn_wanted wanted;       /* with nothing open any more */
	bool mixed;                     /* sizes differ, so one was chosen */
};

void dtn_order_init(struct dtn_order *, const struct dtn_list *, const struct dtn_load_ask *);
void dtn_order_release(struct dtn_order *);
uint64_t dtn_order_image(const struct dtn_order *, uint64_t position);  /* its number in the list */

struct dtn_load;

struct dtn_load *dtn_load_open(const struct dtn_order *, const struct dtn_load_ask *);

/* The next batch of images [N,H,W,C] and their classes [N], valid until the next call; 0: there are
 * no more.  Batches begin small and double.  Bad images are passed over, or end the program, as the
 * list says. */
uint32_t dtn_load_next(struct dtn_load *, const uint8_t **images, const int32_t **classes);

/* The same threads for other work of the caller's, who takes part: they do it first, and decode
 * when there is none. */
struct dtn_threads dtn_load_threads(struct dtn_load *);
void dtn_load_close(struct dtn_load *);

#endif
