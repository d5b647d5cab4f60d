/* silu.cu -- silu and its gradient.
 *
 *      y = x s(x),  dx = dy s (1 + x (1 - s)),  s(x) = 1 / (1 + e^-x)
 *
 * Each thread takes 16 bytes; a last thread takes what is left, one by one:
 *
 *      | thread 0 | thread 1 | ... | thread m-1 | n % V |          V = 16 / size
 *
 * Bytes: n (read x, write y) forward, n (read x, dy, write dx) backward, times the size; about 10
 * operations an element, so memory decides. */
#include "kernels/cuda/cuda.h"

enum { BLOCK = 256 };

template <int V, class T> DEVICE void up_at(T *y, const T *x)
{
	float v[V];

	load<V>(v, x);
	for (int i = 0; i < V; i++)
		v[i] *= sigmoid(v[i]);
	store<V>(y, v);
}

template <class T> __global__ void up(T *y, const T *x, size_t n)
{
	constexpr int V = wide<T>;
	const size_t i = ((size_t)blockIdx.x * BLOCK + threadIdx.x) * V;

	if (i + V <= n)
		up_at<V>(y + i, x + i);
	else
		for (size_t j = i; j < n; j++)
			up_at<1>(y + j, x + j);
}

template <int V, class T> DEVICE void down_at(T *dx, const T *dy, const T *x, bool add)
{
	float v[V], d[V];

	load<V>(v, x);
	load<V>(d, dy);
	for (int i = 0; i < V; i++) {
		float s = sigmoid(v[i]);
		d[i] *= s * (1 + v[i] * (1 - s));
	}
	store<V>(dx, d, add);
}

template <class T> __global__ void down(T *dx, const T *dy, const T *x, size_t n, bool add)
{
	constexpr int V = wide<T>;
	const size_t i = ((size_t)blockIdx.x * BLOCK + threadIdx.x) * V;

	if (i + V <= n)
		down_at<V>(dx + i, dy + i, x + i, add);
	else
		for (size_t j = i; j < n; j++)
			down_at<1>(dx + j, dy + j, x + j, add);
}

template <class T> static void forward_of(const struct dtn_call *c)
{
	size_t n = dtn_shape_count(c->y->shape);

	LAUNCH(up<T>, cuda_blocks(n, BLOCK * wide<T>), BLOCK, 0, (T *)c->out, (const T *)c->x[0],
	       n);
}

template <class T> static void backward_of(const struct dtn_call *c)
{
	size_t n = dtn_shape_count(c->y->shape);

	LAUNCH(down<T>, cuda_blocks(n, BLOCK * wide<T>), BLOCK, 0, (T *)c->dx[0],
	       (const T *)c->dout, (const T *)c->x[0], n, c->add[0]);
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

const struct dtn_kernel cuda_silu = { forward, backward };
