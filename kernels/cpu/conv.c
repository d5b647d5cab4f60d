/* conv.c -- convolutions: which engine computes them. */
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/product.h"
#include "kernels/cpu/winograd.h"

static bool is_bf16(const struct dtn_node *x)
{
	return x->type == DTN_BF16;
}

static void *open(const struct dtn_call *c)
{
	const int *x = c->in[0]->shape.dim, *y = c->y->shape.dim;
	bool bf16 = is_bf16(c->in[0]) && is_bf16(c->y) && CPU(onednn_bf16)();
	struct product p = {
		.N = x[0], .H = x[1], .W = x[2], .C = x[3], .Ho = y[1], .Wo = y[2], .K = y[3],
		.k = c->y->attr.conv.k, .stride = c->y->attr.conv.stride,
		.type = bf16 ? DTN_BF16 : DTN_F32,
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
