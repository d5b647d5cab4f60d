/* upsample.c -- rule of upsample: every pixel becomes a square of four.
 *
 *      y[n,i,j] = x[n,i/2,j/2]
 *      dx[n,i,j] = dy[n,2i,2j] + dy[n,2i,2j+1] + dy[n,2i+1,2j] + dy[n,2i+1,2j+1] */
#include "lib/nn/graph.h"

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	if (x[0]->shape.rank != 4)
		return "[N,H,W,C]";
	y->shape = x[0]->shape;
	y->shape.dim[1] *= 2;
	y->shape.dim[2] *= 2;
	return NULL;
}

const struct dtn_rule dtn_rule_upsample = { shape, NULL };
