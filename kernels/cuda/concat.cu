/* concat.cu -- channels of two images side by side, and apart again.
 *
 * A thread has V channels of one position of the joined image, 16 bytes where both widths allow it:
 *
 *      position p   | a: C1 channels     | b: C2 channels    |      C1 + C2 = K
 *                   | V | V | ...        | V | V | ...       |      one V a thread
 *
 * Bytes: each number read and written once, both ways (a gradient that is added to is read too). */
#include "kernels/cuda/cuda.h"

enum { BLOCK = 256 };

/* Packs of V channels: of a, of both, of everything. */
struct widths { unsigned a, both; size_t all; };

template <int V, class T> __global__ void join(T *y, const T *a, const T *b, struct widths w)
{
	const size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x, p = i / w.both;
	const unsigned c = (unsigned)(i % w.both);
	float v[V];

	if (i >= w.all)
		return;
	load<V>(v, c < w.a ? a + (p * w.a + c) * V : b + (p * (w.both - w.a) + c - w.a) * V);
	store<V>(y + i * V, v);
}

/* da or db NULL: not wanted. */
template <int V, class T>
__global__ void part(T *da, T *db, const T *dy, struct widths w, bool add_a, bool add_b)
{
	const size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x, p = i / w.both;
	const unsigned c = (unsigned)(i % w.both);
	float v[V];

	if (i >= w.all || !(c < w.a ? da : db))
		return;
	load<V>(v, dy + i * V);
	if (c < w.a)
		store<V>(da + (p * w.a + c) * V, v, add_a);
	else
		store<V>(db + (p * (w.both - w.a) + c - w.a) * V, v, add_b);
}

static struct widths widths(const struct dtn_call *c, int V)
{
	const size_t K = (size_t)c->y->shape.dim[3];

	return { (unsigned)(c->in[0]->shape.dim[3] / V), (unsigned)(K / V),
		 dtn_shape_count(c->y->shape) / V };
}

template <int V, class T> static void up(const struct dtn_call *c)
{
	const struct widths w = widths(c, V);

	LAUNCH((join<V, T>), cuda_blocks(w.all, BLOCK), BLOCK, 0, (T *)c->out, (const T *)c->x[0],
	       (const T *)c->x[1], w);
}

template <int V, class T> static void down(const struct dtn_call *c)
{
	const struct widths w = widths(c, V);

	LAUNCH((part<V, T>), cuda_blocks(w.all, BLOCK), BLOCK, 0, (T *)c->dx[0], (T *)c->dx[1],
	       (const T *)c->dout, w, c->add[0], c->add[1]);
}

/* Do both widths allow packs of V? */
static bool even(const struct dtn_call *c, int V)
{
	return c->in[0]->shape.dim[3] % V == 0 && c->in[1]->shape.dim[3] % V == 0;
}

template <class T> static void forward_of(const struct dtn_call *c)
{
	if (even(c, wide<T>))
		up<wide<T>, T>(c);
	else
		up<1, T>(c);
}

template <class T> static void backward_of(const struct dtn_call *c)
{
	if (even(c, wide<T>))
		down<wide<T>, T>(c);
	else
		down<1, T>(c);
}

static void forward(const struct dtn_call *c)
{
	BY_TYPE(c->y->type, forward_of, c);
}

static void backward(const struct dtn_call *c)
{
	BY_TYPE(c->y->type, backward_of, c);
}

const struct dtn_kernel cuda_concat = { forward, backward };
