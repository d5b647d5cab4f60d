/* linear_attention.c -- rule of linear_attention: attention whose cost grows with the number of
 * positions, not with its square [Katharopoulos et al. 2020].
 *
 * Of the C channels, head a has d = C/heads beginning at a d; Q, K, V, O are its [L,d] parts of q,
 * k, v, y, with L = H W positions.  With the feature map
 *
 *      f(x) = elu(x) + 1 = x + 1 where x > 0, else exp(x)          F = f(Q), E = f(K)  [L,d]
 *
 * position i weighs position j by F_i.E_j / sum over l of F_i.E_l, so that
 *
 *      M = E' V [d,d],  z = sum of the rows of E [d]               eqs. 5 and 6
 *      N = F M,  D_i = F_i.z,  O_i = N_i / D_i
 *
 * exp(x) is held at e^-30 below: else the weights of a row could all become zero.
 *
 * Nothing is saved: M and z are cheap to make again.  Gradients, with G = dO M' [L,d] and
 * s_i = dO_i.O_i = F_i.G_i / D_i, which does not need O:
 *
 *      dF_i = (G_i - s_i z) / D_i,     dM = F' (dO / D),  dz = - sum over i of F_i s_i / D_i
 *      dE = V dM' + dz,  dV = E dM
 *      dQ = dF f'(Q),  dK = dE f'(K),  f'(x) = min(f(x), 1), and 0 where f is held */
#include "lib/nn/graph.h"

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	return dtn_rule_attention.shape(y, x);
}

const struct dtn_rule dtn_rule_linear_attention = { shape, NULL };
