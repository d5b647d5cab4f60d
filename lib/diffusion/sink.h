/* sink.h -- sampled images on their way into a stream: records, labels, and how far it is. */
#ifndef DTN_SINK_H
#define DTN_SINK_H

#include "format/dtn.h"
#include "lib/line.h"

struct dtn_sink {
	struct dtn_writer *writer;      /* within a segment */
	struct dtn_shape image;         /* [1,H,W,C] */
	int type;                       /* DTN_U8 or DTN_F32 */
	uint64_t first, n;              /* images */
	int frames;                     /* of each */
	int32_t *label;                 /* of image i: label[i mod labels]; NULL: none */
	int labels;
	/* its own */
	uint64_t written;               /* samples, frames counted */
	double begun;                   /* dtn_seconds() */
	struct dtn_line line;
};

/* What struct dtn_sampling calls, with the sink as `arg`, between these two. */
void dtn_sink_begin(struct dtn_sink *);
void dtn_sink_emit(void *sink, const void *samples, size_t n);
void dtn_sink_progress(void *sink, int64_t done, int64_t all);
void dtn_sink_end(struct dtn_sink *);           /* the line goes; with -v, how long it took */

#endif
