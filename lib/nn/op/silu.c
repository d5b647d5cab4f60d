/* silu.c -- rule of silu, also called swish.
 *
 *      y = x s(x),  s(x) = 1 / (1 + exp(-x)),  s' = s (1 - s)
 *      dx = dy (s + x s (1 - s)) = dy s (1 + x (1 - s)) */
#include "lib/nn/graph.h"

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	y->shape = x[0]->shape;
	return NULL;
}

const struct dtn_rule dtn_rule_silu = { shape, NULL };
