/* pad.c -- rule of pad: an image in the upper left corner of a larger one.
 *
 *      y[n,i,j] = x[n,i,j] inside the image, 0 below and to the right of it
 *      dx[n,i,j] = dy[n,i,j]
 *
 * Here images enter the network, so the element type changes from f32 to the graph's. */
#include "lib/nn/graph.h"

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	struct dtn_shape s = x[0]->shape;

	if (s.rank != 4 || x[0]->type != DTN_F32)
		return "[N,H,W,C] in f32";
	if (y->attr.size.height < s.dim[1] || y->attr.size.width < s.dim[2])
		return "an image no larger than the padded one";
	s.dim[1] = y->attr.size.height;
	s.dim[2] = y->attr.size.width;
	y->shape = s;
	return NULL;
}

const struct dtn_rule dtn_rule_pad = { shape, NULL };
