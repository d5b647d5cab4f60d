/* concat.c -- rule of concat: the channels of two images side by side.
 *
 *      y[n,i,j] = a[n,i,j] followed by b[n,i,j]
 *      da, db: the two parts of dy */
#include "lib/nn/graph.h"

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	struct dtn_shape a = x[0]->shape, b = x[1]->shape;

	if (a.rank != 4 || b.rank != 4 || a.dim[0] != b.dim[0] || a.dim[1] != b.dim[1] ||
	    a.dim[2] != b.dim[2] || x[0]->type != x[1]->type)
		return "equal N,H,W";
	y->shape = a;
	y->shape.dim[3] = a.dim[3] + b.dim[3];
	return NULL;
}

const struct dtn_rule dtn_rule_concat = { shape, NULL };
