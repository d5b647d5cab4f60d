/* limits.c -- where a run ends.
 *
 * A checkpoint keeps the limits of its run, so that --resume goes on to the same end.  A complete
 * model must not: it would say how it was stopped on the way.
 */
#include "lib/train/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_STEPS = 20000 };         /* without any limit */

static const char STEPS[] = "train.limit_steps", SECONDS[] = "train.limit_seconds",
		  USED[] = "train.seconds";

static void forget(struct dtn_meta *meta, const char *key)
{
	struct dtn_meta rest = { 0 };

	if (!dtn_meta_get(meta, key))
		return;
	for (int i = 0; i < meta->n; i++)
		if (strcmp(meta->pair[i].key, key))
			dtn_meta_set(&rest, meta->pair[i].key, "%s", meta->pair[i].value);
	dtn_meta_release(meta);
	*meta = rest;
}

/* --- of a checkpoint ------------------------------------------------------------------------- */

/* A number of the metadata that is not below 0; 0: not there. */
static double number(const struct dtn_meta *meta, const char *key, const char *name)
{
	const char *text = dtn_meta_get(meta, key);
	char *end;
	double x;

	if (!text)
		return 0;
	x = strtod(text, &end);
	if (end == text || *end || !(x >= 0 && isfinite(x)))
		dtn_die(DTN_INPUT, "%s: invalid model configuration: %s=%s", name, key, text);
	return x;
}

static void of_checkpoint(struct dtn_limits *l, const struct dtn_meta *meta, const char *name)
{
	double steps = number(meta, STEPS, name);

	l->steps = steps < 0x1p63 ? (int64_t)steps : INT64_MAX;
	l->seconds = number(meta, SECONDS, name);
	if (!l->steps && !l->seconds)
		dtn_usage("%s does not say how far to go on: --resume wants --steps, --epochs or "
			  "--time", name);
}

void dtn_limits_to_meta(const struct dtn_limits *l, struct dtn_meta *meta)
{
	if (l->steps)
		dtn_meta_set(meta, STEPS, "%lld", (long long)l->steps);
	if (l->seconds)
		dtn_meta_set(meta, SECONDS, "%.17g", l->seconds);
}

void dtn_limits_forget(struct dtn_meta *meta)
{
	forget(meta, STEPS);
	forget(meta, SECONDS);
}

/* --- of a run -------------------------------------------------------------------------------- */

void dtn_limits_settle(struct dtn_limits *l, const struct dtn_training *job,
		       const struct dtn_settings *s, const struct dtn_meta *meta, const char *name)
{
	l->steps = job->steps;
	l->seconds = job->seconds;
	if (job->steps || job->seconds || job->epochs)
		return;
	if (job->resume)
		of_checkpoint(l, meta, name);
	else if (s->decay != DTN_CONSTANT_RATE)
		dtn_usage("--lr-decay wants to know the end: --steps, --epochs or --time");
}

void dtn_limits_complete(struct dtn_limits *l, const struct dtn_training *job, int64_t epoch,
			 int64_t images)
{
	if (job->epochs) {
		int64_t steps;

		if (job->epochs > INT64_MAX / epoch)
			dtn_usage("--epochs %lld: too many", (long long)job->epochs);
		steps = dtn_ceil_div(job->epochs * epoch, images);
		if (!l->steps || steps < l->steps)
			l->steps = steps;
	}
	if (!l->steps && !l->seconds) {
		l->steps = DEFAULT_STEPS;
		dtn_note("training for %d steps, as none of --steps, --epochs and --time is given",
			 DEFAULT_STEPS);
	}
}

/* --- time ------------------------------------------------------------------------------------ */

double dtn_limits_used(const struct dtn_limits *l, const struct dtn_meta *meta, const char *name)
{
	return l->seconds ? number(meta, USED, name) : 0;
}

void dtn_limits_forget_time(struct dtn_meta *meta)
{
	forget(meta, USED);
}
