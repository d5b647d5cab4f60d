/* groupnorm.c -- rule of groupnorm [Wu & He 2018], with the time embedding before and SiLU after
 * it.
 *
 * The C channels are G groups of C/G; a group of one image has M = H W C/G values.  With u = x +
 * shift, where shift [N,C] is the same at all positions,
 *
 *      m = mean of u over the group,  r = 1 / sqrt(variance + eps)
 *      h = (u - m) r,  z = h w + b,  y = z or silu(z)
 *
 * Gradients, with dz = dy or dy silu'(z):
 *
 *      db = sum dz,  dw = sum dz h               over images and positions
 *      dh = dz w
 *      dx = r (dh - mean(dh) - h mean(dh h))     means over the group
 *      dshift = sum dx                           over positions
 *
 * The formula of dx: u moves h directly (r dh), through the mean (every h of the group by -r/M) and
 * through r, since dr/du = -r^2 h / M makes every h' of the group change by -h' h r / M.
 *
 * Saved: m and r, [N,G,2] f32. */
#include "lib/nn/graph.h"

static bool is_vector(const struct dtn_node *p, int C)
{
	return p && p->type == DTN_F32 && p->shape.rank == 1 && p->shape.dim[0] == C;
}

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	struct dtn_shape s = x[0]->shape;
	int C = s.dim[3], groups = y->attr.groupnorm.groups;

	if (s.rank != 4)
		return "[N,H,W,C]";
	if (groups < 1 || C % groups != 0)
		return "groups of equal width";
	if (!is_vector(x[1], C) || !is_vector(x[2], C))
		return "weight and bias [C]";
	if (x[3] && (x[3]->type != DTN_F32 || x[3]->shape.rank != 2 ||
		     x[3]->shape.dim[0] != s.dim[0] || x[3]->shape.dim[1] != C))
		return "a shift [N,C] in f32";
	y->shape = s;
	return NULL;
}

static size_t saved(const struct dtn_node *y, const struct dtn_node *const x[])
{
	(void)x;
	return (size_t)y->shape.dim[0] * (size_t)y->attr.groupnorm.groups * 2 * sizeof(float);
}

const struct dtn_rule dtn_rule_groupnorm = { shape, saved };
