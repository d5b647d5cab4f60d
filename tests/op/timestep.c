/* timestep.c -- test timestep: by the formula, and the numbers that diffusers gives for t = 500, C
 * = 128. */
#include "tests/op/harness.h"

#include <math.h>
#include <stdio.h>

static void slow(const struct op_case *c, struct dtn_shape y, const double *const x[], double *out)
{
	int C = y.dim[1], half = C / 2;

	(void)c;
	for (int n = 0; n < y.dim[0]; n++)
		for (int i = 0; i < half; i++) {
			double f = half == 1 ? 1 : pow(10000, -i / (half - 1.0));
			out[n * C + i] = sin(x[0][n] * f);
			out[n * C + half + i] = cos(x[0][n] * f);
		}
}

static void times(const struct op_case *c, int i, double *x, size_t n)
{
	(void)c;
	(void)i;
	for (size_t j = 0; j < n; j++)
		x[j] = (double)(j * 999 / (n > 1 ? n - 1 : 1));
}

static int golden(void)
{
	static const struct { int i; double value; } want[] = {
		{ 0, -0.467772 }, { 1, -0.999682 }, { 2, 0.574101 }, { 63, 0.049979 }, { 64,
		  -0.883849 },
		{ 65, 0.025232 }, { 127, 0.998750 }
	};
	struct dtn_node t = { .type = DTN_I32, .shape = { 1, { 1 } } };
	struct dtn_node y = { .type = DTN_F32, .shape = { 2, { 1, 128 } } };
	int32_t at = 500;
	float out[128];
	struct dtn_call call = { .y = &y, .in = { &t }, .x = { &at }, .out = out };

	dtn_cpu(NULL)->kernel[DTN_OP_timestep]->forward(&call);
	for (size_t k = 0; k < sizeof(want) / sizeof(want[0]); k++)
		if (!(fabs((double)out[want[k].i] - want[k].value) < 1e-6)) {
			printf("not ok timestep golden: element %d is %.6f, wants %.6f\n",
			       want[k].i, (double)out[want[k].i], want[k].value);
			return 1;
		}
	printf("ok timestep golden\n");
	return 0;
}

int main(void)
{
	static const struct op_case cases[] = {
		{ "usual", DTN_OP_timestep, { .timestep = { 64 } }, { { 't', VECTOR(7), 1 } },
		  .slow = slow, .fill = times,
		  .f32_only = true },
		{ "four", DTN_OP_timestep, { .timestep = { 4 } }, { { 't', VECTOR(1), 1 } },
		  .slow = slow, .fill = times,
		  .f32_only = true },
		{ "two", DTN_OP_timestep, { .timestep = { 2 } }, { { 't', VECTOR(3), 1 } },
		  .slow = slow, .fill = times,
		  .f32_only = true },
	};

	return OP_TEST(cases) | golden();
}
