/* adam.h -- one element's update, and sums of squares: shared by adam.cu and update.cu. */
#ifndef DTN_CUDA_ADAM_H
#define DTN_CUDA_ADAM_H

#include "kernels/cuda/cuda.h"

/* What is the same for all elements of an update. */
struct adam_numbers {
	float b1, b2, eps, scale;
	float rate, root;               /* rate / correct1, 1 / sqrt(correct2) */
	float keep;                     /* of the weights: 1 - rate decay */
	float ema;
};

struct adam_arrays { float *param, *m, *v, *ema; const float *grad; };

/*      m = b1 m + (1-b1) g,  v = b2 v + (1-b2) g^2,
 *      p = keep p - rate m / (sqrt(v) root + eps),  ema = d ema + (1-d) p
 *
 * Returns the new p. */
DEVICE float adam_at(const struct adam_arrays &a, const struct adam_numbers &x, size_t i)
{
	const float g = a.grad[i] * x.scale;
	const float m = x.b1 * a.m[i] + (1 - x.b1) * g;
	const float v = x.b2 * a.v[i] + (1 - x.b2) * g * g;
	const float p = x.keep * a.param[i] - x.rate * m / (sqrtf(v) * x.root + x.eps);

	a.m[i] = m;
	a.v[i] = v;
	a.param[i] = p;
	if (a.ema)
		a.ema[i] = x.ema * a.ema[i] + (1 - x.ema) * p;
	return p;
}

enum { SQUARES = 8192 };                /* elements of a partial sum */

/* part [ceil(n / SQUARES)] = sums of squares of x, in f64. */
void cuda_squares(double *part, const float *x, size_t n);

#endif
