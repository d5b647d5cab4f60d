/* conv.c -- convolutions: which engine computes them. */
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/winograd.h"

static void *open(const struct dtn_call *c)
{
	const int *x = c->in[0]->shape.dim, *y = c->y->shape.dim;
	struct product p = {
		.N = x[0], .H = x[1], .W = x[2], .C = x[3], .Ho = y[1], .Wo = y[2], .K = y[3],
		.k = c->y->attr.conv.k, .stride = c->y->attr.conv.stride,
		.type = CPU(product_type)(c),
	};

	return CPU(product_open)(c, p, CPU(winograd_takes)(&p) ? &CPU(winograd) : &CPU(onednn));
}

const struct dtn_kernel CPU(conv) = {
	.forward = CPU(product_forward),
	.backward = CPU(product_backward),
	.open = open,
	.close = CPU(product_close),
	.scratch = CPU(product_scratch),
	.packed = CPU(product_packed),
	.pack = CPU(product_pack),
};
