/* calls.c -- a kernel's calls for one trial, and what is wrong with their results. */
#include "tests/op/harness/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- calls ------------------------------------------------------------------------------------ */

/* All of a call but results and gradients; `garbage` fills scratch and saved memory. */
static struct dtn_call begin(struct trial *t, bool training, int garbage)
{
	struct dtn_call call = { .y = t->y,
				 .training = training,
				 .id = op_id(t->c),
				 .seed = OP_SEED,
				 .index = OP_INDEX };
	const struct dtn_kernel *k = t->kernel;
	const uint64_t draw[2] = { OP_SEED, OP_INDEX };

	memcpy(call.in, t->in, sizeof(call.in));
	if (k->open)
		call.state = k->open(&call);
	for (int i = 0; i < DTN_INPUTS; i++)
		call.x[i] = t->raw[i];
	if (k->packed) {
		void *packed = op_guarded(t, k->packed(&call), garbage);
		k->pack(&call, packed);
		call.packed = packed;
	}
	if (k->scratch)
		call.scratch = op_guarded(t, k->scratch(&call), garbage);
	if (training && t->y->saved.bytes)
		call.saved = op_guarded(t, t->y->saved.bytes, garbage);
	call.out = op_guarded(t, op_bytes(t->y), garbage);
	if (t->backend->queue) {
		void *drawn = op_guarded(t, sizeof(draw), 0);
		op_put(t, drawn, draw, sizeof(draw));
		call.draw = drawn;
		call.seed = call.index = 0;
	}
	return call;
}

static void end(struct trial *t, struct dtn_call *call)
{
	const struct dtn_kernel *k = t->kernel;

	if (call->packed)
		op_give(t, call->packed, k->packed(call), "writes outside its packed weights");
	if (call->scratch)
		op_give(t, call->scratch, k->scratch(call), "writes outside its scratch");
	if (call->saved)
		op_give(t, call->saved, t->y->saved.bytes, "writes outside its saved memory");
	op_give(t, call->out, op_bytes(t->y), "writes outside its result");
	if (call->draw)
		op_give(t, call->draw, 2 * sizeof(*call->draw), "writes outside the seed");
	if (call->state)
		k->close((void *)call->state);
}

/* Backward for the inputs in `wanted` (bits), over `garbage` or added to base[]; results in dx. */
static void backward(struct trial *t, struct dtn_call *call, int wanted, int garbage,
		     double *const base[], void *dx[])
{
	if (call->scratch)
		op_fill(t, call->scratch, garbage, t->kernel->scratch(call));
	call->dout = t->raw_dout;
	for (int i = 0; i < DTN_INPUTS; i++) {
		dx[i] = NULL;
		call->dx[i] = NULL;
		call->add[i] = false;
		if (!op_has_gradient(t, i) || !(wanted & 1 << i))
			continue;
		call->dx[i] = dx[i] = op_guarded(t, op_bytes(t->in[i]), garbage);
		call->add[i] = base && t->c->in[i].kind != 'w';
		if (call->add[i])
			op_put_values(t, dx[i], t->in[i], base[i]);
	}
	t->kernel->backward(call);
}

static void drop(struct trial *t, void *dx[])
{
	for (int i = 0; i < DTN_INPUTS; i++)
		if (dx[i])
			op_give(t, dx[i], op_bytes(t->in[i]), "writes outside a gradient");
}

static const char *const gradient[] = { "gradient of input 0", "gradient of input 1",
					"gradient of input 2", "gradient of input 3" };

static void check_added(struct trial *t, struct dtn_call *call)
{
	double *base[DTN_INPUTS] = { NULL };
	void *dx[DTN_INPUTS];
	char what[100];

	for (int i = 0; i < DTN_INPUTS; i++)
		if (op_has_gradient(t, i)) {
			void *raw;
			op_draw(t, t->in[i], -1, &raw, &base[i]);
			op_give(t, raw, op_bytes(t->in[i]), "");
		}
	backward(t, call, -1, 0xff, base, dx);
	for (int i = 0; i < DTN_INPUTS; i++)
		if (dx[i]) {
			snprintf(what, sizeof(what), "%s, added", gradient[i]);
			op_compare(t, what, dx[i], t->in[i]->type, t->want[i],
				   call->add[i] ? base[i] : NULL, op_count(t->in[i]));
		}
	drop(t, dx);
	for (int i = 0; i < DTN_INPUTS; i++)
		free(base[i]);
}

/* Each gradient alone must have the bits that it has when all are wanted. */
static void check_alone(struct trial *t, struct dtn_call *call, void *const all[])
{
	void *dx[DTN_INPUTS];

	for (int i = 0; i < DTN_INPUTS; i++) {
		if (!all[i])
			continue;
		backward(t, call, 1 << i, 0x7f, NULL, dx);
		op_same(t, "a gradient alone differs from the same with others", all[i], dx[i],
			op_bytes(t->in[i]));
		drop(t, dx);
	}
}

static void check_backward(struct trial *t, struct dtn_call *call)
{
	void *all[DTN_INPUTS], *again[DTN_INPUTS];

	backward(t, call, -1, 0xff, NULL, all);
	backward(t, call, -1, 0x00, NULL, again);
	for (int i = 0; i < DTN_INPUTS; i++)
		if (all[i])
			op_same(t, "a gradient depends on garbage", all[i], again[i],
				op_bytes(t->in[i]));
	drop(t, again);
	check_alone(t, call, all);
	for (int i = 0; i < DTN_INPUTS; i++)
		if (all[i])
			op_compare(t, gradient[i], all[i], t->in[i]->type, t->want[i], NULL,
				   op_count(t->in[i]));
	drop(t, all);
	check_added(t, call);
}

/* --- what is no number ------------------------------------------------------------------------ */

/* The first n elements become NaN. */
static void poison(struct trial *t, void *at, const struct dtn_node *x, size_t n)
{
	double *nan = malloc(n * sizeof(*nan));
	struct dtn_node some = { .type = x->type, .shape = { 1, { (int)n } } };

	for (size_t j = 0; j < n; j++)
		nan[j] = NAN;
	op_put_values(t, at, &some, nan);
	free(nan);
}

static bool all_finite(struct trial *t, const void *at, const struct dtn_node *x)
{
	void *got = op_get(t, at, op_bytes(x));
	bool finite = true;

	for (size_t j = 0; j < op_count(x); j++)
		finite &= isfinite(op_read_value(got, j, x->type));
	free(got);
	return finite;
}

static void repack(struct trial *t, struct dtn_call *call)
{
	if (call->packed)
		t->kernel->pack(call, (void *)call->packed);
}

/* A NaN must never be lost on its way to the loss, or from there to a gradient: a step that went
 * wrong is known by them.  One element is NaN, or all where one may have no effect: it is dropped,
 * or a weight of what lies outside the image. */
static void check_no_number(struct trial *t, struct dtn_call *call)
{
	bool one = t->c->op != DTN_OP_dropout, lost = true;
	void *dx[DTN_INPUTS];

	for (int i = 0; i < DTN_INPUTS; i++) {
		if (!t->in[i] || t->in[i]->type == DTN_I32)
			continue;
		poison(t, t->raw[i], t->in[i],
		       one && t->c->in[i].kind != 'w' ? 1 : op_count(t->in[i]));
		repack(t, call);
		t->kernel->forward(call);
		if (!t->failed && all_finite(t, call->out, t->y))
			t->failed = "an input that is no number leaves no trace";
		op_put_values(t, t->raw[i], t->in[i], t->x[i]);
		repack(t, call);
	}
	t->kernel->forward(call);
	if (t->c->sampling || t->c->op == DTN_OP_timestep)
		return;
	poison(t, t->raw_dout, t->y, one ? 1 : op_count(t->y));
	backward(t, call, -1, 0, NULL, dx);
	for (int i = 0; i < DTN_INPUTS; i++)
		lost &= !dx[i] || all_finite(t, dx[i], t->in[i]);
	if (!t->failed && lost)
		t->failed = "a gradient that is no number leaves no trace";
	drop(t, dx);
	op_put_values(t, t->raw_dout, t->y, t->dout);
}

/* --- all of it -------------------------------------------------------------------------------- */

void op_check(struct trial *t)
{
	struct dtn_call call = begin(t, !t->c->sampling, 0xff), other = begin(t, false, 0x00);
	void *kept, *left;

	t->kernel->forward(&call);
	op_compare(t, "result", call.out, t->y->type, t->out, NULL, op_count(t->y));
	if (t->c->sampling || t->c->op != DTN_OP_dropout) {
		t->kernel->forward(&other);
		op_compare(t, "result when sampling", other.out, t->y->type, t->out, NULL,
			   op_count(t->y));
	}
	kept = op_get(t, call.out, op_bytes(t->y));
	if (!t->c->sampling)
		check_backward(t, &call);
	left = op_get(t, call.out, op_bytes(t->y));
	if (!t->failed && memcmp(kept, left, op_bytes(t->y)) != 0)
		t->failed = "backward changes the result";
	free(kept);
	free(left);
	check_no_number(t, &call);
	end(t, &call);
	end(t, &other);
}
