/* sink.c -- sampled images on their way into a stream: records, labels, and how far it is. */
#include "lib/diffusion/sink.h"

#include "lib/samples/images.h"

#include <stdlib.h>

void dtn_sink_begin(struct dtn_sink *sink)
{
	dtn_line_init(&sink->line);
	sink->begun = dtn_seconds();
}

/* The classes of the next n samples; allocated; NULL: they have none. */
static int32_t *labels_of(const struct dtn_sink *sink, uint32_t n)
{
	int32_t *label;

	if (!sink->label)
		return NULL;
	label = dtn_alloc(n, sizeof(*label));
	for (uint32_t k = 0; k < n; k++) {
		uint64_t image = sink->first + (sink->written + k) / (uint64_t)sink->frames;

		label[k] = sink->label[image % (uint64_t)sink->labels];
	}
	return label;
}

void dtn_sink_emit(void *arg, const void *samples, size_t n)
{
	struct dtn_sink *sink = arg;
	const struct dtn_shape s = sink->image;
	const size_t bytes = dtn_shape_count(s) * dtn_type_size(sink->type);
	const uint32_t most = dtn_images_most(bytes);

	for (size_t at = 0, now; at < n; at += now) {
		int32_t *label;
		now = n - at < most ? n - at : most;
		label = labels_of(sink, (uint32_t)now);
		dtn_images_write(sink->writer, sink->type, s.dim + 1, (uint32_t)now,
				 (const char *)samples + at * bytes, label);
		free(label);
		sink->written += now;
	}
}

void dtn_sink_progress(void *arg, int64_t done, int64_t all)
{
	struct dtn_sink *sink = arg;
	double share = (double)done / (double)all, seconds;

	if (!dtn_line_due(&sink->line))
		return;
	seconds = dtn_seconds() - sink->begun;
	dtn_line_show(&sink->line, "%llu images  %.0f %%  %.3g images/s  %s left",
		      (unsigned long long)sink->n, 100 * share, share * (double)sink->n / seconds,
		      dtn_clock_text(seconds / share - seconds));
}

void dtn_sink_end(struct dtn_sink *sink)
{
	dtn_line_clear(&sink->line);
	dtn_say("%llu image%s in %.2f s", (unsigned long long)sink->n, dtn_plural(sink->n),
		dtn_seconds() - sink->begun);
}
