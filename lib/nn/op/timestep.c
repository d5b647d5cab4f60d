/* timestep.c -- rule of timestep: the position encoding of t [Vaswani et al. 2017, section 3.5].
 *
 *      y[n,i] = sin(t[n] f_i),  y[n,C/2+i] = cos(t[n] f_i),  f_i = 10000^(-i / (C/2 - 1))
 *
 * Sines first, and the lowest frequency is exactly 1/10000: as DDPM does, which diffusers calls
 * flip_sin_to_cos = False, freq_shift = 1.  Two channels have the one frequency 1.  t has no
 * gradient. */
#include "lib/nn/graph.h"

static const char *shape(struct dtn_node *y, const struct dtn_node *const x[])
{
	int C = y->attr.timestep.width;

	if (x[0]->shape.rank != 1 || x[0]->type != DTN_I32)
		return "[N] in i32";
	if (C < 2 || C % 2 != 0)
		return "an even width";
	y->shape = (struct dtn_shape){ 2, { x[0]->shape.dim[0], C } };
	return NULL;
}

const struct dtn_rule dtn_rule_timestep = { shape, NULL };
