/* dropout.cu -- drop values at random, and scale those that stay; the same for gradients.
 *
 * A call of Philox makes four words, of which each decides two values: a thread has the eight
 * values of one counter, so the mask is made again instead of kept.
 *
 *      thread i, counter i:    | 8i | 8i+1 | ... | 8i+7 |      word 0: 8i (low), 8i+1 (high), ...
 *
 * Bytes: x read and y written once.  Some 100 integer operations for eight values, which is about
 * what memory takes. */
#include "kernels/cuda/rng.h"

enum { BLOCK = 256, EACH = 8 };

struct chance { unsigned least; float scale; int node; };

static struct chance chance(const struct dtn_call *c)
{
	const float rate = c->y->attr.dropout.rate;

	return { (unsigned)lrintf(rate * 65536), 1 / (1 - rate), c->id };
}

/* y = x keep / (1 - rate), or added to y.  draw: seed and index. */
template <class T>
__global__ void drop(T *y, const T *x, size_t n, const uint64_t *draw, struct chance by, bool add)
{
	const size_t at = (size_t)blockIdx.x * BLOCK + threadIdx.x, i = at * EACH;
	uint32_t word[4];

	if (i >= n)
		return;
	rng_bits(word, draw[0], DTN_RNG_DROPOUT, draw[1], (uint32_t)by.node, (uint32_t)at);
	for (int j = 0; j < EACH && i + j < n; j++) {
		const unsigned half = word[j / 2] >> j % 2 * 16 & 0xffff;
		float v[1];

		load<1>(v, x + i + j);
		v[0] = __fmul_rn(v[0], half >= by.least ? by.scale : 0);
		store<1>(y + i + j, v, add);
	}
}

template <class T>
static void sweep(const struct dtn_call *c, void *y, const void *x, bool add)
{
	const size_t n = dtn_shape_count(c->y->shape);

	LAUNCH(drop<T>, cuda_blocks(n, BLOCK * EACH), BLOCK, 0, (T *)y, (const T *)x, n, c->draw,
	       chance(c), add);
}

static void forward(const struct dtn_call *c)
{
	if (c->training)
		BY_TYPE(c->y->type, sweep, c, c->out, c->x[0], false);
	else
		CUDA(cudaMemcpyAsync(c->out, c->x[0],
				     dtn_shape_count(c->y->shape) * dtn_type_size(c->y->type),
				     cudaMemcpyDeviceToDevice, cuda_stream));
}

static void backward(const struct dtn_call *c)
{
	if (c->dx[0])
		BY_TYPE(c->y->type, sweep, c, c->dx[0], c->dout, c->add[0]);
}

const struct dtn_kernel cuda_dropout = { forward, backward };
