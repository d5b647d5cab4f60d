/* loss.c -- distance between prediction and target, image by image. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vec.h"

#include <math.h>

static INLINE float distance(float d, const enum dtn_loss_kind kind)
{
	float a = fabsf(d);

	if (kind == DTN_L2)
		return d * d;
	if (kind == DTN_L1)
		return a;
	return a < 1 ? 0.5f * d * d : a - 0.5f;
}

static INLINE float slope(float d, const enum dtn_loss_kind kind)
{
	if (kind == DTN_L2)
		return 2 * d;
	if (kind == DTN_L1)
		return d > 0 ? 1 : d < 0 ? -1 : d;      /* NaN and 0 stay */
	return d > 1 ? 1 : d < -1 ? -1 : d;
}

/* In parts short enough to be summed in f32. */
static INLINE double sum(const float *restrict a, const float *restrict b, size_t n,
			 const enum dtn_loss_kind kind)
{
	enum { PART = 1024 };
	float each[PART];
	double total = 0;

	for (size_t i = 0; i < n; i += PART) {
		size_t part = n - i < PART ? n - i : PART;

		for (size_t j = 0; j < part; j++)
			each[j] = distance(a[i + j] - b[i + j], kind);
		total += (double)vec_sum(each, part);
	}
	return total;
}

/* y = mean l(d):  dprediction = dy l'(d) / n */
static INLINE void down(float *restrict da, const float *restrict a, const float *restrict b,
			size_t n, float factor, const bool add, const enum dtn_loss_kind kind)
{
	for (size_t i = 0; i < n; i++) {
		float d = factor * slope(a[i] - b[i], kind);
		da[i] = add ? da[i] + d : d;
	}
}

#define BY_KIND(kind, f, ...) \
	((kind) == DTN_L2 ? f(__VA_ARGS__, DTN_L2) : \
	 (kind) == DTN_L1 ? f(__VA_ARGS__, DTN_L1) : f(__VA_ARGS__, DTN_HUBER))

static void forward(const struct dtn_call *c)
{
	size_t N = (size_t)c->y->shape.dim[0], each = dtn_shape_count(c->in[0]->shape) / N;
	const float *a = c->x[0], *b = c->x[1];
	float *y = c->out;

	for (size_t n = 0; n < N; n++, a += each, b += each)
		y[n] = (float)(BY_KIND(c->y->attr.loss.kind, sum, a, b, each) / (double)each);
}

static void backward(const struct dtn_call *c)
{
	size_t N = (size_t)c->y->shape.dim[0], each = dtn_shape_count(c->in[0]->shape) / N;
	const float *a = c->x[0], *b = c->x[1], *dy = c->dout;
	float *da = c->dx[0];

	if (!da)
		return;
	for (size_t n = 0; n < N; n++, a += each, b += each, da += each) {
		float factor = dy[n] / (float)each;
		if (c->add[0])
			BY_KIND(c->y->attr.loss.kind, down, da, a, b, each, factor, true);
		else
			BY_KIND(c->y->attr.loss.kind, down, da, a, b, each, factor, false);
	}
}

const struct dtn_kernel CPU(loss) = { .forward = forward, .backward = backward };
