/* conv.c -- the shape of a convolution.
 *
 *      y[n,i,j,f] = b[f] + residual[n,i,j,f]
 *                 + sum over u,v,c of w[f,c,u,v] x[n, s*i+u-p, s*j+v-p, c]
 *
 * Stride s = 1 pads p = (k-1)/2 on each side; stride 2 pads nothing above and left and one row
 * below and right, as TensorFlow's "same" does for even sizes.  What lies outside the image counts
 * as zero.
 *
 * With dy the gradient of y, the sums over everything that does not stand on the left:
 *
 *      dx[n,a,b,c] = sum w[f,c,u,v] dy[n,i,j,f] where s*i+u-p = a, s*j+v-p = b
 *      dw[f,c,u,v] = sum dy[n,i,j,f] x[n, s*i+u-p, s*j+v-p, c]
 *      db[f]       = sum dy[n,i,j,f]
 *      dresidual   = dy
 */
#include "lib/nn/graph.h"

static bool is(struct dtn_shape s, int rank, int a, int b, int c, int d)
{
	return dtn_shape_equal(s, (struct dtn_shape){ rank, { a, b, c, d } });
}

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	int k = y->attr.conv.k, stride = y->attr.conv.stride;
	struct dtn_shape s = x[0]->shape;
	int K = x[1]->shape.dim[0];

	if (!(k == 1 && stride == 1) && !(k == 3 && (stride == 1 || stride == 2)))
		return "k 1 or 3, stride 1, or 2 with k 3";
	if (s.rank != 4 || s.dim[1] < stride || s.dim[2] < stride)
		return "x [N,H,W,C], H and W not below the stride";
	if (!is(x[1]->shape, 4, K, s.dim[3], k, k) || !is(x[2]->shape, 1, K, 0, 0, 0))
		return "w [K,C,k,k], b [K]";
	y->shape = (struct dtn_shape){ 4, { s.dim[0], s.dim[1] / stride, s.dim[2] / stride, K } };
	if (x[3] && !dtn_shape_equal(x[3]->shape, y->shape))
		return "a residual of the result's shape";
	return NULL;
}

const struct dtn_rule dtn_rule_conv = { .shape = shape };
