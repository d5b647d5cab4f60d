/* vec.c -- test the arithmetic that all kernels share: bf16, exp, sigmoid. */
#include "kernels/cpu/vec.h"

#include <math.h>
#include <stdio.h>

static int report(const char *what, bool right)
{
	printf("%s vec %s\n", right ? "ok" : "not ok", what);
	return !right;
}

/* Every bf16 number comes back; halfway goes to the even neighbour, and just beside it to the
 * nearer. */
static int bf16(void)
{
	bool back = true, nearest = true;

	for (uint32_t h = 0; h < 0x10000; h++) {
		float f = bf16_to_f32((uint16_t)h);
		bool number = f == f && !isinf(f);

		back &= f == f ? f32_to_bf16(f) == h : isnan(bf16_to_f32(f32_to_bf16(f)));
		if (!number)
			continue;
		nearest &= f32_to_bf16(vec_float(h << 16 | 0x7fff)) == h;
		nearest &= f32_to_bf16(vec_float(h << 16 | 0x8000)) == h + (h & 1);
		nearest &= f32_to_bf16(vec_float(h << 16 | 0x8001)) == h + 1;
	}
	return report("bf16 there and back", back) | report("bf16 to nearest even", nearest);
}

static int functions(void)
{
	double worst = 0, worst_sigmoid = 0;
	bool edges;

	for (float x = -87; x < 87; x += 0.0007f) {
		double e = exp((double)x), s = 1 / (1 + exp(-(double)x));

		worst = fmax(worst, fabs((double)vec_exp(x) - e) / e);
		worst_sigmoid = fmax(worst_sigmoid, fabs((double)vec_sigmoid(x) - s) / s);
	}
	edges = vec_exp(-INFINITY) < 2e-38f && vec_exp(-INFINITY) > 0 &&
		vec_exp(INFINITY) > 6e37f && vec_sigmoid(INFINITY) == 1 &&
		vec_sigmoid(-INFINITY) < 2e-38f && vec_exp(0) == 1;
	printf("# worst errors: exp %.2g, sigmoid %.2g\n", worst, worst_sigmoid);
	return report("exp", worst < 3e-7) | report("sigmoid", worst_sigmoid < 4e-7) |
	       report("edges", edges);
}

int main(void)
{
	return bf16() | functions();
}
