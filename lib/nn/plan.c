/* plan.c -- when is each buffer needed, and where does it live?
 *
 * A step is a number: node i is computed at step i, the gradients of its inputs at step 2n-1-i.
 *
 *      step     0    1    2  ...  n-1 | n  ...  2n-2  2n-1
 *      forward  n0   n1   n2      n-1 |
 *      backward                       | n-1      n1    n0
 *
 * A value lives from its own step to its last reader, which is a later node's forward step or,
 * where op.def says that backward looks at it, that node's backward step.  A gradient lives from
 * the first backward step that writes it, which is the last node's that uses the value, to the
 * node's own.  Then the largest buffers are placed first, each at the lowest offset that no buffer
 * of the same time covers.
 */
#include "lib/nn/plan.h"

#include <stdlib.h>
#include <string.h>

static size_t round_up(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

static size_t value_bytes(const struct dtn_node *x)
{
	return round_up(dtn_shape_count(x->shape) * dtn_type_size(x->type));
}

static void never(struct dtn_span *s)
{
	s->first = s->last = -1;
	s->offset = 0;
}

static void until(struct dtn_span *s, int step)
{
	if (step > s->last)
		s->last = step;
}

static void live_forward(struct dtn_graph *g, dtn_id target)
{
	int end = 2 * g->n;

	for (dtn_id i = 0; i < g->n; i++) {
		struct dtn_node *y = &g->node[i];

		never(&y->value);
		never(&y->gradient);
		never(&y->saved);
		if (y->op == DTN_OP_PARAM)
			continue;               /* parameters live outside the arena */
		y->value.bytes = value_bytes(y);
		/* inputs are all written before the first step */
		y->value.first = y->op == DTN_OP_INPUT ? 0 : i;
		y->value.last = i == target ? end : i;
		for (int k = 0; k < y->inputs; k++)
			if (y->in[k] >= 0 && g->node[y->in[k]].op != DTN_OP_PARAM)
				until(&g->node[y->in[k]].value, i);
		if (y->saved.bytes > 0) {
			y->saved.bytes = round_up(y->saved.bytes);
			y->saved.first = i;
			/* a kernel may write it even when nobody reads it */
			y->saved.last = i;
		}
	}
}

/* Which nodes does a gradient flow through?  Those that lead from a parameter to the target. */
static bool *on_the_way(const struct dtn_graph *g, dtn_id target)
{
	bool *way = dtn_alloc((size_t)g->n, sizeof(*way));

	way[target] = true;
	for (dtn_id i = target; i >= 0; i--)
		if (way[i])
			for (int k = 0; k < g->node[i].inputs; k++)
				if (g->node[i].in[k] >= 0 && g->node[g->node[i].in[k]].grad)
					way[g->node[i].in[k]] = true;
	return way;
}

static void live_backward(struct dtn_graph *g, dtn_id target)
{
	bool *way = on_the_way(g, target);

	for (dtn_id i = target; i >= 0; i--) {
		struct dtn_node *y = &g->node[i];
		int step = 2 * g->n - 1 - i, reads = dtn_op_reads(y->op);

		if (!way[i] || y->op == DTN_OP_PARAM || y->op == DTN_OP_INPUT)
			continue;
		if (y->gradient.last < 0)       /* the target: its gradient comes from the caller */
			y->gradient.first = g->n;
		y->gradient.bytes = value_bytes(y);
		y->gradient.last = step;
		if (reads & 1 << 7)
			until(&y->value, step);
		if (y->saved.bytes > 0)
			y->saved.last = step;
		for (int k = 0; k < y->inputs; k++) {
			struct dtn_node *x = y->in[k] >= 0 ? &g->node[y->in[k]] : NULL;

			if (!x || x->op == DTN_OP_PARAM)
				continue;
			if (reads & 1 << k)
				until(&x->value, step);
			if (x->grad && x->op != DTN_OP_INPUT && x->gradient.last < 0) {
				x->gradient.first = step;
				x->gradient.last = step;
			}
		}
	}
	free(way);
}

struct list { struct dtn_span **span; int n; };

static struct list collect(const struct dtn_graph *g)
{
	struct list l = { dtn_alloc(3 * (size_t)g->n, sizeof(*l.span)), 0 };

	for (dtn_id i = 0; i < g->n; i++) {
		struct dtn_span *s[] = { &g->node[i].value, &g->node[i].gradient,
					 &g->node[i].saved };
		for (int k = 0; k < 3; k++)
			if (s[k]->last >= 0 && s[k]->bytes > 0)
				l.span[l.n++] = s[k];
	}
	return l;
}

static int larger_first(const void *a, const void *b)
{
	const struct dtn_span *x = *(struct dtn_span *const *)a, *y = *(struct dtn_span *const *)b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->last - y->last;
}

static bool meet(const struct dtn_span *a, const struct dtn_span *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset where `s` covers none of the placed[n], which are sorted by offset. */
static size_t lowest(const struct dtn_span *s, struct dtn_span *const placed[], int n)
{
	size_t at = 0;

	for (int i = 0; i < n; i++) {
		if (!meet(s, placed[i]))
			continue;
		if (at + s->bytes <= placed[i]->offset)
			break;
		if (placed[i]->offset + placed[i]->bytes > at)
			at = placed[i]->offset + placed[i]->bytes;
	}
	return at;
}

static size_t place(struct list l)
{
	struct dtn_span **placed = dtn_alloc((size_t)l.n, sizeof(*placed));
	size_t arena = 0;

	qsort(l.span, (size_t)l.n, sizeof(*l.span), larger_first);
	for (int i = 0; i < l.n; i++) {
		struct dtn_span *s = l.span[i];
		int at = i;

		s->offset = lowest(s, placed, i);
		while (at > 0 && placed[at - 1]->offset > s->offset)
			at--;
		memmove(&placed[at + 1], &placed[at], (size_t)(i - at) * sizeof(*placed));
		placed[at] = s;
		if (s->offset + s->bytes > arena)
			arena = s->offset + s->bytes;
	}
	free(placed);
	return arena;
}

size_t dtn_plan(struct dtn_graph *g, dtn_id target, bool training)
{
	struct list l;
	size_t arena;

	live_forward(g, target);
	if (training)
		live_backward(g, target);
	l = collect(g);
	arena = place(l);
	free(l.span);
	return arena;
}

size_t dtn_plan_bound(const struct dtn_graph *g)
{
	struct list l = collect(g);
	size_t most = 0;

	for (int step = 0; step <= 2 * g->n; step++) {
		size_t now = 0;
		for (int i = 0; i < l.n; i++)
			if (l.span[i]->first <= step && step <= l.span[i]->last)
				now += l.span[i]->bytes;
		if (now > most)
			most = now;
	}
	free(l.span);
	return most;
}
