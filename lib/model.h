/* model.h -- what a model file says: the network, the diffusion, and how it was trained.
 *
 * A model file is a stream of kind 2 (man/dtn.5): metadata, then one record per tensor: the weights
 * (role param), their moving average (ema), Adam's moments and the counters.  dtn-sample needs the first
 * two; --resume needs all.
 */
#ifndef DTN_MODEL_H
#define DTN_MODEL_H

#include "format/dtn.h"
#include "lib/diffusion/schedule.h"
#include "lib/nn/unet.h"

struct dtn_model {
	struct dtn_unet unet;
	struct dtn_schedule_config schedule;
	enum dtn_predict predict;
	struct dtn_meta meta;           /* everything the file's metadata says */
	struct dtn_prov prov;
};

/* Write the configuration into metadata (unet.*, ddpm.*, model.*, image.*) and read it back; reading dies with status 3 and
 * "invalid model configuration: …" on anything missing or out of range, before anything is allocated. */
void dtn_model_to_meta(const struct dtn_model *, struct dtn_meta *);
void dtn_model_from_meta(struct dtn_model *, const struct dtn_meta *, const char *name);

/* The flat arrays of a model in the order of its graph's parameters; NULL where not wanted or not there. */
struct dtn_weights {
	float *param, *ema, *m, *v;     /* graph->params elements each */
};

/* Which counters a model has: i64 tensors of role counter. */
struct dtn_counters {
	int64_t step;                   /* optimizer steps done */
	int64_t sample;                 /* training samples drawn, fillers not counted */
	int64_t skipped;                /* steps that were not finite */
};

/* Write a whole model: every parameter node of the graph, by name.  m and v NULL: for sampling only. */
void dtn_model_write(struct dtn_writer *, const struct dtn_model *, const struct dtn_graph *,
		     const struct dtn_weights *, const struct dtn_counters *);

/* Open a model file: configuration only.  Then build the graph and read the weights that are not NULL;
 * every tensor must be there with the right shape, and be finite.  `counters` may be NULL. */
struct dtn_reader *dtn_model_open(struct dtn_model *, const char *path);
void dtn_model_read(struct dtn_reader *, const struct dtn_model *, const struct dtn_graph *,
		    struct dtn_weights *, struct dtn_counters *);
void dtn_model_release(struct dtn_model *);

/* The first 16 hex digits of a hash over configuration and averaged weights: names a model in pictures. */
void dtn_model_hash(char hash[17], const struct dtn_model *, const struct dtn_graph *, const float *weights);

#endif
