/* linear.c -- the shape of a linear map of the innermost dimension.
 *
 *      y[r,f] = b[f] + residual[r,f] + sum over c of w[f,c] x[r,c]     for every row r
 *
 *      dx[r,c] = sum over f of w[f,c] dy[r,f]
 *      dw[f,c] = sum over r of dy[r,f] x[r,c]
 *      db[f]   = sum over r of dy[r,f]
 *      dresidual = dy
 */
#include "lib/nn/graph.h"

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	struct dtn_shape s = x[0]->shape, w = x[1]->shape;
	int last = s.rank - 1;

	if (s.rank < 1)
		return "x [...,C]";
	if (w.rank != 2 || w.dim[1] != s.dim[last])
		return "w [K,C]";
	if (!dtn_shape_equal(x[2]->shape, (struct dtn_shape){ 1, { w.dim[0] } }))
		return "b [K]";
	y->shape = s;
	y->shape.dim[last] = w.dim[0];
	if (x[3] && !dtn_shape_equal(x[3]->shape, y->shape))
		return "a residual of the result's shape";
	return NULL;
}

const struct dtn_rule dtn_rule_linear = { .shape = shape };
