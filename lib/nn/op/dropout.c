/* dropout.c -- rule of dropout [Srivastava et al. 2014], in the form that needs nothing when
 * sampling.
 *
 *      y = x keep / (1 - rate),  keep = 1 with probability 1 - rate, else 0
 *      dx = dy keep / (1 - rate)
 *
 * and y = x when not training.
 *
 * Element i is kept where half i of the generator (seed, DROPOUT, first sample of the slice, node),
 * 16 bits, is at least rate * 2^16; number i/2 gives its lower half to even and its upper half to
 * odd elements.  Backward draws the same numbers again, and nothing is saved. */
#include "lib/nn/graph.h"

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	if (!(y->attr.dropout.rate >= 0 && y->attr.dropout.rate <= 0.999f))
		return "a rate of 0 to 0.999";
	y->shape = x[0]->shape;
	return NULL;
}

const struct dtn_rule dtn_rule_dropout = { shape, NULL };
