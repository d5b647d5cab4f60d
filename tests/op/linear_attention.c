/* linear_attention.c -- test linear attention against the quadratic form that it stands for. */
#include "tests/op/harness.h"

#include <math.h>
#include <stdlib.h>

/* Position p of channel k of image n. */
static size_t place(struct dtn_shape s, int n, int p, int k)
{
	return ((size_t)n * (size_t)(s.dim[1] * s.dim[2]) + (size_t)p) * (size_t)s.dim[3] +
	       (size_t)k;
}

/* elu(x) + 1, held at e^-30 */
static double f(double x)
{
	return x > 0 ? x + 1 : exp(fmax(x, -30));
}

/* The whole table of weights: row i of it is f(q_i).f(k_j) over their sum. */
static void slow(const struct op_case *c, struct dtn_shape y, const double *const x[], double *out)
{
	int heads = c->attr.attention.heads, L = y.dim[1] * y.dim[2], d = y.dim[3] / heads;
	double *weight = malloc((size_t)L * sizeof(*weight));

	for (int n = 0; n < y.dim[0]; n++)
		for (int i = 0; i < L * heads; i++) {
			int at = i % L, k0 = i / L * d;
			double sum = 0;

			for (int j = 0; j < L; j++) {
				weight[j] = 0;
				for (int k = k0; k < k0 + d; k++)
					weight[j] += f(x[0][place(y, n, at, k)]) *
						     f(x[1][place(y, n, j, k)]);
				sum += weight[j];
			}
			for (int k = k0; k < k0 + d; k++) {
				out[place(y, n, at, k)] = 0;
				for (int j = 0; j < L; j++)
					out[place(y, n, at, k)] +=
						weight[j] / sum * x[2][place(y, n, j, k)];
			}
		}
	free(weight);
}

/* All queries and keys of some heads far below zero, some so far that exp is held; others large. */
static void steep(const struct op_case *c, int i, double *x, size_t n)
{
	(void)c;
	for (size_t j = 0; i < 2 && j < n; j++)
		x[j] = j % 6 < 2 ? x[j] - 9 : j % 6 < 4 ? x[j] - 60 : x[j] * 40;
}

#define HEADS(n) { .attention = { n } }
#define QKV(n, h, w, c) { { 'x', NHWC(n, h, w, c), 0 }, { 'x', NHWC(n, h, w, c), 0 }, \
			  { 'x', NHWC(n, h, w, c), 0 } }
#define CASE(name, heads, ...) \
	{ name, DTN_OP_linear_attention, HEADS(heads), QKV(__VA_ARGS__), .slow = slow

int main(void)
{
	static const struct op_case cases[] = {
		CASE("one head", 1, 2, 3, 5, 6) },
		CASE("three heads", 3, 2, 2, 7, 9) },
		CASE("heads of eight", 8, 1, 5, 5, 64), .every = 7 },
		CASE("heads of nineteen", 2, 1, 4, 4, 38), .every = 3 },
		CASE("one position", 2, 3, 1, 1, 4), .least = 1 },
		CASE("width one", 1, 1, 1, 9, 1), .least = 1 },
		CASE("steep", 3, 2, 4, 5, 6), .fill = steep, .f32 = 1e-4 },
		CASE("two blocks, one short", 4, 1, 5, 7, 1024), .every = 4001, .cpu_only = true },
	};

	return OP_TEST(cases);
}
