/* embedding.c -- rows of a table, added image by image; their gradients, in the order of the
 * images. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vec.h"

#include <string.h>

static void forward(const struct dtn_call *c)
{
	int N = c->y->shape.dim[0], C = c->y->shape.dim[1];
	const float *x = c->x[0], *table = c->x[1];
	const int32_t *row = c->x[2];
	float *y = c->out;

	for (int n = 0; n < N; n++, x += C, y += C) {
		const float *from = table + (size_t)row[n] * (size_t)C;

		for (int i = 0; i < C; i++)
			y[i] = x[i] + from[i];
	}
}

static void backward(const struct dtn_call *c)
{
	size_t N = (size_t)c->y->shape.dim[0], C = (size_t)c->y->shape.dim[1];
	const float *dy = c->dout;
	const int32_t *row = c->x[2];
	float *dtable = c->dx[1];

	if (c->dx[0])
		vec_copy(c->dx[0], dy, N * C, c->add[0], DTN_F32, DTN_F32);
	if (!dtable)
		return;
	memset(dtable, 0, dtn_shape_count(c->in[1]->shape) * sizeof(*dtable));
	for (size_t n = 0; n < N; n++)
		vec_copy(dtable + (size_t)row[n] * C, dy + n * C, C, true, DTN_F32, DTN_F32);
}

const struct dtn_kernel CPU(embedding) = { .forward = forward, .backward = backward };
