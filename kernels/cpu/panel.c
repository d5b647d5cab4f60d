/* panel.c -- the product of rows with a panel of columns. */
#include "kernels/cpu/panel.h"

struct factors {
	const float *a, *b;
	size_t ar, ai, step;
	float *out;
	bool add;
};

#define INLINE inline __attribute__((always_inline))

/* What one row of the panel adds.  Factors of the next one must not be loaded before its end: there
 * are no registers left for them. */
static INLINE void add_row(const int rows, vec *left, vec *right, const float *a, size_t ar,
			   const float *b)
{
	vec b0 = load(b), b1 = load(b + VL);

#pragma GCC unroll 12
	for (int r = 0; r < rows; r++) {
		left[r] += a[r * ar] * b0;
		right[r] += a[r * ar] * b1;
	}
	__asm__ volatile("" ::: "memory");
}

/* `rows` is a constant wherever this is inlined, so that all sums are in registers.  Four rows of
 * the panel at a time: where the core is shared with another thread, every instruction between the
 * multiplications costs some of them. */
static INLINE void product(const int rows, int n, const struct factors *f)
{
	const float *a = f->a, *b = f->b;
	size_t ar = f->ar, ai = f->ai, step = f->step;
	vec left[ROWS], right[ROWS];
	int i = 0;

#pragma GCC unroll 12
	for (int r = 0; r < rows; r++) {
		left[r] = f->add ? load(f->out + r * step) : (vec){ 0 };
		right[r] = f->add ? load(f->out + r * step + VL) : (vec){ 0 };
	}
#ifdef __FMA__
	for (; i + 4 <= n; i += 4, a += ai, b += 4 * PW) {
		add_row(rows, left, right, a, ar, b);
		add_row(rows, left, right, a += ai, ar, b + PW);
		add_row(rows, left, right, a += ai, ar, b + 2 * PW);
		add_row(rows, left, right, a += ai, ar, b + 3 * PW);
	}
#endif
	for (; i < n; i++, a += ai, b += PW)
		add_row(rows, left, right, a, ar, b);
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
void CPU(products)(int rows, int n, const float *a, size_t ar, size_t ai, const float *b,
		   float *out, size_t step, bool add)
{
	for (int parts = (rows + ROWS - 1) / ROWS; parts > 0; parts--) {
		int some = (rows + parts - 1) / parts;
		struct factors f = { a, b, ar, ai, step, out, add };

		some_rows(some, n, &f);
		rows -= some;
		a += some * ar;
		out += some * step;
	}
}
