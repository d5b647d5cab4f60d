/* embedding.c -- rule of embedding: a row of a table for each image, added to what is there.
 *
 *      y[n] = x[n] + table[row[n]]
 *      dx[n] = dy[n]
 *      dtable[r] = sum of dy[n] over the images with row[n] = r; 0 for rows that none has
 *
 * The rows have no gradient.  They are trusted to be 0 .. R-1: whoever writes them checks. */
#include "lib/nn/graph.h"

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	struct dtn_shape s = x[0]->shape, table = x[1]->shape;

	if (s.rank != 2 || x[0]->type != DTN_F32)
		return "x [N,C] in f32";
	if (table.rank != 2 || table.dim[1] != s.dim[1])
		return "a table [R,C]";
	if (x[2]->type != DTN_I32 ||
	    !dtn_shape_equal(x[2]->shape, (struct dtn_shape){ 1, { s.dim[0] } }))
		return "rows [N] in i32";
	y->shape = s;
	return NULL;
}

const struct dtn_rule dtn_rule_embedding = { shape, NULL };
