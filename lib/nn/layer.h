/* layer.h -- an operation together with its parameters.
 *
 * Parameters are named "SCOPE.NAME.weight" and "SCOPE.NAME.bias", as diffusers' UNet2DModel names
 * them. C does not order the evaluation of arguments: never call two of these in one argument
 * list. */
#ifndef DTN_LAYER_H
#define DTN_LAYER_H

#include "lib/nn/graph.h"

/* [N,H,W,C] -> [N,H/stride,W/stride,K]; k 1 or 3.  residual: added to the result, or -1. */
dtn_id dtn_conv(struct dtn_graph *, const char *name, dtn_id x, dtn_id residual, int K, int k,
		int stride);
dtn_id dtn_linear(struct dtn_graph *, const char *name, dtn_id x, dtn_id residual, int K);

/* shift [N,C] f32 is added to x before the norm (the time embedding), or -1. */
dtn_id dtn_groupnorm(struct dtn_graph *, const char *name, dtn_id x, dtn_id shift, int groups,
		     bool silu);

dtn_id dtn_silu(struct dtn_graph *, dtn_id x);
dtn_id dtn_attention(struct dtn_graph *, dtn_id q, dtn_id k, dtn_id v, int heads);
dtn_id dtn_linear_attention(struct dtn_graph *, dtn_id q, dtn_id k, dtn_id v, int heads);
dtn_id dtn_concat(struct dtn_graph *, dtn_id a, dtn_id b);
dtn_id dtn_upsample(struct dtn_graph *, dtn_id x);
dtn_id dtn_dropout(struct dtn_graph *, dtn_id x, float rate);          /* rate 0: x itself */
dtn_id dtn_timestep(struct dtn_graph *, dtn_id t, int width);

/* x [N,C] f32 plus rows of a table [R,C] "SCOPE.weight", chosen by row [N] i32, each 0 .. R-1. */
dtn_id dtn_embedding(struct dtn_graph *, dtn_id x, dtn_id row, int R);

dtn_id dtn_pad(struct dtn_graph *, dtn_id x, int height, int width);
dtn_id dtn_crop(struct dtn_graph *, dtn_id x, int height, int width);
dtn_id dtn_loss(struct dtn_graph *, dtn_id prediction, dtn_id target, enum dtn_loss_kind);

#endif
