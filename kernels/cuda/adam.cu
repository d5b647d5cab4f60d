/* adam.cu -- sweeps over flat arrays: Adam, sum of squares, sum.
 *
 * A thread has one element of Adam and of the sum, 32 of a sum of squares:
 *
 *      x     | block 0: 8192 elements   | block 1: 8192 elements   | ...
 *      part  | one sum in f64           | one sum in f64           | ...   added up by one block
 *
 * Bytes an element: Adam reads 20 and writes 16; the squares read 4; the sum reads 8, writes 4.
 * Sums are taken in a fixed order. */
#include "kernels/cuda/adam.h"

#include <math.h>

enum { BLOCK = 256 };

__global__ void sweep(struct adam_arrays a, struct adam_numbers x, size_t n)
{
	const size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;

	if (i < n)
		adam_at(a, x, i);
}

__global__ void square(double *part, const float *x, size_t n)
{
	SHARED(double, warps, [WARP]);
	const size_t first = (size_t)blockIdx.x * SQUARES;
	const size_t end = first + SQUARES < n ? first + SQUARES : n;
	double sum = 0;

	for (size_t i = first + threadIdx.x; i < end; i += BLOCK)
		sum += (double)x[i] * (double)x[i];
	sum = block_sum(sum, warps);
	if (threadIdx.x == 0)
		part[blockIdx.x] = sum;
}

__global__ void add(float *to, const float *from, size_t n)
{
	const size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;

	if (i < n)
		to[i] += from[i];
}

void cuda_adam(const struct dtn_adam_call *c)
{
	const struct adam_arrays a = { c->param, c->m, c->v, c->ema, c->grad };
	const struct adam_numbers x = { c->beta1, c->beta2, c->eps, c->scale, c->rate / c->correct1,
					1 / sqrtf(c->correct2), 1 - c->rate * c->decay,
					c->ema_decay };

	LAUNCH(sweep, cuda_blocks(c->n, BLOCK), BLOCK, 0, a, x, c->n);
}

void cuda_squares(double *part, const float *x, size_t n)
{
	LAUNCH(square, cuda_blocks(n, SQUARES), BLOCK, 0, part, x, n);
}

double cuda_norm2(const float *x, size_t n)
{
	const size_t parts = cuda_blocks(n, SQUARES);
	double *part, *read = (double *)dtn_alloc(parts + 1, sizeof(*read)), sum = 0;

	CUDA(cudaMalloc(&part, (parts + 1) * sizeof(*part)));
	cuda_squares(part, x, n);
	CUDA(cudaMemcpyAsync(read, part, parts * sizeof(*part), cudaMemcpyDeviceToHost,
			     cuda_stream));
	CUDA(cudaStreamSynchronize(cuda_stream));
	CUDA(cudaFree(part));
	for (size_t i = 0; i < parts; i++)
		sum += read[i];
	free(read);
	return sum;
}

void cuda_accumulate(float *to, const float *from, size_t n)
{
	LAUNCH(add, cuda_blocks(n, BLOCK), BLOCK, 0, to, from, n);
}
