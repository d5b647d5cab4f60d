/* pad.cu -- pad and crop: between an image and the upper left corner of a larger one.
 *
 * Both directions of both ops are two moves: outside in (`place`, with zeros around) and inside out
 * (`take`).  A thread has one number; blocks are laid over the rows of the larger image for
 * `place`, of the smaller for `take`:
 *
 *      +-------------+------+      x: blocks along a row [W' C]
 *      | small [H,W] | 0    |      y: rows
 *      +-------------+      |      z: images
 *      | 0                  |
 *      +--------------------+ [H',W']
 *
 * Bytes: both images once.  Images have few channels next to the layers within, so no more is
 * asked of this. */
#include "kernels/cuda/cuda.h"

enum { BLOCK = 128 };

/* One image's rows, in elements. */
struct frame { unsigned images, rows, row, big_rows, big_row; };

static struct frame frame(struct dtn_shape small, struct dtn_shape big)
{
	const unsigned C = (unsigned)small.dim[3];

	return { (unsigned)small.dim[0], (unsigned)small.dim[1], (unsigned)small.dim[2] * C,
		 (unsigned)big.dim[1], (unsigned)big.dim[2] * C };
}

template <class B, class S>
__global__ void place_all(B *big, const S *small, struct frame f, bool add)
{
	const unsigned i = blockIdx.x * BLOCK + threadIdx.x, r = blockIdx.y, n = blockIdx.z;
	const bool inside = r < f.rows && i < f.row;
	float v[1] = { 0 };

	if (i >= f.big_row || (add && !inside))
		return;
	if (inside)
		load<1>(v, small + ((size_t)n * f.rows + r) * f.row + i);
	store<1>(big + ((size_t)n * f.big_rows + r) * f.big_row + i, v, add);
}

template <class S, class B>
__global__ void take_all(S *small, const B *big, struct frame f, bool add)
{
	const unsigned i = blockIdx.x * BLOCK + threadIdx.x, r = blockIdx.y, n = blockIdx.z;
	float v[1];

	if (i >= f.row)
		return;
	load<1>(v, big + ((size_t)n * f.big_rows + r) * f.big_row + i);
	store<1>(small + ((size_t)n * f.rows + r) * f.row + i, v, add);
}

template <class B> static void place(void *big, const void *small, struct frame f, bool add)
{
	const dim3 grid(cuda_blocks(f.big_row, BLOCK), f.big_rows, f.images);

	LAUNCH((place_all<B, float>), grid, BLOCK, 0, (B *)big, (const float *)small, f, add);
}

template <class B> static void take(void *small, const void *big, struct frame f, bool add)
{
	const dim3 grid(cuda_blocks(f.row, BLOCK), f.rows, f.images);

	LAUNCH((take_all<float, B>), grid, BLOCK, 0, (float *)small, (const B *)big, f, add);
}

static void pad_forward(const struct dtn_call *c)
{
	BY_TYPE(c->y->type, place, c->out, c->x[0], frame(c->in[0]->shape, c->y->shape), false);
}

static void pad_backward(const struct dtn_call *c)
{
	if (c->dx[0])
		BY_TYPE(c->y->type, take, c->dx[0], c->dout,
			frame(c->in[0]->shape, c->y->shape), c->add[0]);
}

static void crop_forward(const struct dtn_call *c)
{
	BY_TYPE(c->in[0]->type, take, c->out, c->x[0], frame(c->y->shape, c->in[0]->shape), false);
}

static void crop_backward(const struct dtn_call *c)
{
	if (c->dx[0])
		BY_TYPE(c->in[0]->type, place, c->dx[0], c->dout,
			frame(c->y->shape, c->in[0]->shape), c->add[0]);
}

const struct dtn_kernel cuda_pad = { pad_forward, pad_backward };
const struct dtn_kernel cuda_crop = { crop_forward, crop_backward };
