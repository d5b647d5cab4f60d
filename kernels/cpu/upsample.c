/* upsample.c -- every pixel becomes a square of four; backward, four become one. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vec.h"

#include <string.h>

static void forward(const struct dtn_call *c)
{
	const int *dim = c->in[0]->shape.dim;                   /* [N,H,W,C] */
	size_t rows = (size_t)dim[0] * (size_t)dim[1], W = (size_t)dim[2];
	size_t pixel = (size_t)dim[3] * dtn_type_size(c->y->type), row = 2 * W * pixel;
	const char *x = c->x[0];
	char *y = c->out;

	for (size_t i = 0; i < rows; i++, y += 2 * row) {
		for (size_t j = 0; j < W; j++, x += pixel) {
			memcpy(y + 2 * j * pixel, x, pixel);
			memcpy(y + (2 * j + 1) * pixel, x, pixel);
		}
		memcpy(y + row, y, row);
	}
}

/* One row: dx [W,C] from two rows of dy, [2,2W,C]. */
static INLINE void squeeze(void *restrict dx, const void *restrict dy, size_t W, size_t C,
			   const bool add, const int type)
{
	const void *below = at(dy, 2 * W * C, type);

	for (size_t j = 0; j < W; j++)
		for (size_t k = 0; k < C; k++) {
			size_t left = 2 * j * C + k, right = left + C, to = j * C + k;
			float d = (get(dy, left, type) + get(dy, right, type)) +
				  (get(below, left, type) + get(below, right, type));
			put(dx, to, add ? get(dx, to, type) + d : d, type);
		}
}

static INLINE void down(void *dx, const void *dy, size_t rows, size_t W, size_t C, bool add,
			const int type)
{
	for (size_t i = 0; i < rows; i++) {
		void *to = at_out(dx, i * W * C, type);
		const void *from = at(dy, i * 4 * W * C, type);
		if (add)
			squeeze(to, from, W, C, true, type);
		else
			squeeze(to, from, W, C, false, type);
	}
}

static void backward(const struct dtn_call *c)
{
	const int *dim = c->in[0]->shape.dim;

	if (c->dx[0])
		BY_TYPE(c->y->type, down, c->dx[0], c->dout, (size_t)dim[0] * (size_t)dim[1],
			(size_t)dim[2], (size_t)dim[3], c->add[0]);
}

const struct dtn_kernel CPU(upsample) = { .forward = forward, .backward = backward };
