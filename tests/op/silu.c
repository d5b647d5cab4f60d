/* silu.c -- test silu, also far out where the sigmoid is 0 or 1. */
#include "tests/op/harness.h"

#include <math.h>

static void slow(const struct op_case *c, struct dtn_shape y, const double *const x[], double *out)
{
	(void)c;
	for (size_t i = 0; i < dtn_shape_count(y); i++)
		out[i] = x[0][i] / (1 + exp(-x[0][i]));
}

static void wide(const struct op_case *c, int i, double *x, size_t n)
{
	(void)c;
	(void)i;
	for (size_t j = 0; j < n; j++)
		x[j] = 120 * ((double)j / (double)(n - 1) - 0.5);
}

int main(void)
{
	static const struct op_case cases[] = {
		{ "vectors", DTN_OP_silu, { { 0, 0 } }, { { 'x', NC(3, 37), 0 } }, .slow = slow },
		{ "images", DTN_OP_silu, { { 0, 0 } }, { { 'x', NHWC(2, 3, 5, 3), 0 } },
		  .slow = slow },
		{ "one value", DTN_OP_silu, { { 0, 0 } }, { { 'x', NC(1, 1), 0 } }, .slow = slow },
		{ "wide", DTN_OP_silu, { { 0, 0 } }, { { 'x', NC(1, 301), 0 } }, .slow = slow,
		  .fill = wide },
	};

	return OP_TEST(cases);
}
