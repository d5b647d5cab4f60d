/* attention.c -- test attention: heads, one position, tables larger than a block. */
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

#define HEADS(n) { .attention = { n } }
#define QKV(n, h, w, c) { { 'x', NHWC(n, h, w, c), 0 }, { 'x', NHWC(n, h, w, c), 0 }, \
			  { 'x', NHWC(n, h, w, c), 0 } }

int main(void)
{
	static const struct op_case cases[] = {
		{ "one head", DTN_OP_attention, HEADS(1), QKV(2, 3, 5, 6), .slow = slow },
		{ "three heads", DTN_OP_attention, HEADS(3), QKV(2, 2, 7, 9), .slow = slow },
		{ "one position", DTN_OP_attention, HEADS(2), QKV(3, 1, 1, 4), .slow = slow,
		  .least = 1 },
		{ "width one", DTN_OP_attention, HEADS(1), QKV(1, 1, 9, 1), .slow = slow },
		{ "steep", DTN_OP_attention, HEADS(1), QKV(1, 4, 5, 16), .slow = slow,
		  .fill = steep,
		  .f32 = 1e-4 },
		{ "many blocks", DTN_OP_attention, HEADS(2), QKV(1, 16, 33, 4), .slow = slow,
		  .every = 301 },
		{ "blocks, one short", DTN_OP_attention, HEADS(1), QKV(1, 11, 19, 5), .slow = slow,
		  .every = 97 },
	};

	return OP_TEST(cases);
}
