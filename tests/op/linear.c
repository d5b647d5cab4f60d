/* linear.c -- linear maps against the sum that defines them. */
#include "tests/op/harness.h"

static void linear(const struct op_case *t, struct dtn_shape y, const double *const x[],
		   double *out)
{
	int C = t->in[1].shape.dim[1], K = t->in[1].shape.dim[0];
	size_t rows = dtn_shape_count(y) / (size_t)K;

	for (size_t r = 0; r < rows; r++)
		for (int f = 0; f < K; f++) {
			double sum = x[2][f] + (x[3] ? x[3][r * (size_t)K + (size_t)f] : 0);

			for (int c = 0; c < C; c++)
				sum += x[1][f * C + c] * x[0][r * (size_t)C + (size_t)c];
			out[r * (size_t)K + (size_t)f] = sum;
		}
}

static void fill(const struct op_case *t, int i, double *x, size_t n)
{
	for (size_t j = 0; i == 1 && j < n; j++)
		x[j] /= t->in[1].shape.dim[1] > 9 ? 3 : 1;
}

#define LINEAR(title, kind, x, c, f) \
	.name = title, .op = DTN_OP_linear, .slow = linear, .fill = fill, \
	.in = { { kind, x, false }, { 'w', NC(f, c), false }, { 'w', VECTOR(f), false } }
#define NLC(n, l, c) { 3, { n, l, c } }
#define WITH(...) .in[3] = { 'x', __VA_ARGS__, false }

static const struct op_case cases[] = {
	{ LINEAR("of rows", 'x', NC(8, 7), 7, 5) },
	{ LINEAR("of one row", 'x', NC(1, 3), 3, 4) },
	{ LINEAR("to one", 'x', NC(5, 9), 9, 1) },
	{ LINEAR("from one", 'x', NC(5, 1), 1, 9) },
	{ LINEAR("of f32 rows", 'f', NC(8, 32), 32, 24), .every = 5 },
	{ LINEAR("of a vector", 'x', VECTOR(6), 6, 3) },
	{ LINEAR("of [N,L,C]", 'x', NLC(2, 7, 5), 5, 6), WITH(NLC(2, 7, 6)) },
	{ LINEAR("of positions", 'x', NHWC(2, 3, 5, 12), 12, 12), WITH(NHWC(2, 3, 5, 12)) },
	{ LINEAR("of wide positions", 'x', NHWC(2, 4, 4, 64), 64, 48), .every = 31 },
	{ LINEAR("of wide rows", 'x', NC(8, 100), 100, 70), .every = 31 },
};

int main(void)
{
	return OP_TEST(cases);
}
