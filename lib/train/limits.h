/* limits.h -- where a run ends. */
#ifndef DTN_LIMITS_H
#define DTN_LIMITS_H

#include "format/dtn.h"
#include "lib/train/train.h"

/* At the first of them that it meets.  0: none. */
struct dtn_limits {
	int64_t steps;                  /* all of the training's */
	double seconds;                 /* likewise, if all runs had such a limit */
};

/* The limits of the job or, without any and with a checkpoint to resume, those of the run that was
 * stopped.  `meta`, of the file `name`, is the resumed model's; NULL: there is none.  Usage error
 * where a limit must be given and is not. */
void dtn_limits_settle(struct dtn_limits *, const struct dtn_training *,
		       const struct dtn_settings *, const struct dtn_meta *, const char *name);

/* Now that the sizes of an epoch and of a step are known: epochs as steps, and a default. */
void dtn_limits_complete(struct dtn_limits *, const struct dtn_training *, int64_t epoch,
			 int64_t images);

/* A checkpoint says them, a model that is complete does not. */
void dtn_limits_to_meta(const struct dtn_limits *, struct dtn_meta *);
void dtn_limits_forget(struct dtn_meta *);

/* Seconds that were used of a limit of time, 0 if there is none; forget them.  `meta` is that of
 * the file `name`: death with status 3 where what it says is no such number. */
double dtn_limits_used(const struct dtn_limits *, const struct dtn_meta *, const char *name);
void dtn_limits_forget_time(struct dtn_meta *);

#endif
