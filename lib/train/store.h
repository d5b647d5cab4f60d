/* store.h -- where a training's state is kept: MODEL when it is complete, MODEL.ckpt until then. */
#ifndef DTN_STORE_H
#define DTN_STORE_H

#include "lib/train/step.h"

struct dtn_store {
	const char *target;
	char *checkpoint, *best;        /* NULL where the target is no regular file */
	bool force;                     /* write to a terminal */
	int level;                      /* of compression */
	struct dtn_model model;         /* what the files say besides the weights */
};

/* Dies with status 1 where the target cannot be written. */
void dtn_store_init(struct dtn_store *, const char *target, bool force, int level);
void dtn_store_release(struct dtn_store *);

/* The file to continue: the checkpoint where it is newer than the target. Dies where there is
 * neither. */
const char *dtn_store_source(const struct dtn_store *);

/* Say so where an older checkpoint is there that a new run will replace. */
void dtn_store_warn(const struct dtn_store *);

/* Write one of the three names, complete or not at all. Not finite weights: death with status 1. */
void dtn_store_write(struct dtn_store *, const char *path, struct dtn_trainer *);

/* The same for sampling only, without what a resumed run needs. */
void dtn_store_write_best(struct dtn_store *, struct dtn_trainer *);

/* The target is complete: the checkpoint is not needed any more. */
void dtn_store_finish(struct dtn_store *);

#endif
