/* call.h -- what running a net and making one have in common. */
#ifndef DTN_CALL_H
#define DTN_CALL_H

#include "lib/nn/run.h"

static inline float *parameter(const struct dtn_net *net, const struct dtn_node *x)
{
	return net->param + x->param;
}

static inline const struct dtn_kernel *kernel(const struct dtn_net *net, dtn_id i)
{
	return net->backend->kernel[net->graph->node[i].op];
}

/* The parts of a call that shapes alone decide: enough for open, scratch and packed. */
static inline struct dtn_call describe(const struct dtn_net *net, dtn_id i)
{
	const struct dtn_node *node = net->graph->node, *y = &node[i];
	struct dtn_call c = { .y = y, .id = i, .training = net->training };

	for (int k = 0; k < y->inputs; k++)
		if (y->in[k] >= 0)
			c.in[k] = &node[y->in[k]];
	c.state = net->state ? net->state[i] : NULL;
	return c;
}

#endif
