/* adopt.c -- begin with the weights of another model. */
#include "lib/train/adopt.h"

#include <stdlib.h>
#include <string.h>

static const struct dtn_node *find(const struct dtn_graph *g, const char *name)
{
	for (dtn_id i = 0; i < g->n; i++)
		if (g->node[i].op == DTN_OP_PARAM && !strcmp(g->node[i].name, name))
			return &g->node[i];
	return NULL;
}

static void copy(const struct dtn_node *to, float *param, const struct dtn_node *from,
		 const float *theirs, const char *name)
{
	size_t bytes = dtn_shape_count(to->shape) * sizeof(float);

	if (!from && strcmp(to->name, "class_embedding.weight") != 0)
		dtn_die(DTN_INPUT, "%s: tensor \"%s\" missing", name, to->name);
	if (from && !dtn_shape_equal(from->shape, to->shape))
		dtn_die(DTN_INPUT, "%s: tensor \"%s\" has shape %s, expected %s", name, to->name,
			dtn_shape_text(from->shape), dtn_shape_text(to->shape));
	if (from)
		memcpy(param + to->param, theirs + from->param, bytes);
	else
		memset(param + to->param, 0, bytes);
}

void dtn_adopt(const struct dtn_graph *g, float *param, struct dtn_reader *r,
	       const struct dtn_model *from)
{
	const char *name = dtn_reader_name(r);
	struct dtn_weights into = { 0 };
	struct dtn_graph other;
	float *theirs;

	/* The network it has, with more or fewer weights than are wanted. */
	dtn_unet_graph(&other, &from->unet);
	theirs = dtn_alloc(other.params, sizeof(*theirs));
	*(dtn_model_has(from, DTN_EMA) ? &into.ema : &into.param) = theirs;
	dtn_model_read(r, from, &other, &into, NULL);
	for (dtn_id i = 0; i < g->n; i++)
		if (g->node[i].op == DTN_OP_PARAM)
			copy(&g->node[i], param, find(&other, g->node[i].name), theirs, name);
	free(theirs);
	dtn_graph_release(&other);
}
