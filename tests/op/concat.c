/* concat.c -- test concat: channels side by side. */
#include "tests/op/harness.h"

static void slow(const struct op_case *c, struct dtn_shape y, const double *const x[], double *out)
{
	int A = c->in[0].shape.dim[3], B = c->in[1].shape.dim[3];
	int positions = y.dim[0] * y.dim[1] * y.dim[2];

	for (int p = 0; p < positions; p++)
		for (int k = 0; k < A + B; k++)
			out[p * (A + B) + k] = k < A ? x[0][p * A + k] : x[1][p * B + k - A];
}

#define PAIR(n, h, w, a, b) { { 'x', NHWC(n, h, w, a), 0 }, { 'x', NHWC(n, h, w, b), 0 } }

int main(void)
{
	static const struct op_case cases[] = {
		{ "narrow and wide", DTN_OP_concat, { { 0, 0 } }, PAIR(2, 3, 5, 3, 40),
		  .slow = slow },
		{ "wide and narrow", DTN_OP_concat, { { 0, 0 } }, PAIR(1, 4, 4, 64, 1),
		  .slow = slow },
		{ "one row", DTN_OP_concat, { { 0, 0 } }, PAIR(3, 1, 7, 16, 16), .slow = slow },
	};

	return OP_TEST(cases);
}
