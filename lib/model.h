/* model.h -- what a model file says: the network, the diffusion, and how it was trained.
 *
 * A model file is a stream of kind 2 (man/dtn.5): metadata, then one record per tensor: the
 * weights (role param), their moving average (ema), Adam's moments and the counters.  dtn-sample
 * needs one of the first two; --resume needs all.
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

/* --- configuration: lib/model.c --------------------------------------------------------------- */

/* Write the configuration into metadata (unet.*, ddpm.*, model.*, image.*) and read it back;
 * reading dies with status 3 and "NAME: invalid model configuration: ..." on anything missing
 * or out of range, before anything is allocated. */
void dtn_model_to_meta(const struct dtn_model *, struct dtn_meta *);
void dtn_model_from_meta(struct dtn_model *, const struct dtn_meta *, const char *name);

/* Its schedule alone, which a stream of noised samples has, too; reading dies likewise, with
 * "NAME: invalid schedule: ...". */
void dtn_schedule_from_meta(struct dtn_schedule_config *, const struct dtn_meta *,
			    const char *name);

/* Open a model file ("-": standard input): configuration only. */
struct dtn_reader *dtn_model_open(struct dtn_model *, const char *path);
void dtn_model_release(struct dtn_model *);

/* Read it to its end, so that damage is noticed, but keep only its schedule. */
struct dtn_schedule_config dtn_schedule_of_model(const char *path);

/* --- tensors: lib/weights.c ------------------------------------------------------------------- */

/* The flat arrays of a model in the order of its graph's parameters; NULL where not wanted or
 * not there. */
struct dtn_weights {
	float *param, *ema, *m, *v;     /* graph->params elements each */
};

/* Which counters a model has: i64 tensors of role counter. */
struct dtn_counters {
	int64_t step;                   /* optimizer steps done */
	int64_t sample;                 /* training samples drawn, fillers not counted */
	int64_t skipped;                /* steps that were not finite */
};

/* Write a whole model, from HEAD to END: every parameter node of the graph, by name.  param
 * must be there; m and v NULL: for sampling only. */
void dtn_model_write(struct dtn_writer *, const struct dtn_model *, const struct dtn_graph *,
		     const struct dtn_weights *, const struct dtn_counters *);

/* Does the opened model have tensors of this role (DTN_PARAM, DTN_EMA, DTN_ADAM_M, DTN_ADAM_V)? */
bool dtn_model_has(const struct dtn_model *, enum dtn_role);

/* Read to the end of the file: into the arrays that are not NULL, skipping others without
 * decoding them. Every tensor that the configuration implies must be there with the right shape
 * and no other, and what is read must be finite; else death with status 3.  `counters` may be
 * NULL. */
void dtn_model_read(struct dtn_reader *, const struct dtn_model *, const struct dtn_graph *,
		    const struct dtn_weights *, struct dtn_counters *);

/* 16 hex digits that depend on the configuration and on every bit of these weights: names a
 * model in pictures. */
void dtn_model_hash(char hash[17], const struct dtn_model *, const struct dtn_graph *,
		    const float *weights);

#endif
