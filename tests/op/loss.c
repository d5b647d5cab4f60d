/* loss.c -- test loss: squared, absolute and Huber's, each image by itself. */
#include "tests/op/harness.h"

#include <math.h>

static void slow(const struct op_case *c, struct dtn_shape y, const double *const x[], double *out)
{
	size_t N = (size_t)y.dim[0], each = dtn_shape_count(c->in[0].shape) / N;

	for (size_t n = 0; n < N; n++) {
		double sum = 0;

		for (size_t i = n * each; i < (n + 1) * each; i++) {
			double d = x[0][i] - x[1][i], a = fabs(d);
			sum += c->attr.loss.kind == DTN_L2   ? d * d
			       : c->attr.loss.kind == DTN_L1 ? a
			       : a < 1			     ? d * d / 2
							     : a - 0.5;
		}
		out[n] = sum / (double)each;
	}
}

#define KIND(k) { .loss = { k } }
#define IMAGES(n, h, w, c) { { 'f', NHWC(n, h, w, c), 0 }, { 'f', NHWC(n, h, w, c), 1 } }

int main(void)
{
	static const struct op_case cases[] = {
		{ "l2", DTN_OP_loss, KIND(DTN_L2), IMAGES(3, 5, 7, 3), .slow = slow,
		  .f32_only = true },
		{ "l1", DTN_OP_loss, KIND(DTN_L1), IMAGES(3, 5, 7, 3), .slow = slow,
		  .f32_only = true },
		{ "huber", DTN_OP_loss, KIND(DTN_HUBER), IMAGES(3, 5, 7, 3), .slow = slow,
		  .f32_only = true },
		{ "one value", DTN_OP_loss, KIND(DTN_L2), IMAGES(2, 1, 1, 1), .slow = slow,
		  .f32_only = true },
		{ "large", DTN_OP_loss, KIND(DTN_HUBER), IMAGES(2, 33, 37, 3), .slow = slow,
		  .f32_only = true,
		  .every = 501 },
	};

	return OP_TEST(cases);
}
