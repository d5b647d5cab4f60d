/* attention.c -- test attention: heads, one position, tables larger than a block.
 *
 * In bf16 a device may round the factors of its products, the softmax and its gradient, to bf16 as
 * well: one rounding more, so twice the usual error is allowed. */
#include "tests/op/harness.h"

#include <math.h>
#include <stdlib.h>

/* Position p of channel k of image n. */
static size_t place(struct dtn_shape s, int n, int p, int k)
{
	return ((size_t)n * (size_t)(s.dim[1] * s.dim[2]) + (size_t)p) * (size_t)s.dim[3] +
	       (size_t)k;
}

static void slow(const struct op_case *c, struct dtn_shape y, const double *const x[], double *out)
{
	int heads = c->attr.attention.heads, L = y.dim[1] * y.dim[2], d = y.dim[3] / heads;
	double *p = malloc((size_t)L * sizeof(*p));

	for (int n = 0; n < y.dim[0]; n++)
		for (int i = 0; i < L * heads; i++) {
			int at = i % L, k0 = i / L * d;
			double sum = 0, most = -INFINITY;

			for (int j = 0; j < L; j++) {
				p[j] = 0;
				for (int k = k0; k < k0 + d; k++)
					p[j] += x[0][place(y, n, at, k)] * x[1][place(y, n, j, k)] /
						sqrt(d);
				most = fmax(most, p[j]);
			}
			for (int j = 0; j < L; j++)
				sum += p[j] = exp(p[j] - most);
			for (int k = k0; k < k0 + d; k++) {
				out[place(y, n, at, k)] = 0;
				for (int j = 0; j < L; j++)
					out[place(y, n, at, k)] +=
						p[j] / sum * x[2][place(y, n, j, k)];
			}
		}
	free(p);
}

/* Products of hundreds: without subtracting the largest, exp would overflow. */
static void steep(const struct op_case *c, int i, double *x, size_t n)
{
	(void)c;
	for (size_t j = 0; i < 2 && j < n; j++)
		x[j] *= 12;
}

#define ATTENTION(title, n, ...) \
	.name = title, .op = DTN_OP_attention, .attr.attention = { n }, .slow = slow, \
	.bf16 = 1.0 / 64, .in = { { 'x', NHWC(__VA_ARGS__), false }, \
				  { 'x', NHWC(__VA_ARGS__), false }, \
				  { 'x', NHWC(__VA_ARGS__), false } }

int main(void)
{
	static const struct op_case cases[] = {
		{ ATTENTION("one head", 1, 2, 3, 5, 6) },
		{ ATTENTION("three heads", 3, 2, 2, 7, 9) },
		{ ATTENTION("one position", 2, 3, 1, 1, 4), .least = 1 },
		{ ATTENTION("width one", 1, 1, 1, 9, 1) },
		{ ATTENTION("steep", 1, 1, 4, 5, 16), .fill = steep, .f32 = 1e-4 },
		{ ATTENTION("heads of eight", 3, 2, 2, 5, 24) },
		{ ATTENTION("heads of 72, long", 2, 1, 5, 14, 144), .every = 997 },
		{ ATTENTION("a wide head", 1, 2, 3, 3, 136), .every = 101 },
		{ ATTENTION("a very wide head", 1, 1, 2, 3, 264), .every = 101 },
		{ ATTENTION("many blocks", 2, 1, 16, 33, 4), .every = 301 },
		{ ATTENTION("blocks, one short", 1, 1, 11, 19, 5), .every = 97 },
	};

	return OP_TEST(cases);
}
