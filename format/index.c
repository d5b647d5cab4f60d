/* index.c -- where records begin, for readers that can seek: the body of an INDX frame.
 *
 *      0 entries   4 stride   8 (offset from HEAD, first sample) of records 0, stride, 2*stride ...
 */
#include "format/frame.h"

#include <stdlib.h>
#include <string.h>

void dtn_index_clear(struct dtn_index *x)
{
	free(x->place);
	memset(x, 0, sizeof(*x));
}

void dtn_index_add(struct dtn_index *x, uint64_t record, uint64_t offset, uint64_t first)
{
	if (x->stride == 0)
		x->stride = 1;
	if (record % x->stride != 0)
		return;
	if (x->n == DTN_INDX_ENTRIES) {
		for (uint32_t i = 0; i < x->n / 2; i++)
			x->place[i] = x->place[2 * i];
		x->n /= 2;
		x->stride *= 2;
		if (record % x->stride != 0)
			return;
	}
	if (x->n == x->cap) {
		x->cap = x->cap ? 2 * x->cap : 256;
		x->place = dtn_realloc(x->place, x->cap, sizeof(*x->place));
	}
	x->place[x->n].offset = offset;
	x->place[x->n++].first = first;
}

size_t dtn_index_print(const struct dtn_index *x, uint8_t *body)
{
	dtn_put32(body, x->n);
	dtn_put32(body + 4, x->stride ? x->stride : 1);
	for (uint32_t i = 0; i < x->n; i++) {
		dtn_put64(body + 8 + 16 * (size_t)i, x->place[i].offset);
		dtn_put64(body + 16 + 16 * (size_t)i, x->place[i].first);
	}
	return 8 + 16 * (size_t)x->n;
}

bool dtn_index_size_ok(const uint8_t *body, size_t n)
{
	return n >= 8 && dtn_get32(body) <= DTN_INDX_ENTRIES &&
	       n == 8 + 16 * (size_t)dtn_get32(body);
}

/* `x` has listed every record that was read; its stride and the frame's may differ, but one divides
 * the other, so every entry at the greater of both can be compared. */
bool dtn_index_matches(const struct dtn_index *x, const uint8_t *body, uint64_t records)
{
	uint64_t n = dtn_get32(body), stride = dtn_get32(body + 4);
	uint64_t ours = x->stride ? x->stride : 1;
	uint64_t step = stride > ours ? stride : ours;

	if (stride == 0 || (stride & (stride - 1)) != 0 ||
	    n != records / stride + (records % stride != 0))
		return false;
	for (uint64_t record = 0; record < records; record += step) {
		const uint8_t *entry = body + 8 + 16 * (record / stride);
		const struct dtn_entry *p = &x->place[record / ours];
		if (dtn_get64(entry) != p->offset || dtn_get64(entry + 8) != p->first)
			return false;
	}
	return true;
}
