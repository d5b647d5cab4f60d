/* upsample.c -- test upsample: every pixel becomes a square of four. */
#include "tests/op/harness.h"

static void slow(const struct op_case *c, struct dtn_shape y, const double *const x[], double *out)
{
	struct dtn_shape s = c->in[0].shape;

	for (int n = 0; n < y.dim[0]; n++)
		for (int i = 0; i < y.dim[1]; i++)
			for (int j = 0; j < y.dim[2]; j++)
				for (int k = 0; k < y.dim[3]; k++)
					out[op_at(y, n, i, j, k)] =
						x[0][op_at(s, n, i / 2, j / 2, k)];
}

int main(void)
{
	static const struct op_case cases[] = {
		{ "odd", DTN_OP_upsample, { { 0, 0 } }, { { 'x', NHWC(2, 3, 5, 35), 0 } },
		  .slow = slow },
		{ "one row", DTN_OP_upsample, { { 0, 0 } }, { { 'x', NHWC(3, 1, 4, 3), 0 } },
		  .slow = slow },
		{ "one pixel", DTN_OP_upsample, { { 0, 0 } }, { { 'x', NHWC(1, 1, 1, 1), 0 } },
		  .slow = slow },
	};

	return OP_TEST(cases);
}
