/* loss.cu -- distance between prediction and target, image by image.
 *
 *      forward    one block an image: its threads take every 512th number, sums in f64
 *      backward   a thread a number:  dprediction = dy l'(a - b) / n
 *
 * Bytes: both images read once, and backward the gradient written.  One block an image leaves much
 * of a GPU idle, but an image is small next to a layer. */
#include "kernels/cuda/cuda.h"

enum { BLOCK = 512 };

DEVICE float distance(float d, int kind)
{
	const float a = fabsf(d);

	if (kind == DTN_L2)
		return d * d;
	if (kind == DTN_L1)
		return a;
	return a < 1 ? 0.5f * d * d : a - 0.5f;
}

/* NaN and 0 stay. */
DEVICE float slope(float d, int kind)
{
	if (kind == DTN_L2)
		return 2 * d;
	if (kind == DTN_L1)
		return d > 0 ? 1 : d < 0 ? -1 : d;
	return d > 1 ? 1 : d < -1 ? -1 : d;
}

__global__ void mean(float *y, const float *a, const float *b, size_t each, int kind)
{
	SHARED(double, part, [WARP]);
	const size_t first = (size_t)blockIdx.x * each;
	double sum = 0;

	for (size_t i = threadIdx.x; i < each; i += BLOCK)
		sum += (double)distance(a[first + i] - b[first + i], kind);
	sum = block_sum(sum, part);
	if (threadIdx.x == 0)
		y[blockIdx.x] = (float)(sum / (double)each);
}

__global__ void down(float *da, const float *dy, const float *a, const float *b, size_t each,
		     int kind, bool add)
{
	const size_t i = (size_t)blockIdx.x * BLOCK + threadIdx.x;
	const size_t at = (size_t)blockIdx.y * each + i;
	float d;

	if (i >= each)
		return;
	d = dy[blockIdx.y] / (float)each * slope(a[at] - b[at], kind);
	da[at] = add ? da[at] + d : d;
}

static void forward(const struct dtn_call *c)
{
	const unsigned N = (unsigned)c->y->shape.dim[0];

	LAUNCH(mean, N, BLOCK, 0, (float *)c->out, (const float *)c->x[0], (const float *)c->x[1],
	       dtn_shape_count(c->in[0]->shape) / N, (int)c->y->attr.loss.kind);
}

static void backward(const struct dtn_call *c)
{
	const unsigned N = (unsigned)c->y->shape.dim[0];
	const size_t each = dtn_shape_count(c->in[0]->shape) / N;

	if (c->dx[0])
		LAUNCH(down, dim3(cuda_blocks(each, BLOCK), N), BLOCK, 0, (float *)c->dx[0],
		       (const float *)c->dout, (const float *)c->x[0], (const float *)c->x[1], each,
		       (int)c->y->attr.loss.kind, c->add[0]);
}

const struct dtn_kernel cuda_loss = { forward, backward };
