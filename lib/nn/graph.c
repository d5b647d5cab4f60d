/* graph.c -- append nodes to a graph; work out their shapes. */
#include "lib/nn/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	int inputs, reads;
	const struct dtn_rule *rule;
} ops[DTN_OPS] = {
	[DTN_OP_INPUT] = { "input", 0, 0, NULL },
	[DTN_OP_PARAM] = { "param", 0, 0, NULL },
#define OP(name, inputs, reads) [DTN_OP_##name] = { #name, inputs, reads, &dtn_rule_##name },
#define IN(i) (1 << (i))
#define OUT (1 << 7)
#include "lib/nn/op.def"
#undef OP
};

const char *dtn_op_name(enum dtn_opcode op)
{
	return ops[op].name;
}

int dtn_op_reads(enum dtn_opcode op)
{
	return ops[op].reads;
}

void dtn_graph_init(struct dtn_graph *g, int type)
{
	memset(g, 0, sizeof(*g));
	g->type = type;
}

void dtn_graph_release(struct dtn_graph *g)
{
	free(g->node);
	memset(g, 0, sizeof(*g));
}

void dtn_scope(struct dtn_graph *g, const char *format, ...)
{
	va_list args;
	size_t n;

	va_start(args, format);
	vsnprintf(g->scope, sizeof(g->scope) - 1, format, args);
	va_end(args);
	n = strlen(g->scope);
	if (n > 0)
		strcpy(g->scope + n, ".");
}

static struct dtn_node *append(struct dtn_graph *g, enum dtn_opcode op, const char *name)
{
	struct dtn_node *y;

	if (g->n == g->cap) {
		g->cap = g->cap ? 2 * g->cap : 256;
		g->node = dtn_realloc(g->node, (size_t)g->cap, sizeof(*g->node));
	}
	y = &g->node[g->n++];
	memset(y, 0, sizeof(*y));
	y->op = op;
	y->type = g->type;
	if (snprintf(y->name, sizeof(y->name), "%s%s", g->scope, name) >= (int)sizeof(y->name))
		abort();        /* names come from our own layers */
	return y;
}

dtn_id dtn_input(struct dtn_graph *g, const char *name, int type, struct dtn_shape shape)
{
	struct dtn_node *y = append(g, DTN_OP_INPUT, name);

	y->type = type;
	y->shape = shape;
	return g->n - 1;
}

dtn_id dtn_param(struct dtn_graph *g, const char *name, struct dtn_shape shape, float bound,
		 float fill)
{
	struct dtn_node *y = append(g, DTN_OP_PARAM, name);

	y->type = DTN_F32;
	y->shape = shape;
	y->attr.param.bound = bound;
	y->attr.param.fill = fill;
	y->grad = true;
	y->param = g->params;
	g->params += (dtn_shape_count(shape) + 15) / 16 * 16;   /* each starts a cache line */
	return g->n - 1;
}

/* "up_blocks.3.concat: wants equal N,H,W: [8,8,8,256] and [8,4,4,256]" */
static void misfit(const struct dtn_node *y, const struct dtn_node *const x[], const char *wanted)
{
	char found[300] = "";

	for (int i = 0; i < y->inputs; i++)
		if (x[i]) {
			size_t n = strlen(found);
			snprintf(found + n, sizeof(found) - n, "%s%s", i ? " and " : "",
				 dtn_shape_text(x[i]->shape));
		}
	dtn_die(DTN_INPUT, "%s: %s wants %s: %s", y->name, dtn_op_name(y->op), wanted, found);
}

/* Kernels write the gradients of their inputs in an order of their own, and that of a parameter
 * goes straight to its place: a node has another node once as an input, and a parameter alone. */
static void claim(struct dtn_graph *g, const struct dtn_node *y)
{
	for (int i = 0; i < y->inputs; i++) {
		struct dtn_node *x = y->in[i] >= 0 ? &g->node[y->in[i]] : NULL;
		bool taken = x && x->op == DTN_OP_PARAM && x->taken;

		if (!x || !x->grad)
			continue;
		for (int k = 0; k < i; k++)
			taken |= y->in[k] == y->in[i];
		if (taken)
			dtn_die(DTN_ENV, "%s: would lose a gradient of %s, which two inputs have",
				y->name, x->name);
		x->taken = true;
	}
}

/* Images and times come in as f32, and so do predictions and losses leave; between, the graph
 * decides. */
static int result_type(const struct dtn_graph *g, enum dtn_opcode op, const struct dtn_node *x)
{
	switch (op) {
	case DTN_OP_pad: return g->type;
	case DTN_OP_crop:
	case DTN_OP_loss:
	case DTN_OP_timestep: return DTN_F32;
	default: return x->type;
	}
}

dtn_id dtn_apply(struct dtn_graph *g, enum dtn_opcode op, const char *name, union dtn_attr attr,
		 const dtn_id in[], int inputs)
{
	struct dtn_node *y = append(g, op, name);
	const struct dtn_node *x[DTN_INPUTS] = { NULL };
	const char *wanted;

	if (inputs > ops[op].inputs)
		abort();
	y->attr = attr;
	y->inputs = inputs;
	for (int i = 0; i < DTN_INPUTS; i++) {
		y->in[i] = i < inputs ? in[i] : -1;
		if (y->in[i] >= 0) {
			x[i] = &g->node[y->in[i]];
			y->grad |= x[i]->grad;
		}
	}
	y->type = result_type(g, op, x[0]);
	wanted = ops[op].rule->shape(y, x);
	if (wanted)
		misfit(y, x, wanted);
	claim(g, y);
	if (ops[op].rule->saved)
		y->saved.bytes = ops[op].rule->saved(y, x);
	return g->n - 1;
}
