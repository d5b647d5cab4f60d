/* graph.h -- the network and its loss as one graph, for training and for validation. */
#ifndef DTN_TRAINING_GRAPH_H
#define DTN_TRAINING_GRAPH_H

#include "lib/nn/graph.h"
#include "lib/train/settings.h"

/* x [S,H,W,C], t [S], label [S], target [S,H,W,C] -> loss [S]. */
struct dtn_training_graph {
	struct dtn_graph graph;
	dtn_id x, t, label, target, loss;       /* label: -1 without classes */
};

/* Declare it for slices of S images; no memory for it yet.  type: DTN_F32 or DTN_BF16. */
void dtn_training_graph(struct dtn_training_graph *, const struct dtn_settings *, int type, int S);

#endif
