/* conv.cu -- the op `conv`: which product computes what, on which weights, in which memory.
 *
 *      forward         gather over x with the packed rows, bias and residual in the same sweep
 *      by data         gather over dy with the packed columns; dx += is a residual
 *      by weights      parts of the pixels, then their sum; the bias' gradient apart
 *
 * The products, their tiling and their estimates are in conv_bf16.cu and the files beside it;
 * conv.h says what they have in common.  Scratch memory holds the parts of the weights' gradient.
 */
#include "kernels/cuda/conv.h"

#include <stdlib.h>

namespace {

struct convolution {
	gather forward, by_data;
	int type, taps;
	size_t columns_at;              /* bytes in the packed weights; where the columns begin */
	size_t packed;
	int splits, rows;               /* parts of the gradient of the weights */
	bool training;
};

/* --- shapes ----------------------------------------------------------------------------------- */

/* All taps of a kernel of k x k, u rows and v columns from the first. */
void all_taps(phase *p, int k, int low)
{
	p->taps = k * k;
	for (int t = 0; t < k * k; t++) {
		p->dy[t] = (signed char)(t / k - low);
		p->dx[t] = (signed char)(t % k - low);
		p->tap[t] = (signed char)t;
	}
}

gather forward_of(const dtn_call *c)
{
	const int *x = c->in[0]->shape.dim, *y = c->y->shape.dim, k = c->y->attr.conv.k;
	gather g = {};

	g.N = x[0], g.H = x[1], g.W = x[2], g.C = x[3];
	g.Ho = y[1], g.Wo = y[2], g.K = y[3];
	g.step = c->y->attr.conv.stride;
	g.ostep = g.phases = 1;
	g.row_taps = k * k;
	g.phase[0].height = g.Ho;
	g.phase[0].width = g.Wo;
	all_taps(&g.phase[0], k, g.step == 1 ? (k - 1) / 2 : 0);
	return g;
}

/* One direction of a phase, of results at `parity`: tap u of a stride-2 kernel lies where
 * 2 i + u = a, so at even a there are taps 0 and 2 (i = a/2 and one before), at odd a tap 1. */
int taps_at(int parity, int tap[2], int offset[2])
{
	tap[0] = parity;
	tap[1] = 2;
	offset[0] = 0;
	offset[1] = -1;
	return parity ? 1 : 2;
}

void stride_2_phase(phase *p, int y0, int x0, int H, int W)
{
	int u[2], v[2], dy[2], dx[2], down = taps_at(y0, u, dy), across = taps_at(x0, v, dx);

	p->height = (H - y0 + 1) / 2;
	p->width = (W - x0 + 1) / 2;
	p->y0 = y0;
	p->x0 = x0;
	p->taps = down * across;
	for (int t = 0; t < p->taps; t++) {
		p->tap[t] = (signed char)(3 * u[t / across] + v[t % across]);
		p->dy[t] = (signed char)dy[t / across];
		p->dx[t] = (signed char)dx[t % across];
	}
}

/* From dy [N,Ho,Wo,K] to dx [N,H,W,C]. */
gather by_data_of(const gather &f, int k)
{
	gather g = {};

	g.N = f.N, g.H = f.Ho, g.W = f.Wo, g.C = f.K;
	g.Ho = f.H, g.Wo = f.W, g.K = f.C;
	g.row_taps = f.row_taps;
	g.step = 1;
	g.ostep = f.step;
	g.phases = f.step * f.step;
	if (f.step == 2) {
		for (int i = 0; i < 4; i++)
			stride_2_phase(&g.phase[i], i / 2, i % 2, f.H, f.W);
		return g;
	}
	g.phase[0].height = f.H;
	g.phase[0].width = f.W;
	all_taps(&g.phase[0], k, (k - 1) / 2);
	for (int t = 0; t < k * k; t++)         /* mirrored */
		g.phase[0].tap[t] = (signed char)(k * k - 1 - t);
	return g;
}

/* --- open ------------------------------------------------------------------------------------- */

/* Parts of the gradient of the weights: enough blocks to fill a card, of pixels enough to be worth
 * their sums.  Only shapes decide, so every card adds in the same order. */
void split(convolution *v)
{
	enum { TILE = 128, BLOCKS = 256, LEAST = 256, MOST = 64 };
	const gather &g = v->forward;
	const int pixels = g.N * g.Ho * g.Wo;
	const int columns = v->taps * cuda_conv_padded(g.C, v->type);
	const int tiles = ((g.K + TILE - 1) / TILE) * ((columns + TILE - 1) / TILE);
	int splits = BLOCKS / tiles;

	splits = splits > MOST ? MOST : splits < 1 ? 1 : splits;
	v->rows = (pixels + splits - 1) / splits;
	v->rows = v->rows < LEAST ? LEAST : (v->rows + 31) / 32 * 32;
	v->splits = (pixels + v->rows - 1) / v->rows;
}

void check_sizes(const dtn_call *c, const gather &g)
{
	if ((c->in[3] && c->in[3]->type != c->y->type) || c->in[0]->type != c->y->type)
		dtn_die(DTN_USAGE, "%s: a convolution of one element type", c->y->name);
	if ((double)g.N * g.H * g.W >= 2147483648.0)
		dtn_die(DTN_USAGE, "%s: more than 2^31 positions in a batch", c->y->name);
}

void *open(const dtn_call *c)
{
	convolution *v = (convolution *)dtn_alloc(1, sizeof(*v));
	const int k = c->y->attr.conv.k;

	v->type = c->y->type;
	v->taps = k * k;
	v->training = c->training;
	v->forward = forward_of(c);
	v->by_data = by_data_of(v->forward, k);
	check_sizes(c, v->forward);
	v->columns_at = (size_t)v->forward.K * v->taps * cuda_conv_padded(v->forward.C, v->type) *
			dtn_type_size(v->type);
	v->columns_at = (v->columns_at + 63) / 64 * 64;
	v->packed = v->columns_at;
	if (v->training)
		v->packed += (size_t)v->forward.C * v->taps *
			     cuda_conv_padded(v->forward.K, v->type) * dtn_type_size(v->type);
	split(v);
	return v;
}

size_t packed(const dtn_call *c)
{
	return ((const convolution *)c->state)->packed;
}

void pack_both(const dtn_call *c, void *to)
{
	const convolution *v = (const convolution *)c->state;

	cuda_conv_pack((const float *)c->x[1], v->forward.K, v->forward.C, v->taps, v->type, to,
		       v->training ? (char *)to + v->columns_at : nullptr);
}

size_t parts_bytes(const convolution *v)
{
	return (size_t)v->splits * v->forward.K * v->taps *
	       cuda_conv_padded(v->forward.C, v->type) * sizeof(float);
}

size_t rows_of(const convolution *v)
{
	return (size_t)v->forward.N * v->forward.Ho * v->forward.Wo;
}

/* The parts, and before or after them in time, the sums of rows. */
size_t scratch(const dtn_call *c)
{
	const convolution *v = (const convolution *)c->state;
	const size_t parts = parts_bytes(v), sums = cuda_rows_scratch(rows_of(v), v->forward.K);

	return !v->training ? 0 : parts > sums ? parts : sums;
}

/* --- run -------------------------------------------------------------------------------------- */

void run(const convolution *v, const gather_call *c)
{
	if (v->type == DTN_BF16)
		cuda_gather_bf16(c);
	else
		cuda_gather_f32(c);
}

void forward(const dtn_call *c)
{
	const convolution *v = (const convolution *)c->state;
	const gather_call call = { v->forward, c->x[0], c->packed, (const float *)c->x[2],
				   c->in[3] ? c->x[3] : nullptr, c->out };

	run(v, &call);
}

void by_weights(const dtn_call *c, const convolution *v)
{
	const weights_call call = { v->forward, v->splits, v->rows, c->x[0], c->dout,
				    (float *)c->scratch };

	if (v->type == DTN_BF16)
		cuda_conv_weights_bf16(&call);
	else
		cuda_conv_weights_f32(&call);
	cuda_conv_add_parts((float *)c->dx[1], call.part, v->splits, v->forward.K, v->forward.C,
			    v->taps, cuda_conv_padded(v->forward.C, v->type));
}

void backward(const dtn_call *c)
{
	const convolution *v = (const convolution *)c->state;
	const gather_call by_data = { v->by_data, c->dout, (const char *)c->packed + v->columns_at,
				      nullptr, c->add[0] ? c->dx[0] : nullptr, c->dx[0] };

	if (c->dx[3])
		cuda_conv_copy(c->dx[3], c->dout, v->type, rows_of(v) * v->forward.K, c->add[3]);
	if (c->dx[0])
		run(v, &by_data);
	if (c->dx[1])
		by_weights(c, v);
	if (c->dx[2])
		cuda_rows_sum((float *)c->dx[2], c->dout, v->type, rows_of(v), v->forward.K,
			      (float *)c->scratch);
}

}

const struct dtn_kernel cuda_conv = { forward, backward, open, free, scratch, packed, pack_both };
