/* silu.c -- silu and its gradient. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vec.h"

static INLINE void up(void *restrict y, const void *restrict x, size_t n, const int type)
{
	for (size_t i = 0; i < n; i++) {
		float v = get(x, i, type);
		put(y, i, v * vec_sigmoid(v), type);
	}
}

/* y = x s(x):  dx = dy s (1 + x (1 - s)) */
static INLINE void down(void *restrict dx, const void *restrict dy, const void *restrict x,
			size_t n, const bool add, const int type)
{
	for (size_t i = 0; i < n; i++) {
		float v = get(x, i, type), s = vec_sigmoid(v);
		float d = get(dy, i, type) * s * mad(v, 1 - s, 1);
		put(dx, i, add ? get(dx, i, type) + d : d, type);
	}
}

static void forward(const struct dtn_call *c)
{
	size_t n = dtn_shape_count(c->y->shape);

	BY_TYPE(c->y->type, up, c->out, c->x[0], n);
}

static void backward(const struct dtn_call *c)
{
	size_t n = dtn_shape_count(c->y->shape);

	if (!c->dx[0])
		return;
	if (c->add[0])
		BY_TYPE(c->y->type, down, c->dx[0], c->dout, c->x[0], n, true);
	else
		BY_TYPE(c->y->type, down, c->dx[0], c->dout, c->x[0], n, false);
}

const struct dtn_kernel CPU(silu) = { .forward = forward, .backward = backward };
