/* panel.c -- the product of rows with a panel of columns. */
#include "kernels/cpu/panel.h"

struct factors {
	const float *a, *b;
	size_t ar, ai, bi, step;
	float *out;
	bool add;
};

/* `rows` is a constant wherever this is inlined, so that all sums are in registers. */
static inline __attribute__((always_inline)) void product(const int rows, int n,
							  const struct factors *f)
{
	const float *a = f->a, *b = f->b;
	size_t ar = f->ar, ai = f->ai, bi = f->bi, step = f->step;
	vec left[ROWS], right[ROWS];

#pragma GCC unroll 12
	for (int r = 0; r < rows; r++) {
		left[r] = f->add ? load(f->out + r * step) : (vec){ 0 };
		right[r] = f->add ? load(f->out + r * step + VL) : (vec){ 0 };
	}
	for (int i = 0; i < n; i++, a += ai, b += bi) {
		vec b0 = load(b), b1 = load(b + VL);

#pragma GCC unroll 12
		for (int r = 0; r < rows; r++) {
			left[r] += a[r * ar] * b0;
			right[r] += a[r * ar] * b1;
		}
	}
#pragma GCC unroll 12
	for (int r = 0; r < rows; r++) {
		store(f->out + r * step, left[r]);
		store(f->out + r * step + VL, right[r]);
	}
}

static void some_rows(int rows, int n, const struct factors *f)
{
	switch (rows) {
	case 1: product(1, n, f); break;
	case 2: product(2, n, f); break;
	case 3: product(3, n, f); break;
	case 4: product(4, n, f); break;
	case 5: product(5, n, f); break;
	case 6: product(6, n, f); break;
#if defined(__AVX512F__)
	case 7: product(7, n, f); break;
	case 8: product(8, n, f); break;
	case 9: product(9, n, f); break;
	case 10: product(10, n, f); break;
	case 11: product(11, n, f); break;
	case 12: product(12, n, f); break;
#endif
	}
}

/* In parts that differ by one row at most: few rows at a time leave the multipliers waiting. */
void CPU(products)(int rows, int n, const float *a, size_t ar, size_t ai, const float *b, size_t bi,
		   float *out, size_t step, bool add)
{
	for (int parts = (rows + ROWS - 1) / ROWS; parts > 0; parts--) {
		int some = (rows + parts - 1) / parts;
		struct factors f = { a, b, ar, ai, bi, step, out, add };

		some_rows(some, n, &f);
		rows -= some;
		a += some * ar;
		out += some * step;
	}
}
