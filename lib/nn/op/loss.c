/* loss.c -- rule of loss: how far a prediction is from its target, for each image.
 *
 *      y[n] = mean over the image of l(d),  d = prediction - target
 *      L2: l = d^2            l' = 2 d
 *      L1: l = |d|            l' = sign(d), 0 at 0
 *      Huber, delta 1: l = d^2 / 2 where |d| < 1, else |d| - 1/2;  l' = d held to -1 .. 1
 *      dprediction = dy[n] l'(d) / (H W C)
 *
 * The target has no gradient. */
#include "lib/nn/graph.h"

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	if (x[0]->shape.rank != 4 || !dtn_shape_equal(x[0]->shape, x[1]->shape) ||
	    x[0]->type != DTN_F32 || x[1]->type != DTN_F32)
		return "prediction and target of one shape, in f32";
	y->shape = (struct dtn_shape){ 1, { x[0]->shape.dim[0] } };
	return NULL;
}

const struct dtn_rule dtn_rule_loss = { shape, NULL };
