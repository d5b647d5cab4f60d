/* attention.cu -- the op `attention`: which sweeps make its passes.
 *
 *      forward         FORWARD
 *      backward        SUMS, then BY_Q, BY_K and BY_V where their gradients are wanted
 *
 * attention.h says what a sweep is; tiling, bytes and estimates are in attention_bf16.cu and
 * attention_f32.cu.  Scratch memory holds two sums for each query.
 */
#include "kernels/cuda/attention.h"

#include <math.h>

namespace {

attend sizes_of(const dtn_call *c)
{
	const int *dim = c->y->shape.dim;
	attend a = {};

	a.N = dim[0];
	a.L = dim[1] * dim[2];
	a.C = dim[3];
	a.heads = c->y->attr.attention.heads;
	a.d = a.C / a.heads;
	a.root = sqrtf((float)a.d);
	a.scale = 1 / a.root;
	a.lse = (float *)c->saved;
	a.sums = (float2 *)c->scratch;
	return a;
}

void run(const dtn_call *c, sweep s, const attend &a)
{
	if (c->y->type == DTN_BF16)
		cuda_attend_bf16(s, &a);
	else
		cuda_attend_f32(s, &a);
}

void forward(const dtn_call *c)
{
	attend a = sizes_of(c);

	a.x = c->x[0];
	a.y = c->x[1];
	a.z = c->x[2];
	a.out = c->out;
	run(c, FORWARD, a);
}

/* rows times columns, and dP, and what the result is a sum of. */
void sweep_back(const dtn_call *c, sweep s, const void *const x[2], const void *const y[2],
		const void *z, int to)
{
	attend a = sizes_of(c);

	a.x = x[0];
	a.x2 = x[1];
	a.y = y[0];
	a.y2 = y[1];
	a.z = z;
	if (to >= 0) {
		a.out = c->dx[to];
		a.add = c->add[to];
	}
	if (to < 0 || a.out)
		run(c, s, a);
}

void backward(const dtn_call *c)
{
	const void *const queries[2] = { c->x[0], c->dout }, *const keys[2] = { c->x[1], c->x[2] };

	sweep_back(c, SUMS, queries, keys, nullptr, -1);
	sweep_back(c, BY_Q, queries, keys, c->x[1], 0);
	sweep_back(c, BY_K, keys, queries, c->x[0], 1);
	sweep_back(c, BY_V, keys, queries, c->dout, 2);
}

size_t scratch(const dtn_call *c)
{
	const attend a = sizes_of(c);

	return c->training ? (size_t)a.N * a.heads * a.L * sizeof(float2) : 0;
}

}

const struct dtn_kernel cuda_attention = { forward, backward, nullptr, nullptr, scratch, nullptr,
					   nullptr };
