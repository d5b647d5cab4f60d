/* timestep.cu -- sines and cosines of t; in f64, since a phase of a thousand leaves f32 few digits.
 *
 *      y[n, i] = sin(t f_i),  y[n, C/2 + i] = cos(t f_i),  f_i = 10000^(-i / (C/2 - 1))
 *
 * A thread has one i of one image.  The result is small: time is that of a launch. */
#include "kernels/cuda/cuda.h"

enum { BLOCK = 128 };

__global__ void waves(float *y, const int32_t *t, int N, int half)
{
	const int at = (int)(blockIdx.x * BLOCK + threadIdx.x), n = at / half, i = at % half;
	double phase;

	if (n >= N)
		return;
	phase = t[n] * (half > 1 ? exp(-log(10000.0) * i / (half - 1)) : 1);
	y[(size_t)n * 2 * half + i] = (float)sin(phase);
	y[(size_t)n * 2 * half + half + i] = (float)cos(phase);
}

static void forward(const struct dtn_call *c)
{
	const int N = c->y->shape.dim[0], half = c->y->shape.dim[1] / 2;

	LAUNCH(waves, cuda_blocks((size_t)N * half, BLOCK), BLOCK, 0, (float *)c->out,
	       (const int32_t *)c->x[0], N, half);
}

static void backward(const struct dtn_call *)
{
	/* t is an integer */
}

const struct dtn_kernel cuda_timestep = { forward, backward };
