/* embedding.cu -- a row of a table for each image, added to what is there.
 *
 *      forward    a thread for each [n, c]:  y = x + table[row[n], c]
 *      backward   a thread for each [n, c]:  dx = dy
 *                 a thread for each [r, c]:  dtable = sum of dy[n, c] over the n with row[n] = r,
 *                                            in the order of the images
 *
 * Everything here is small: time is that of a launch. */
#include "kernels/cuda/cuda.h"

enum { BLOCK = 128 };

__global__ void look_up(float *y, const float *x, const float *table, const int32_t *row, int C,
			size_t all)
{
	const size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;

	if (i < all)
		y[i] = x[i] + table[(size_t)row[i / C] * C + i % C];
}

__global__ void pass_on(float *dx, const float *dy, size_t all, bool add)
{
	const size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;

	if (i < all)
		dx[i] = add ? dx[i] + dy[i] : dy[i];
}

__global__ void collect(float *dtable, const float *dy, const int32_t *row, int N, int C,
			size_t all)
{
	const size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;
	float sum = 0;

	if (i >= all)
		return;
	for (int n = 0; n < N; n++)
		if (row[n] == (int)(i / C))
			sum += dy[(size_t)n * C + i % C];
	dtable[i] = sum;
}

static void forward(const struct dtn_call *c)
{
	const size_t all = dtn_shape_count(c->y->shape);

	LAUNCH(look_up, cuda_blocks(all, BLOCK), BLOCK, 0, (float *)c->out, (const float *)c->x[0],
	       (const float *)c->x[1], (const int32_t *)c->x[2], c->y->shape.dim[1], all);
}

static void backward(const struct dtn_call *c)
{
	const size_t all = dtn_shape_count(c->y->shape);
	const size_t table = dtn_shape_count(c->in[1]->shape);
	const float *dy = (const float *)c->dout;

	if (c->dx[0])
		LAUNCH(pass_on, cuda_blocks(all, BLOCK), BLOCK, 0, (float *)c->dx[0], dy, all,
		       c->add[0]);
	if (c->dx[1])
		LAUNCH(collect, cuda_blocks(table, BLOCK), BLOCK, 0, (float *)c->dx[1], dy,
		       (const int32_t *)c->x[2], c->y->shape.dim[0], c->y->shape.dim[1], table);
}

const struct dtn_kernel cuda_embedding = { forward, backward };
