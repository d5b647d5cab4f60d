/* adam.c -- sweeps over the flat arrays of parameters and gradients. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vec.h"

#include <math.h>

/* Adam with decoupled decay:  m = b1 m + (1-b1) g,  v = b2 v + (1-b2) g^2,
 *      p -= rate (m/c1 / (sqrt(v/c2) + eps) + decay p) */
static void sweep(float *restrict param, float *restrict m, float *restrict v,
		  const float *restrict grad, const struct dtn_adam_call *a)
{
	const float b1 = a->beta1, b2 = a->beta2, n1 = 1 - b1, n2 = 1 - b2, eps = a->eps,
		    scale = a->scale;
	const float rate = a->rate / a->correct1, root = 1 / sqrtf(a->correct2);
	const float keep = 1 - a->rate * a->decay;

	for (size_t i = 0; i < a->n; i++) {
		float g = grad[i] * scale;

		m[i] = b1 * m[i] + n1 * g;
		v[i] = b2 * v[i] + n2 * g * g;
		param[i] = keep * param[i] - rate * m[i] / (sqrtf(v[i]) * root + eps);
	}
}

static void average(float *restrict ema, const float *restrict param, float d, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ema[i] = d * ema[i] + (1 - d) * param[i];
}

/* In parts that stay in the nearest cache, so that the average costs no second pass over memory. */
void CPU(adam)(const struct dtn_adam_call *a)
{
	enum { PART = 1024 };

	for (size_t i = 0; i < a->n; i += PART) {
		struct dtn_adam_call part = *a;

		part.n = a->n - i < PART ? a->n - i : PART;
		sweep(a->param + i, a->m + i, a->v + i, a->grad + i, &part);
		if (a->ema)
			average(a->ema + i, a->param + i, a->ema_decay, part.n);
	}
}

double CPU(norm2)(const float *x, size_t n)
{
	double lane[VEC_LANES] = { 0 }, sum = 0;
	size_t i = 0;

	for (; i + VEC_LANES <= n; i += VEC_LANES)
		VEC_EACH_LANE
			lane[j] += (double)x[i + (size_t)j] * (double)x[i + (size_t)j];
	for (; i < n; i++)
		sum += (double)x[i] * (double)x[i];
	for (int j = 0; j < VEC_LANES; j++)
		sum += lane[j];
	return sum;
}

void CPU(accumulate)(float *restrict to, const float *restrict from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] += from[i];
}
