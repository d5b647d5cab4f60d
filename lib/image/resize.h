/* resize.h -- a picture brought to another size while its rows arrive.
 *
 * Each axis has its own filter: where it shrinks, every result is the average of the area that it
 * covers, with the share of the pixels that it covers in part; where it grows, a cubic through four
 * neighbours (Catmull-Rom).  Rows come from the top down and are not kept, so a photograph of any
 * height needs the memory of a few rows.
 */
#ifndef DTN_RESIZE_H
#define DTN_RESIZE_H

#include "lib/image/fit.h"

#include <stddef.h>
#include <stdint.h>

/* How one axis is computed: result i is the sum of weight[i*most + k] * source[first[i] + k]. */
struct dtn_axis {
	int results, most;              /* results; at most this many terms in each */
	int *first, *count;             /* [results] */
	float *weight;                  /* [results][most] */
	int first_room;                 /* what is allocated */
	size_t weight_room;
};

struct dtn_resize {
	struct dtn_axis across, down;
	int channels, target_width;
	int from, to;                   /* columns of the source that are looked at */
	int row, next;                  /* source row to come; first result row not finished */
	int open;                       /* result rows that can be unfinished at a time */
	float *sum;                     /* [open][(to-from) * channels] */
	size_t sum_room;
	uint8_t *target;
};

/* Begin: rows of source_width pixels, source_height of them, will come; `view` of them goes into
 * `target` [H,W,C], whose rows are target_width pixels long.  What the view leaves out is not
 * written. */
void dtn_resize_begin(struct dtn_resize *, int source_width, int source_height, int channels,
		      const struct dtn_view *, uint8_t *target, int target_width);
void dtn_resize_row(struct dtn_resize *, const uint8_t *row);
void dtn_resize_release(struct dtn_resize *);

#endif
