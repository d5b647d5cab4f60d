/* crop.c -- test crop: the upper left corner of an image. */
#include "tests/op/harness.h"

static void slow(const struct op_case *c, struct dtn_shape y, const double *const x[], double *out)
{
	struct dtn_shape s = c->in[0].shape;

	for (int n = 0; n < y.dim[0]; n++)
		for (int i = 0; i < y.dim[1]; i++)
			for (int j = 0; j < y.dim[2]; j++)
				for (int k = 0; k < y.dim[3]; k++)
					out[op_at(y, n, i, j, k)] = x[0][op_at(s, n, i, j, k)];
}

#define SIZE(h, w) { .size = { h, w } }

int main(void)
{
	static const struct op_case cases[] = {
		{ "below and right", DTN_OP_crop, SIZE(5, 7), { { 'x', NHWC(2, 8, 8, 3), 0 } },
		  .slow = slow },
		{ "below", DTN_OP_crop, SIZE(1, 9), { { 'x', NHWC(3, 4, 9, 1), 0 } },
		  .slow = slow },
		{ "right", DTN_OP_crop, SIZE(3, 28), { { 'x', NHWC(1, 3, 32, 4), 0 } },
		  .slow = slow },
		{ "nothing", DTN_OP_crop, SIZE(4, 4), { { 'x', NHWC(2, 4, 4, 3), 0 } },
		  .slow = slow },
	};

	return OP_TEST(cases);
}
