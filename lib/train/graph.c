/* graph.c -- the network and its loss as one graph, for training and for validation. */
#include "lib/train/graph.h"

#include "lib/nn/layer.h"

void dtn_training_graph(struct dtn_training_graph *g, const struct dtn_settings *s, int type, int S)
{
	const struct dtn_unet *u = &s->unet;
	const struct dtn_shape images = { 4, { S, u->height, u->width, u->colours } };
	dtn_id prediction;

	dtn_graph_init(&g->graph, type);
	g->x = dtn_input(&g->graph, "x", DTN_F32, images);
	g->t = dtn_input(&g->graph, "t", DTN_I32, (struct dtn_shape){ 1, { S } });
	g->target = dtn_input(&g->graph, "target", DTN_F32, images);
	g->label = dtn_unet_label(&g->graph, u, S);
	prediction = dtn_unet(&g->graph, u, g->x, g->t, g->label);
	g->loss = dtn_loss(&g->graph, prediction, g->target, s->loss);
}
