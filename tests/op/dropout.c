/* dropout.c -- test dropout: against the generator itself, and that a rate is the share that it
 * drops. */
#include "tests/op/harness.h"

#include "lib/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void slow(const struct op_case *c, struct dtn_shape y, const double *const x[], double *out)
{
	size_t n = dtn_shape_count(y);
	double rate = (double)c->attr.dropout.rate;
	uint32_t *bits = malloc(n * sizeof(*bits));

	dtn_rng_bits(dtn_rng(OP_SEED, DTN_RNG_DROPOUT, OP_INDEX, (uint32_t)op_id(c)), bits, n);
	for (size_t i = 0; i < n; i++)
		if (c->sampling)
			out[i] = x[0][i];
		else
			out[i] = (bits[i / 2] >> i % 2 * 16 & 0xffff) >= rint(rate * 65536) ?
				 x[0][i] / (1 - rate) : 0;
	free(bits);
}

/* Of a million values, all 1, the share that is 0 lies within five standard deviations of the
 * rate. */
static int share(float rate)
{
	enum { n = 1000000 };
	struct dtn_node x = { .type = DTN_F32, .shape = { 1, { n } } }, y = x;
	struct dtn_call call = { .y = &y, .in = { &x }, .training = true, .id = 5 };
	float *ones = malloc(2 * n * sizeof(*ones)), *out = ones + n;
	double dropped = 0;
	int failed;

	for (int i = 0; i < n; i++)
		ones[i] = 1;
	y.attr.dropout.rate = rate;
	call.x[0] = ones;
	call.out = out;
	dtn_cpu(NULL)->kernel[DTN_OP_dropout]->forward(&call);
	for (int i = 0; i < n; i++)
		dropped += out[i] == 0;
	failed = !(fabs(dropped / n - (double)rate) < 5 * sqrt((double)(rate * (1 - rate)) / n));
	printf("%s dropout share at rate %g: %g\n", failed ? "not ok" : "ok", (double)rate,
	       dropped / n);
	free(ones);
	return failed;
}

#define RATE(r) { .dropout = { r } }

int main(void)
{
	static const struct op_case cases[] = {
		{ "a tenth", DTN_OP_dropout, RATE(0.1f), { { 'x', NHWC(2, 7, 5, 67), 0 } },
		  .slow = slow,
		  .every = 101 },
		{ "nine tenths", DTN_OP_dropout, RATE(0.9f), { { 'x', NC(1, 37), 0 } },
		  .slow = slow },
		{ "nothing", DTN_OP_dropout, RATE(0), { { 'x', NC(2, 3), 0 } }, .slow = slow },
		{ "sampling", DTN_OP_dropout, RATE(0.5f), { { 'x', NHWC(1, 3, 3, 5), 0 } },
		  .slow = slow,
		  .sampling = true },
	};

	return OP_TEST(cases) | share(0.1f) | share(0.5f);
}
