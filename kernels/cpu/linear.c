/* linear.c -- linear maps: in f32 a product of matrices, in bf16 a convolution with k = 1. */
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/product.h"

#include <string.h>

/* --- f32 ------------------------------------------------------------------------------------- */

/* Weights are used as they are. */
static void open_f32(struct product *p)
{
	p->packed_bytes = p->scratch_bytes = 0;
}

static void close_f32(struct product *p)
{
	(void)p;
}

static int rows(const struct product *p)
{
	return p->N * p->H * p->W;
}

/* y [M,K] = b + residual + x [M,C] w' */
static void forward_f32(const struct product *p, const void *x, struct weights w, const float *b,
			const void *residual, void *y, void *scratch)
{
	int M = rows(p), K = p->K, C = p->C;
	const float *r = residual;
	float *to = y;

	(void)scratch;
	for (int m = 0; m < M; m++, to += K)
		for (int f = 0; f < K; f++)
			to[f] = r ? b[f] + r[(size_t)m * K + f] : b[f];
	CPU(onednn_sgemm)('N', 'T', M, K, C, x, C, w.plain, C, 1, y, K);
}

/* dx [M,C] = dy [M,K] w [K,C] */
static void by_data_f32(const struct product *p, const void *dy, struct weights w, void *dx,
			bool add, void *scratch)
{
	int M = rows(p), K = p->K, C = p->C;

	(void)scratch;
	CPU(onednn_sgemm)('N', 'N', M, C, K, dy, K, w.plain, C, add ? 1 : 0, dx, C);
}

/* dw [K,C] = dy' x; db [K] = the sum of the rows of dy */
static void by_weights_f32(const struct product *p, const void *x, const void *dy, float *dw,
			   float *db, void *scratch)
{
	int M = rows(p), K = p->K, C = p->C;
	const float *from = dy;

	(void)scratch;
	CPU(onednn_sgemm)('T', 'N', K, C, M, dy, K, x, C, 0, dw, C);
	memset(db, 0, (size_t)K * sizeof(*db));
	for (int m = 0; m < M; m++, from += K)
		for (int f = 0; f < K; f++)
			db[f] += from[f];
}

static const struct engine f32 = {
	.open = open_f32, .close = close_f32, .forward = forward_f32,
	.by_data = by_data_f32, .by_weights = by_weights_f32,
};

/* --- the op ---------------------------------------------------------------------------------- */

/* Rows in the place of positions, as many as the layout of a convolution allows: [M,C] is
 * [M,1,1,C], [N,H,W,C] stays. */
static void *open(const struct dtn_call *c)
{
	struct dtn_shape x = c->in[0]->shape;
	struct product p = { .N = 1, .H = 1, .W = 1, .k = 1, .stride = 1,
			     .type = CPU(product_type)(c) };

	if (x.rank > 1)
		p.N = x.dim[0];
	if (x.rank > 2)
		p.W = x.dim[x.rank - 2];
	if (x.rank > 3)
		p.H = x.dim[1];
	p.C = x.dim[x.rank - 1];
	p.K = c->in[1]->shape.dim[0];
	p.Ho = p.H;
	p.Wo = p.W;
	return CPU(product_open)(c, p, p.type == DTN_BF16 ? &CPU(onednn) : &f32);
}

const struct dtn_kernel CPU(linear) = {
	.forward = CPU(product_forward),
	.backward = CPU(product_backward),
	.open = open,
	.close = CPU(product_close),
	.scratch = CPU(product_scratch),
	.packed = CPU(product_packed),
	.pack = CPU(product_pack),
};
