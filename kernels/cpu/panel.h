/* panel.h -- vectors of floats, and the product of panels that convolutions are made of.
 *
 * A panel is PW columns of a matrix, two vectors: a product of ROWS rows with a panel stays in the
 * registers.
 */
#ifndef DTN_CPU_PANEL_H
#define DTN_CPU_PANEL_H

#include "kernels/cpu/cpu.h"

#if defined(__AVX512F__)
enum { VL = 16, ROWS = 12 };
#elif defined(__AVX__)
enum { VL = 8, ROWS = 6 };
#else
enum { VL = 4, ROWS = 6 };
#endif
enum { PW = 2 * VL };

typedef float vec
	__attribute__((vector_size(VL * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef float quad
	__attribute__((vector_size(4 * sizeof(float)), aligned(sizeof(float)), may_alias));

static inline vec load(const float *p)
{
	return *(const vec *)p;
}

static inline void store(float *p, vec v)
{
	*(vec *)p = v;
}

/* out[4][4], its rows `out_step` apart, from in[4][4], its rows `in_step` apart, with rows for
 * columns. */
static inline void transpose(float *out, size_t out_step, const float *in, size_t in_step)
{
	quad a = *(const quad *)in, b = *(const quad *)(in + in_step);
	quad c = *(const quad *)(in + 2 * in_step), d = *(const quad *)(in + 3 * in_step);
	quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5),
	     AB = __builtin_shufflevector(a, b, 2, 6, 3, 7);
	quad cd = __builtin_shufflevector(c, d, 0, 4, 1, 5),
	     CD = __builtin_shufflevector(c, d, 2, 6, 3, 7);

	*(quad *)out = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
	*(quad *)(out + out_step) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
	*(quad *)(out + 2 * out_step) = __builtin_shufflevector(AB, CD, 0, 1, 4, 5);
	*(quad *)(out + 3 * out_step) = __builtin_shufflevector(AB, CD, 2, 3, 6, 7);
}

/* out [rows][PW], rows `step` apart, = or += sum over i < n of a[r*ar + i*ai] * b[i][0 .. PW-1]. */
void CPU(products)(int rows, int n, const float *a, size_t ar, size_t ai, const float *b,
		   float *out, size_t step, bool add);

static inline size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

#endif
