/* groupnorm.c -- test groupnorm: with and without SiLU and shift, few and many channels to a
 * group. */
#include "tests/op/harness.h"

#include <math.h>

static double shifted(const struct op_case *c, const double *const x[], int n, int p, int k)
{
	const int *dim = c->in[0].shape.dim;
	int L = dim[1] * dim[2], C = dim[3];

	return x[0][(n * L + p) * C + k] + (x[3] ? x[3][n * C + k] : 0);
}

static void slow(const struct op_case *c, struct dtn_shape y, const double *const x[], double *out)
{
	int G = c->attr.groupnorm.groups, L = y.dim[1] * y.dim[2], C = y.dim[3], D = C / G;

	for (int n = 0; n < y.dim[0]; n++)
		for (int g = 0; g < G; g++) {
			double mean = 0, var = 0;

			for (int p = 0; p < L; p++)
				for (int k = g * D; k < (g + 1) * D; k++)
					mean += shifted(c, x, n, p, k) / (L * D);
			for (int p = 0; p < L; p++)
				for (int k = g * D; k < (g + 1) * D; k++)
					var += pow(shifted(c, x, n, p, k) - mean, 2) / (L * D);
			for (int p = 0; p < L; p++)
				for (int k = g * D; k < (g + 1) * D; k++) {
					double h = (shifted(c, x, n, p, k) - mean) /
						   sqrt(var + (double)c->attr.groupnorm.eps);
					double z = h * x[1][k] + x[2][k];
					out[(n * L + p) * C + k] = c->attr.groupnorm.silu ?
								   z / (1 + exp(-z)) : z;
				}
		}
}

/* Values far from zero, where the square of the mean is a million times the variance. */
static void far(const struct op_case *c, int i, double *x, size_t n)
{
	(void)c;
	for (size_t j = 0; i == 0 && j < n; j++)
		x[j] += 1000;
}

/* The first pixel is far from all others. */
static void outlier(const struct op_case *c, int i, double *x, size_t n)
{
	(void)n;
	for (int k = 0; i == 0 && k < c->in[0].shape.dim[3]; k++)
		x[k] += 1000;
}

#define NORM(groups, silu) { .groupnorm = { groups, 1e-6f, silu } }
#define PLAIN(n, h, w, c)                                                                  \
	{                                                                                  \
		{ 'x', NHWC(n, h, w, c), 0 }, { 'w', VECTOR(c), 0 }, { 'w', VECTOR(c), 0 } \
	}
#define SHIFTED(n, h, w, c)                                                                 \
	{                                                                                   \
		{ 'x', NHWC(n, h, w, c), 0 }, { 'w', VECTOR(c), 0 }, { 'w', VECTOR(c), 0 }, \
		{                                                                           \
			'f', NC(n, c), 0                                                    \
		}                                                                           \
	}

int main(void)
{
	static const struct op_case cases[] = {
		{ "plain", DTN_OP_groupnorm, NORM(4, false), PLAIN(2, 3, 5, 12), .slow = slow },
		{ "silu", DTN_OP_groupnorm, NORM(4, true), PLAIN(2, 3, 5, 12), .slow = slow },
		{ "shift", DTN_OP_groupnorm, NORM(2, false), SHIFTED(3, 5, 7, 6), .slow = slow },
		{ "shift, silu", DTN_OP_groupnorm, NORM(4, true), SHIFTED(2, 3, 5, 40),
		  .slow = slow },
		{ "one row, one group", DTN_OP_groupnorm, NORM(1, true), SHIFTED(2, 1, 9, 3),
		  .slow = slow },
		{ "every channel a group", DTN_OP_groupnorm, NORM(35, true), SHIFTED(1, 3, 3, 35),
		  .slow = slow,
		  .least = 1 },         /* here the gradient of the shift is 0 */
		{ "large", DTN_OP_groupnorm, NORM(8, true), SHIFTED(1, 9, 11, 64), .slow = slow,
		  .every = 211 },
		/* more than a block of a GPU keeps in its shared memory */
		{ "one large group", DTN_OP_groupnorm, NORM(1, true), SHIFTED(1, 39, 41, 32),
		  .slow = slow, .every = 12791 },
		{ "far from zero", DTN_OP_groupnorm, NORM(3, true), SHIFTED(1, 7, 7, 9),
		  .slow = slow, .fill = far,
		  .f32 = 2e-4, .f32_only = true },
		{ "an outlier", DTN_OP_groupnorm, NORM(1, false), PLAIN(1, 13, 13, 2), .slow = slow,
		  .fill = outlier, .f32 = 5e-5, .every = 7 },
	};

	return OP_TEST(cases);
}
