/* upsample.cu -- every pixel becomes a square of four; backward, four become one.
 *
 * A thread has V channels of one pixel of the smaller image, 16 bytes where the width allows it,
 * and their four places in the larger one:
 *
 *      x [i][j]  <->  y [2i][2j]    y [2i][2j+1]
 *                     y [2i+1][2j]  y [2i+1][2j+1]
 *
 * Bytes: the smaller image once, the larger one once. */
#include "kernels/cuda/cuda.h"

enum { BLOCK = 256 };

/* In packs of V channels: of a pixel, of a row of the smaller image, of all of it. */
struct widths { unsigned pixel, row; size_t all; };

/* The pack in the larger image that belongs to pack i of the smaller: upper left of four. */
DEVICE size_t corner(size_t i, struct widths w)
{
	const size_t line = i / w.row;
	const unsigned in_row = (unsigned)(i % w.row), j = in_row / w.pixel, c = in_row % w.pixel;

	return line * 4 * w.row + 2 * j * w.pixel + c;
}

template <int V, class T> __global__ void spread(T *y, const T *x, struct widths w)
{
	const size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;
	float v[V];

	if (i >= w.all)
		return;
	const size_t to = corner(i, w), below = to + 2 * w.row;
	load<V>(v, x + i * V);
	store<V>(y + to * V, v);
	store<V>(y + (to + w.pixel) * V, v);
	store<V>(y + below * V, v);
	store<V>(y + (below + w.pixel) * V, v);
}

template <int V, class T> __global__ void gather(T *dx, const T *dy, struct widths w, bool add)
{
	const size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;
	float a[V], b[V], c[V], d[V];

	if (i >= w.all)
		return;
	const size_t from = corner(i, w), below = from + 2 * w.row;
	load<V>(a, dy + from * V);
	load<V>(b, dy + (from + w.pixel) * V);
	load<V>(c, dy + below * V);
	load<V>(d, dy + (below + w.pixel) * V);
	for (int k = 0; k < V; k++)
		a[k] = (a[k] + b[k]) + (c[k] + d[k]);
	store<V>(dx + i * V, a, add);
}

static struct widths widths(const struct dtn_call *c, int V)
{
	const struct dtn_shape s = c->in[0]->shape;

	return { (unsigned)(s.dim[3] / V), (unsigned)(s.dim[2] * (s.dim[3] / V)),
		 dtn_shape_count(s) / (size_t)V };
}

template <int V, class T> static void up(const struct dtn_call *c)
{
	const struct widths w = widths(c, V);

	LAUNCH((spread<V, T>), cuda_blocks(w.all, BLOCK), BLOCK, 0, (T *)c->out,
	       (const T *)c->x[0], w);
}

template <int V, class T> static void down(const struct dtn_call *c)
{
	const struct widths w = widths(c, V);

	LAUNCH((gather<V, T>), cuda_blocks(w.all, BLOCK), BLOCK, 0, (T *)c->dx[0],
	       (const T *)c->dout, w, c->add[0]);
}

template <class T> static void forward_of(const struct dtn_call *c)
{
	if (c->y->shape.dim[3] % wide<T> == 0)
		up<wide<T>, T>(c);
	else
		up<1, T>(c);
}

template <class T> static void backward_of(const struct dtn_call *c)
{
	if (c->y->shape.dim[3] % wide<T> == 0)
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
	if (c->dx[0])
		BY_TYPE(c->y->type, backward_of, c);
}

const struct dtn_kernel cuda_upsample = { forward, backward };
