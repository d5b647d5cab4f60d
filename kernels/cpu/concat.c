/* concat.c -- channels of two images side by side, and apart again. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vec.h"

#include <string.h>

static void forward(const struct dtn_call *c)
{
	const struct dtn_node *a = c->in[0], *b = c->in[1];
	size_t size = dtn_type_size(c->y->type);
	size_t as = (size_t)a->shape.dim[3] * size, bs = (size_t)b->shape.dim[3] * size;
	size_t positions = dtn_shape_count(c->y->shape) / (size_t)c->y->shape.dim[3];
	const char *from = c->x[0], *also = c->x[1];
	char *to = c->out;

	for (size_t p = 0; p < positions; p++, to += as + bs, from += as, also += bs) {
		memcpy(to, from, as);
		memcpy(to + as, also, bs);
	}
}

/* dx [P,C] from channels offset .. offset+C of dy [P,K]. */
static INLINE void part(void *dx, const void *dy, size_t P, size_t C, size_t K, size_t offset,
			bool add, const int type)
{
	for (size_t p = 0; p < P; p++)
		vec_copy(at_out(dx, p * C, type), at(dy, p * K + offset, type), C, add, type, type);
}

static void backward(const struct dtn_call *c)
{
	size_t K = (size_t)c->y->shape.dim[3], P = dtn_shape_count(c->y->shape) / K, offset = 0;

	for (int i = 0; i < 2; i++) {
		size_t C = (size_t)c->in[i]->shape.dim[3];
		if (c->dx[i])
			BY_TYPE(c->y->type, part, c->dx[i], c->dout, P, C, K, offset, c->add[i]);
		offset += C;
	}
}

const struct dtn_kernel CPU(concat) = { .forward = forward, .backward = backward };
