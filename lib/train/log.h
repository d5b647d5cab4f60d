/* log.h -- the table of a run, TSV with a header: a row a step. */
#ifndef DTN_LOG_H
#define DTN_LOG_H

#include "lib/train/validate.h"

#include <stdio.h>

struct dtn_log {
	FILE *file;                     /* NULL: none, or given up */
	const char *name;
	bool validates, failed;
};

/* Begin it; or, when `step` steps are done already, go on with a file of rows after dropping those
 * of later steps; usage error where its columns are not those of this run.  name NULL: none; "-":
 * stdout.  The columns are described in dtn-train(1). */
void dtn_log_open(struct dtn_log *, const char *name, int64_t step, bool validates);

/* `images`: a second; `seconds`: of this run; no validation at this step: NULL. */
void dtn_log_row(struct dtn_log *, const struct dtn_counters *, const struct dtn_step *,
		 double images, double seconds, const struct dtn_validation *);

/* Death with status 1 where it is not complete. */
void dtn_log_close(struct dtn_log *);

#endif
