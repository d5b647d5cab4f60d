/* embedding.c -- test embedding: rows of a table added; rows that come twice, and rows that never
 * come. */
#include "tests/op/harness.h"

static void slow(const struct op_case *c, struct dtn_shape y, const double *const x[], double *out)
{
	int C = y.dim[1];

	(void)c;
	for (int n = 0; n < y.dim[0]; n++)
		for (int i = 0; i < C; i++)
			out[n * C + i] = x[0][n * C + i] + x[1][(int)x[2][n] * C + i];
}

/* The last row first, the first row last, and those between more than once or not at all. */
static void rows(const struct op_case *c, int i, double *x, size_t n)
{
	int R = c->in[1].shape.dim[0];

	for (size_t j = 0; i == 2 && j < n; j++)
		x[j] = j == 0 ? R - 1 : j + 1 == n ? 0 : (double)(j * j % (size_t)R);
}

#define TABLE(title, n, r, c) \
	{ .name = title, .op = DTN_OP_embedding, .slow = slow, .fill = rows, .f32_only = true, \
	  .in = { { 'f', NC(n, c), 0 }, { 'w', NC(r, c), 0 }, { 't', VECTOR(n), 1 } } }

int main(void)
{
	static const struct op_case cases[] = {
		TABLE("usual", 8, 11, 32),
		TABLE("of one row", 3, 1, 8),
		TABLE("for one image", 1, 5, 7),
		TABLE("of more rows than images", 4, 40, 3),
	};

	return OP_TEST(cases);
}
