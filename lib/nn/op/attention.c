/* attention.c -- rule of attention: softmax over the positions of one image, head by head.
 *
 * Of the C channels, head a has d = C/heads beginning at a d; Q, K, V, O are its [L,d] parts of q,
 * k, v, y, with L = H W positions.
 *
 *      S = Q K' / sqrt(d),  P = softmax of each row of S,  O = P V
 *
 * Saved is only the logarithm of each row's sum of exponentials, lse [N,heads,L] f32: backward gets
 * P = exp(S - lse) back from it.  Gradients [Dao et al. 2022, appendix B.2]:
 *
 *      dV = P' dO,  dP = dO V'
 *      dS = P (dP - D) elementwise, D_i = sum_j P_ij dP_ij = sum_c dO_ic O_ic
 *      dQ = dS K / sqrt(d),  dK = dS' Q / sqrt(d) */
#include "lib/nn/graph.h"

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	struct dtn_shape s = x[0]->shape;
	int heads = y->attr.attention.heads;

	if (s.rank != 4)
		return "[N,H,W,C]";
	for (int i = 1; i < 3; i++)
		if (!dtn_shape_equal(x[i]->shape, s) || x[i]->type != x[0]->type)
			return "equal queries, keys and values";
	if (heads < 1 || s.dim[3] % heads != 0)
		return "heads of equal width";
	y->shape = s;
	return NULL;
}

static size_t saved(const struct dtn_node *y, const struct dtn_node *const x[])
{
	const int *dim = y->shape.dim;

	(void)x;
	return (size_t)dim[0] * (size_t)dim[1] * (size_t)dim[2] * (size_t)y->attr.attention.heads *
	       sizeof(float);
}

const struct dtn_rule dtn_rule_attention = { shape, saved };
