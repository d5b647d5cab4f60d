/* dropout.c -- drop values at random, and scale those that stay. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/philox.h"

#include <math.h>
#include <string.h>

enum { PART = 1024 };           /* elements that are decided together, two by a number */

/* y = x keep / (1 - rate), or added to y: the same for values and for gradients. */
static INLINE void drop(void *restrict y, const void *restrict x, size_t n, struct dtn_rng g,
			float rate, const bool add, const int type)
{
	const uint16_t least = (uint16_t)lrintf(rate * 65536);
	const float scale = 1 / (1 - rate);
	uint32_t number[PART / 2];
	uint16_t half[PART];

	for (size_t i = 0; i < n; i += PART) {
		size_t part = n - i < PART ? n - i : PART;
		void *to = at_out(y, i, type);
		const void *from = at(x, i, type);

		philox(number, &g, (uint32_t)(i / 8), PART / 2);
		memcpy(half, number, sizeof(half));
		for (size_t j = 0; j < part; j++) {
			float v = get(from, j, type) * (half[j] >= least ? scale : 0);
			put(to, j, add ? get(to, j, type) + v : v, type);
		}
	}
}

static struct dtn_rng generator(const struct dtn_call *c)
{
	return dtn_rng(c->seed, DTN_RNG_DROPOUT, c->index, (uint32_t)c->id);
}

static void forward(const struct dtn_call *c)
{
	size_t n = dtn_shape_count(c->y->shape);
	struct dtn_rng g = generator(c);

	if (c->training)
		BY_TYPE(c->y->type, drop, c->out, c->x[0], n, g, c->y->attr.dropout.rate, false);
	else
		memcpy(c->out, c->x[0], n * dtn_type_size(c->y->type));
}

static void backward(const struct dtn_call *c)
{
	size_t n = dtn_shape_count(c->y->shape);
	struct dtn_rng g = generator(c);

	if (!c->dx[0])
		return;
	if (c->add[0])
		BY_TYPE(c->y->type, drop, c->dx[0], c->dout, n, g, c->y->attr.dropout.rate, true);
	else
		BY_TYPE(c->y->type, drop, c->dx[0], c->dout, n, g, c->y->attr.dropout.rate, false);
}

const struct dtn_kernel CPU(dropout) = { .forward = forward, .backward = backward };
