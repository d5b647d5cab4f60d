/* sample.cu -- sampling: x_T, and one step of the sampler for a slice of images.
 *
 * A thread has the four numbers of one counter of the generator.
 *
 *      image   | 4 numbers | 4 numbers | ...      x: blocks over counters, y: images
 *
 * Rounded as lib/diffusion/sampler.c rounds, each product and each sum by itself: from the same
 * output of the network comes the same x, bit for bit.
 *
 * Bytes a number: x and output read, with guidance also the other output, x written; where a step
 * looks back, x_0 of the step before read and this one's written. */
#include "kernels/cuda/rng.h"

enum { BLOCK = 128, EACH = 4 };

__global__ void begin(float *x, const uint64_t *draw, unsigned n)
{
	const unsigned counter = blockIdx.x * BLOCK + threadIdx.x, image = blockIdx.y;
	float z[EACH];

	if (counter * EACH >= n)
		return;
	rng_normal(z, draw[0], DTN_RNG_START, draw[1] + image, 0, counter);
	for (unsigned i = 0; i < EACH && counter * EACH + i < n; i++)
		x[(size_t)image * n + counter * EACH + i] = z[i];
}

/* A NaN stays one. */
DEVICE float held(float x, float bound)
{
	return x > bound ? bound : x < -bound ? -bound : x;
}

DEVICE float next(const struct dtn_coefficients &k, float x, float output, float *x0_before)
{
	const float x0 = held(__fadd_rn(__fmul_rn(k.cx, x), __fmul_rn(k.co, output)), k.bound);
	float to = __fadd_rn(__fmul_rn(k.x0, x0), __fmul_rn(k.x, x));

	if (k.x0_before != 0)
		to = __fadd_rn(to, __fmul_rn(k.x0_before, *x0_before));
	if (x0_before)
		*x0_before = x0;
	return to;
}

__global__ void move(struct dtn_step_call c)
{
	const unsigned counter = blockIdx.x * BLOCK + threadIdx.x, image = blockIdx.y;
	const unsigned n = (unsigned)c.image;
	const int step = *c.step;
	const struct dtn_coefficients k = c.table[step];
	float z[EACH];

	if (counter * EACH >= n)
		return;
	if (k.noise > 0)
		rng_normal(z, c.draw[0], DTN_RNG_STEP, c.draw[1] + image, (uint32_t)step, counter);
	for (unsigned i = 0; i < EACH && counter * EACH + i < n; i++) {
		const size_t at = (size_t)image * n + counter * EACH + i;
		float output = c.output[at], x;

		if (c.with)
			output = __fadd_rn(output, __fmul_rn(c.guidance,
							     __fsub_rn(c.with[at], output)));
		x = next(k, c.x[at], output, c.x0_before ? c.x0_before + at : NULL);
		if (k.noise > 0)
			x = __fadd_rn(x, __fmul_rn(k.noise, z[i]));
		c.x[at] = x;
	}
}

/* After all have read the number of this step: t of the next. */
__global__ void count_step(struct dtn_step_call c)
{
	const int step = *c.step + 1;

	__syncthreads();
	for (int i = (int)threadIdx.x; i < c.S; i += BLOCK)
		c.t[i] = c.table[step].t;
	if (threadIdx.x == 0)
		*c.step = step;
}

void cuda_start(float *x, const uint64_t *draw, int S, size_t image)
{
	LAUNCH(begin, dim3(cuda_blocks(image, BLOCK * EACH), S), BLOCK, 0, x, draw, image);
}

void cuda_step(const struct dtn_step_call *c)
{
	LAUNCH(move, dim3(cuda_blocks(c->image, BLOCK * EACH), c->S), BLOCK, 0, *c);
	LAUNCH(count_step, 1, BLOCK, 0, *c);
}
