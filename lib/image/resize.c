/* resize.c -- a picture brought to another size while its rows arrive.
 *
 * Down first, then across: a source row is added, with its weight, to the sums of the result rows
 * that it touches, which is one multiplication and addition for each value and runs in vector
 * registers; the narrowing across is done once for a result row.  Sums are in float; the order of
 * additions is that of the source, so the result does not depend on anything but the picture.
 */
#include "lib/image/resize.h"

#include "lib/base.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void make_room(struct dtn_axis *a)
{
	size_t weights = (size_t)a->results * (size_t)a->most;

	if (a->results > a->first_room) {
		a->first = dtn_realloc(a->first, (size_t)a->results, sizeof(*a->first));
		a->count = dtn_realloc(a->count, (size_t)a->results, sizeof(*a->count));
		a->first_room = a->results;
	}
	if (weights > a->weight_room) {
		a->weight = dtn_realloc(a->weight, weights, sizeof(*a->weight));
		a->weight_room = weights;
	}
}

/* Result i covers from+i*step .. from+(i+1)*step; a pixel's weight is the share of that it fills.
 */
static void area(struct dtn_axis *a, int i, double from, double step, int source)
{
	double low = from + i * step, high = from + (i + 1) * step;
	int first = (int)floor(low), last = (int)ceil(high) - 1;
	float *weight = a->weight + (size_t)i * (size_t)a->most;

	first = first < 0 ? 0 : first > source - 1 ? source - 1 : first;
	last = last < first ? first : last > source - 1 ? source - 1 : last;
	if (last > first + a->most - 1)
		last = first + a->most - 1;
	a->first[i] = first;
	a->count[i] = last - first + 1;
	for (int k = first; k <= last; k++)
		weight[k - first] = (float)((fmin(high, k + 1.0) - fmax(low, k)) / step);
	if (first == last)
		weight[0] = 1;
}

/* Catmull-Rom [Keys 1981, a = -1/2] at distance t, 0 <= t < 1, behind the second of four pixels. */
static void cubic(double weight[4], double t)
{
	weight[0] = ((-0.5 * t + 1) * t - 0.5) * t;
	weight[1] = (1.5 * t - 2.5) * t * t + 1;
	weight[2] = ((-1.5 * t + 2) * t + 0.5) * t;
	weight[3] = (0.5 * t - 0.5) * t * t;
}

/* Beyond the edge of the source its last pixel goes on. */
static void curve(struct dtn_axis *a, int i, double from, double step, int source)
{
	double centre = from + (i + 0.5) * step - 0.5, w[4];
	int left = (int)floor(centre) - 1, last = source - 1;
	int first = left < 0 ? 0 : left > last ? last : left;
	float *weight = a->weight + (size_t)i * (size_t)a->most;

	cubic(w, centre - floor(centre));
	a->first[i] = first;
	a->count[i] = 0;
	for (int k = 0; k < 4; k++) {
		int at = left + k < 0 ? 0 : left + k > last ? last : left + k;
		if (at - first >= a->count[i])
			weight[a->count[i]++] = 0;
		weight[at - first] += (float)w[k];
	}
}

static void plan(struct dtn_axis *a, double from, double to, int source, int results)
{
	double step = (to - from) / results;

	a->results = results;
	a->most = step >= 1 ? (int)ceil(step) + 1 : 4;
	make_room(a);
	for (int i = 0; i < results; i++)
		if (step >= 1)
			area(a, i, from, step, source);
		else
			curve(a, i, from, step, source);
}

/* How many result rows can have begun and not ended: first and last rows never go back. */
static int overlap(const struct dtn_axis *a)
{
	int most = 1;

	for (int i = 0, begun = 0; i < a->results; i++) {
		while (begun < a->results && a->first[begun] < a->first[i] + a->count[i])
			begun++;
		if (begun - i > most)
			most = begun - i;
	}
	return most;
}

void dtn_resize_begin(struct dtn_resize *r, int source_width, int source_height, int channels,
		      const struct dtn_view *view, uint8_t *target, int target_width)
{
	int last = view->width - 1;
	size_t sums;

	plan(&r->across, view->x0, view->x1, source_width, view->width);
	plan(&r->down, view->y0, view->y1, source_height, view->height);
	r->channels = channels;
	r->from = r->across.first[0];
	r->to = r->across.first[last] + r->across.count[last];
	r->row = r->next = 0;
	r->open = overlap(&r->down);
	sums = (size_t)r->open * (size_t)(r->to - r->from) * (size_t)channels;
	if (sums > r->sum_room) {
		r->sum = dtn_realloc(r->sum, sums, sizeof(*r->sum));
		r->sum_room = sums;
	}
	r->target = target + (size_t)(view->y * target_width + view->x) * (size_t)channels;
	r->target_width = target_width;
}

static void store(float *restrict sum, const uint8_t *restrict row, float weight, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum[i] = weight * (float)row[i];
}

static void add(float *restrict sum, const uint8_t *restrict row, float weight, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum[i] += weight * (float)row[i];
}

static inline uint8_t to_byte(float v)
{
	return v <= 0 ? 0 : v >= 255 ? 255 : (uint8_t)(v + 0.5f);
}

/* One result row: sum [to-from][C] narrowed or widened to out [results][C]. */
static inline void narrow(uint8_t *out, const struct dtn_axis *a, const float *sum, int channels)
{
	for (int i = 0; i < a->results; i++) {
		const float *p = sum + (size_t)(a->first[i] - a->first[0]) * (size_t)channels;
		const float *weight = a->weight + (size_t)i * (size_t)a->most;
		float v[3] = { 0, 0, 0 };

		for (int k = 0; k < a->count[i]; k++, p += channels)
			for (int c = 0; c < channels; c++)
				v[c] += weight[k] * p[c];
		for (int c = 0; c < channels; c++)
			*out++ = to_byte(v[c]);
	}
}

static void finish(struct dtn_resize *r, const float *sum)
{
	uint8_t *out = r->target + (size_t)r->next * (size_t)r->target_width * (size_t)r->channels;

	if (r->channels == 1)
		narrow(out, &r->across, sum, 1);
	else
		narrow(out, &r->across, sum, 3);
	r->next++;
}

void dtn_resize_row(struct dtn_resize *r, const uint8_t *row)
{
	const struct dtn_axis *down = &r->down;
	size_t n = (size_t)(r->to - r->from) * (size_t)r->channels;
	const uint8_t *seen = row + (size_t)r->from * (size_t)r->channels;
	int y = r->row++;

	for (int i = r->next; i < down->results && down->first[i] <= y; i++) {
		float *sum = r->sum + (size_t)(i % r->open) * n;
		int k = y - down->first[i];
		float weight = down->weight[(size_t)i * (size_t)down->most + (size_t)k];

		if (k == 0)
			store(sum, seen, weight, n);
		else
			add(sum, seen, weight, n);
		if (k == down->count[i] - 1)
			finish(r, sum);
	}
}

static void release(struct dtn_axis *a)
{
	free(a->first);
	free(a->count);
	free(a->weight);
}

void dtn_resize_release(struct dtn_resize *r)
{
	release(&r->across);
	release(&r->down);
	free(r->sum);
}
