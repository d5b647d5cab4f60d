/* pad.c -- pad and crop: between an image and the upper left corner of a larger one.
 *
 * Both directions of both ops are two moves: outside in (`place`, with zeros around) and inside out
 * (`take`). */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vec.h"

/* One image's rows, in elements. */
struct frame { size_t images, rows, row, big_rows, big_row; };

static struct frame frame(struct dtn_shape small, struct dtn_shape big)
{
	size_t C = (size_t)small.dim[3];

	return (struct frame){ (size_t)small.dim[0], (size_t)small.dim[1], (size_t)small.dim[2] * C,
			       (size_t)big.dim[1], (size_t)big.dim[2] * C };
}

static INLINE void zero(void *to, size_t begin, size_t end, const int type)
{
	for (size_t i = begin; i < end; i++)
		put(to, i, 0, type);
}

static INLINE void place(void *big, const void *small, struct frame f, bool add,
			 const int big_type, const int small_type)
{
	for (size_t n = 0; n < f.images; n++, big = at_out(big, f.big_rows * f.big_row, big_type)) {
		for (size_t i = 0; i < f.rows; i++, small = at(small, f.row, small_type)) {
			void *to = at_out(big, i * f.big_row, big_type);
			vec_copy(to, small, f.row, add, big_type, small_type);
			if (!add)
				zero(to, f.row, f.big_row, big_type);
		}
		if (!add)
			zero(big, f.rows * f.big_row, f.big_rows * f.big_row, big_type);
	}
}

static INLINE void take(void *small, const void *big, struct frame f, bool add,
			const int small_type, const int big_type)
{
	for (size_t n = 0; n < f.images; n++, big = at(big, f.big_rows * f.big_row, big_type))
		for (size_t i = 0; i < f.rows; i++, small = at_out(small, f.row, small_type))
			vec_copy(small, at(big, i * f.big_row, big_type), f.row, add, small_type,
				 big_type);
}

static void pad_forward(const struct dtn_call *c)
{
	struct frame f = frame(c->in[0]->shape, c->y->shape);

	if (c->y->type == DTN_F32)
		place(c->out, c->x[0], f, false, DTN_F32, DTN_F32);
	else
		place(c->out, c->x[0], f, false, DTN_BF16, DTN_F32);
}

static void pad_backward(const struct dtn_call *c)
{
	struct frame f = frame(c->in[0]->shape, c->y->shape);

	if (!c->dx[0])
		return;
	if (c->y->type == DTN_F32)
		take(c->dx[0], c->dout, f, c->add[0], DTN_F32, DTN_F32);
	else
		take(c->dx[0], c->dout, f, c->add[0], DTN_F32, DTN_BF16);
}

static void crop_forward(const struct dtn_call *c)
{
	struct frame f = frame(c->y->shape, c->in[0]->shape);

	if (c->in[0]->type == DTN_F32)
		take(c->out, c->x[0], f, false, DTN_F32, DTN_F32);
	else
		take(c->out, c->x[0], f, false, DTN_F32, DTN_BF16);
}

static void crop_backward(const struct dtn_call *c)
{
	struct frame f = frame(c->y->shape, c->in[0]->shape);

	if (!c->dx[0])
		return;
	if (c->in[0]->type == DTN_F32)
		place(c->dx[0], c->dout, f, c->add[0], DTN_F32, DTN_F32);
	else
		place(c->dx[0], c->dout, f, c->add[0], DTN_BF16, DTN_F32);
}

const struct dtn_kernel CPU(pad) = { .forward = pad_forward, .backward = pad_backward };
const struct dtn_kernel CPU(crop) = { .forward = crop_forward, .backward = crop_backward };
