/* conv.c -- convolutions against the sum that defines them. */
#include "tests/op/harness.h"

/* x[n,i,j,c], zero outside the image */
static double pixel(struct dtn_shape s, const double *x, int n, int i, int j, int c)
{
	if (i < 0 || i >= s.dim[1] || j < 0 || j >= s.dim[2])
		return 0;
	return x[op_at(s, n, i, j, c)];
}

static double at(const struct op_case *t, const double *const x[], const int y[4])
{
	struct dtn_shape s = t->in[0].shape, w = t->in[1].shape;
	int k = t->attr.conv.k, stride = t->attr.conv.stride, low = stride == 1 ? (k - 1) / 2 : 0;
	double sum = x[2][y[3]];

	for (int c = 0; c < s.dim[3]; c++)
		for (int u = 0; u < k; u++)
			for (int v = 0; v < k; v++)
				sum += x[1][op_at(w, y[3], c, u, v)] *
				       pixel(s, x[0], y[0], stride * y[1] + u - low,
					     stride * y[2] + v - low, c);
	return sum;
}

static void conv(const struct op_case *t, struct dtn_shape y, const double *const x[], double *out)
{
	for (int n = 0; n < y.dim[0]; n++)
		for (int i = 0; i < y.dim[1]; i++)
			for (int j = 0; j < y.dim[2]; j++)
				for (int f = 0; f < y.dim[3]; f++) {
					size_t to = op_at(y, n, i, j, f);

					out[to] = at(t, x, (int[]){ n, i, j, f }) +
						  (x[3] ? x[3][to] : 0);
				}
}

/* Weights of the size that training starts with, so that sums stay near 1 whatever C is. */
static void fill(const struct op_case *t, int i, double *x, size_t n)
{
	int taps = t->in[1].shape.dim[1] * t->attr.conv.k * t->attr.conv.k;

	for (size_t j = 0; i == 1 && j < n; j++)
		x[j] /= taps > 9 ? 3 : 1;
}

#define CONV(title, n, h, w, c, f, size, step) \
	.name = title, .op = DTN_OP_conv, .attr.conv = { size, step }, .slow = conv, .fill = fill, \
	.in = { { 'x', NHWC(n, h, w, c), false }, { 'w', { 4, { f, c, size, size } }, false }, \
		{ 'w', VECTOR(f), false } }
#define WITH(n, h, w, f) .in[3] = { 'x', NHWC(n, h, w, f), false }

static const struct op_case cases[] = {
	{ CONV("3x3", 2, 5, 7, 4, 6, 3, 1) },
	{ CONV("3x3 of one channel", 2, 6, 6, 1, 8, 3, 1) },
	{ CONV("3x3 to one channel", 2, 6, 6, 8, 1, 3, 1) },
	{ CONV("3x3 from three channels", 3, 5, 4, 3, 16, 3, 1) },
	{ CONV("3x3 to three channels", 3, 5, 4, 16, 3, 3, 1) },
	{ CONV("3x3 with a residual", 2, 5, 5, 8, 16, 3, 1), WITH(2, 5, 5, 16) },
	{ CONV("3x3 on one row", 2, 1, 9, 5, 3, 3, 1), WITH(2, 1, 9, 3) },
	{ CONV("3x3 on one column", 1, 9, 1, 3, 5, 3, 1) },
	{ CONV("3x3 on one pixel", 3, 1, 1, 8, 8, 3, 1) },
	{ CONV("3x3 of odd channels", 1, 4, 6, 13, 11, 3, 1) },
	{ CONV("3x3 of 24 channels", 2, 6, 5, 24, 24, 3, 1), .every = 53 },
	{ CONV("3x3 of 32 channels", 3, 4, 4, 32, 32, 3, 1), WITH(3, 4, 4, 32), .every = 101 },
	{ CONV("3x3 of 40 to 72 channels", 1, 8, 8, 40, 72, 3, 1), .every = 1009 },
	{ CONV("3x3 on 7x7", 2, 7, 7, 16, 16, 3, 1), .every = 41 },
	{ CONV("3x3 on 14x13", 1, 14, 13, 16, 8, 3, 1), .every = 41 },
	{ CONV("stride 2, even", 2, 6, 8, 4, 5, 3, 2) },
	{ CONV("stride 2, odd", 2, 5, 7, 4, 5, 3, 2) },
	{ CONV("stride 2 with a residual", 2, 4, 6, 16, 16, 3, 2), WITH(2, 2, 3, 16) },
	{ CONV("stride 2, smallest", 2, 2, 3, 3, 2, 3, 2) },
	{ CONV("stride 2 of 32 channels", 2, 8, 8, 32, 32, 3, 2), .every = 101 },
	{ CONV("1x1", 2, 3, 5, 6, 7, 1, 1), WITH(2, 3, 5, 7) },
	{ CONV("1x1 of one channel", 2, 3, 3, 1, 1, 1, 1) },
	{ CONV("1x1 of 48 to 32 channels", 2, 4, 4, 48, 32, 1, 1), .every = 7 },
};

int main(void)
{
	return OP_TEST(cases);
}
