/* crop.c -- rule of crop: the upper left corner of an image.
 *
 *      y[n,i,j] = x[n,i,j]
 *      dx[n,i,j] = dy[n,i,j] inside the corner, 0 below and to the right of it
 *
 * Here predictions leave the network, so the element type changes from the graph's to f32. */
#include "lib/nn/graph.h"

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	struct dtn_shape s = x[0]->shape;

	if (s.rank != 4)
		return "[N,H,W,C]";
	if (y->attr.size.height > s.dim[1] || y->attr.size.width > s.dim[2])
		return "an image no smaller than the cropped one";
	s.dim[1] = y->attr.size.height;
	s.dim[2] = y->attr.size.width;
	y->shape = s;
	return NULL;
}

const struct dtn_rule dtn_rule_crop = { shape, NULL };
