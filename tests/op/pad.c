/* pad.c -- test pad: an image in the upper left corner of a larger one. */
#include "tests/op/harness.h"

static void slow(const struct op_case *c, struct dtn_shape y, const double *const x[], double *out)
{
	struct dtn_shape s = c->in[0].shape;

	for (int n = 0; n < y.dim[0]; n++)
		for (int i = 0; i < y.dim[1]; i++)
			for (int j = 0; j < y.dim[2]; j++)
				for (int k = 0; k < y.dim[3]; k++)
					out[op_at(y, n, i, j, k)] = i < s.dim[1] && j < s.dim[2] ?
								    x[0][op_at(s, n, i, j, k)] : 0;
}

#define SIZE(h, w) { .size = { h, w } }

int main(void)
{
	static const struct op_case cases[] = {
		{ "below and right", DTN_OP_pad, SIZE(8, 8), { { 'f', NHWC(2, 5, 7, 3), 0 } },
		  .slow = slow },
		{ "below", DTN_OP_pad, SIZE(4, 9), { { 'f', NHWC(3, 1, 9, 1), 0 } }, .slow = slow },
		{ "right", DTN_OP_pad, SIZE(3, 32), { { 'f', NHWC(1, 3, 28, 4), 0 } },
		  .slow = slow },
		{ "nothing", DTN_OP_pad, SIZE(4, 4), { { 'f', NHWC(2, 4, 4, 3), 0 } },
		  .slow = slow },
	};

	return OP_TEST(cases);
}
