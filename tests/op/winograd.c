/* winograd.c -- convolutions by Winograd's algorithm against the definition, in double.
 *
 * The transforms multiply by up to 8 and divide by up to 24 twice, which costs some four bits of
 * the 24 of a float: 2e-5 of the largest value, and a margin of two. */
#include "kernels/backend.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ISA v3
#include "kernels/cpu/winograd.h"
#undef ISA

/* The definition: for every output, tap and channel, once; `visit` says which of the three is
 * wanted. */
enum what { FORWARD, BY_DATA, BY_WEIGHTS };

static void define(struct winograd s, enum what what, double *out, const float *x, const float *w,
		   const float *dy)
{
	for (int n = 0; n < s.N; n++)
		for (int p = 0; p < s.H * s.W; p++)
			for (int tap = 0; tap < 9; tap++) {
				int h = p / s.W + tap / 3 - 1, v = p % s.W + tap % 3 - 1;
				size_t at_y = ((size_t)n * s.H * s.W + p) * s.K;
				size_t at_x = ((size_t)(n * s.H + h) * s.W + v) * s.C;

				if (h < 0 || v < 0 || h >= s.H || v >= s.W)
					continue;
				for (int k = 0; k < s.K; k++)
					for (int c = 0; c < s.C; c++) {
						size_t at_w = ((size_t)k * s.C + c) * 9 + tap;

						if (what == FORWARD)
							out[at_y + k] +=
								(double)x[at_x + c] * w[at_w];
						else if (what == BY_DATA)
							out[at_x + c] +=
								(double)dy[at_y + k] * w[at_w];
						else
							out[at_w] +=
								(double)dy[at_y + k] * x[at_x + c];
					}
			}
}

static float *numbers(size_t n)
{
	float *p = dtn_alloc_aligned(n * sizeof(float));

	for (size_t i = 0; i < n; i++)
		p[i] = (float)rand() / (float)RAND_MAX * 2 - 1;
	return p;
}

static float *garbage(size_t bytes)
{
	return memset(dtn_alloc_aligned(bytes), 0xff, bytes);
}

static int report(const struct winograd *s, const char *what, const float *got, const double *want,
		  size_t n)
{
	double worst = 0, largest = 0;

	for (size_t i = 0; i < n; i++) {
		double d = fabs(got[i] - want[i]);
		worst = d > worst || isnan(d) ? d : worst;
		largest = fmax(largest, fabs(want[i]));
	}
	printf("%s winograd [%d,%d,%d,%d] to %d %s: error %.2g of %.2g\n",
	       worst <= 4e-5 * largest ? "ok" : "not ok", s->N, s->H, s->W, s->C, s->K, what, worst,
	       largest);
	return !(worst <= 4e-5 * largest);
}

static int one(struct winograd s)
{
	struct winograd t = { s.N, s.H, s.W, s.K, s.C };
	size_t area = (size_t)s.N * s.H * s.W, nx = area * s.C, ny = area * s.K,
	       nw = (size_t)s.K * s.C * 9;
	float *x = numbers(nx), *dy = numbers(ny), *w = numbers(nw), *bias = numbers(s.K);
	float *y = numbers(ny), *dx = garbage(nx * sizeof(float)),
	      *dw = garbage(nw * sizeof(float));
	float *db = garbage((size_t)s.K * sizeof(float));
	float *scratch = garbage(cpu_v3_winograd_scratch(&s)),
	      *scratch_t = garbage(cpu_v3_winograd_scratch(&t));
	float *scratch_w = garbage(cpu_v3_winograd_weights_scratch(&s));
	double *want = dtn_alloc(nx + ny + nw, sizeof(double));
	int failed = 0;

	for (size_t i = 0; i < ny; i++)         /* y holds the residual */
		want[i] = (double)y[i] + bias[i % s.K];
	define(s, FORWARD, want, x, w, NULL);
	cpu_v3_winograd_forward(&s, y, x, w, false, bias, y, scratch);
	failed += report(&s, "forward", y, want, ny);
	memset(want, 0, nx * sizeof(double));
	define(s, BY_DATA, want, NULL, w, dy);
	cpu_v3_winograd_forward(&t, dx, dy, w, true, NULL, NULL, scratch_t);
	failed += report(&s, "by data", dx, want, nx);
	memset(want, 0, nw * sizeof(double));
	define(s, BY_WEIGHTS, want, x, NULL, dy);
	cpu_v3_winograd_weights(&s, dw, db, x, dy, scratch_w);
	failed += report(&s, "by weights", dw, want, nw);
	memset(want, 0, (size_t)s.K * sizeof(double));
	for (size_t i = 0; i < ny; i++)
		want[i % s.K] += dy[i];
	failed += report(&s, "by bias", db, want, (size_t)s.K);
	free(x); free(dy); free(w); free(bias); free(y); free(dx); free(dw); free(db);
	free(scratch); free(scratch_t); free(scratch_w); free(want);
	return failed;
}

int main(void)
{
	/* one tile, parts of tiles, a row, many blocks, panels that are not full */
	static const struct winograd cases[] = {
		{ 1, 4, 4, 32, 16 }, { 2, 5, 7, 16, 32 }, { 3, 7, 7, 48, 32 }, { 1, 1, 9, 32, 48 },
		{ 2, 9, 1, 8, 8 }, { 4, 30, 30, 24, 8 }, { 5, 27, 29, 40, 40 },
		{ 8, 4, 4, 64, 56 }, { 2, 8, 8, 40, 72 }, { 8, 16, 16, 32, 160 },
	};
	int failed = 0;

	if (!dtn_cpu("v3")) {
		printf("ok winograd # SKIP this processor has no AVX2\n");
		return 0;
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		failed += one(cases[i]);
	return failed > 0;
}
