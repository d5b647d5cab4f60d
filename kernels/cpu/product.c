/* product.c -- an engine's product as an op: element types, residual, gradients.
 *
 * Where the processor has no bf16 multiplication, a node in bf16 is computed in f32 on copies of
 * its operands, and only its result is rounded.  The scratch of a call holds the copies first:
 *
 *      | x or dx | y or dy | residual, dw or db that nobody wants | scratch of the engine
 */
#include "kernels/cpu/product.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/vec.h"

#include <stdlib.h>
#include <string.h>

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t count(const struct dtn_node *x)
{
	return dtn_shape_count(x->shape);
}

/* --- element types --------------------------------------------------------------------------- */

void CPU(product_store)(void *to, int type, const void *from, int from_type, size_t n, bool add)
{
	if (type == from_type && !add)
		memcpy(to, from, n * dtn_type_size(type));
	else if (type == DTN_F32)
		BY_TYPE(from_type, vec_copy, to, from, n, add, DTN_F32);
	else
		BY_TYPE(from_type, vec_copy, to, from, n, add, DTN_BF16);
}

/* `x` in the type `want`, converted into `room` where it has the other one. */
static const void *as(int want, const void *x, int type, size_t n, void *room)
{
	if (type == want)
		return x;
	CPU(product_store)(room, want, x, type, n, false);
	return room;
}

/* --- forward --------------------------------------------------------------------------------- */

/* Where the copies lie in the scratch of a call. */
struct rooms { char *x, *y, *rest, *engine; };

static struct rooms rooms(const struct dtn_call *c, const struct product *p)
{
	char *x = c->scratch, *y = x + p->x_bytes, *rest = y + p->y_bytes;

	return (struct rooms){ x, y, rest, rest + p->rest_bytes };
}

static struct weights weights(const struct dtn_call *c)
{
	return (struct weights){ c->x[1], c->packed };
}

void CPU(product_forward)(const struct dtn_call *c)
{
	const struct product *p = c->state;
	struct rooms room = rooms(c, p);
	size_t n = count(c->y);
	const void *x = as(p->type, c->x[0], c->in[0]->type, count(c->in[0]), room.x);
	const void *residual = c->in[3] ? as(p->type, c->x[3], c->in[3]->type, n, room.rest) : NULL;
	void *y = c->y->type == p->type ? c->out : room.y;

	p->engine->forward(p, x, weights(c), c->x[2], residual, y, room.engine);
	if (y != c->out)
		CPU(product_store)(c->out, c->y->type, y, p->type, n, false);
}

/* --- backward -------------------------------------------------------------------------------- */

static void backward_x(const struct dtn_call *c, const struct product *p, const void *dy,
		       struct rooms room)
{
	int type = c->in[0]->type;

	if (type == p->type) {
		p->engine->by_data(p, dy, weights(c), c->dx[0], c->add[0], room.engine);
		return;
	}
	p->engine->by_data(p, dy, weights(c), room.x, false, room.engine);
	CPU(product_store)(c->dx[0], type, room.x, p->type, count(c->in[0]), c->add[0]);
}

static void backward_w(const struct dtn_call *c, const struct product *p, const void *dy,
		       struct rooms room)
{
	const void *x = as(p->type, c->x[0], c->in[0]->type, count(c->in[0]), room.x);
	float *dw = c->dx[1] ? c->dx[1] : (float *)room.rest;
	float *db = c->dx[2] ? c->dx[2] : (float *)room.rest + (c->dx[1] ? 0 : count(c->in[1]));

	p->engine->by_weights(p, x, dy, dw, db, room.engine);
}

void CPU(product_backward)(const struct dtn_call *c)
{
	const struct product *p = c->state;
	struct rooms room = rooms(c, p);
	size_t n = count(c->y);
	const void *dy = as(p->type, c->dout, c->y->type, n, room.y);

	if (c->dx[3])
		CPU(product_store)(c->dx[3], c->in[3]->type, c->dout, c->y->type, n, c->add[3]);
	if (c->dx[0])
		backward_x(c, p, dy, room);
	if (c->dx[1] || c->dx[2])
		backward_w(c, p, dy, room);
}

/* --- the rest of a kernel -------------------------------------------------------------------- */

static size_t copy_bytes(const struct product *p, const struct dtn_node *x)
{
	return x && x->type != p->type ? round64(count(x) * sizeof(float)) : 0;
}

int CPU(product_type)(const struct dtn_call *c)
{
	bool bf16 = c->in[0]->type == DTN_BF16 && c->y->type == DTN_BF16;

	return bf16 && CPU(onednn_bf16)() ? DTN_BF16 : DTN_F32;
}

void *CPU(product_open)(const struct dtn_call *c, struct product described,
			const struct engine *engine)
{
	struct product *p = dtn_alloc(1, sizeof(*p));
	size_t unwanted = round64((count(c->in[1]) + count(c->in[2])) * sizeof(float));

	*p = described;
	p->training = c->training;
	p->engine = engine;
	p->x_bytes = copy_bytes(p, c->in[0]);
	p->y_bytes = copy_bytes(p, c->y);
	p->rest_bytes = larger(copy_bytes(p, c->in[3]), p->training ? unwanted : 0);
	engine->open(p);
	return p;
}

void CPU(product_close)(void *state)
{
	struct product *p = state;

	p->engine->close(p);
	free(p);
}

size_t CPU(product_scratch)(const struct dtn_call *c)
{
	const struct product *p = c->state;

	return p->x_bytes + p->y_bytes + p->rest_bytes + p->scratch_bytes;
}

size_t CPU(product_packed)(const struct dtn_call *c)
{
	return ((const struct product *)c->state)->packed_bytes;
}

void CPU(product_pack)(const struct dtn_call *c, void *packed)
{
	const struct product *p = c->state;

	if (p->engine->pack)
		p->engine->pack(p, c->x[1], packed);
}
