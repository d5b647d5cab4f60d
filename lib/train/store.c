/* store.c -- where a training's state is kept.
 *
 * Both files are whole models at every moment: lib/output.c writes under another name and renames.
 * The checkpoint is removed only after the target is there, so a run that is killed in between
 * leaves an older checkpoint beside a newer target.
 */
#include "lib/train/store.h"

#include "lib/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void dtn_store_init(struct dtn_store *s, const char *target, bool force, int level)
{
	memset(s, 0, sizeof(*s));
	s->target = target;
	s->force = force;
	s->level = level;
	dtn_output_check(target);
	if (!dtn_output_renames(target))
		return;
	s->checkpoint = dtn_format("%s.ckpt", target);
	s->best = dtn_format("%s.best", target);
	dtn_output_check(s->checkpoint);
}

void dtn_store_release(struct dtn_store *s)
{
	free(s->checkpoint);
	free(s->best);
	dtn_model_release(&s->model);
}

static bool newer(const struct stat *a, const struct stat *b)
{
	if (a->st_mtim.tv_sec != b->st_mtim.tv_sec)
		return a->st_mtim.tv_sec > b->st_mtim.tv_sec;
	return a->st_mtim.tv_nsec > b->st_mtim.tv_nsec;
}

const char *dtn_store_source(const struct dtn_store *s)
{
	struct stat target, checkpoint;
	bool have, interrupted;

	if (!s->checkpoint)
		dtn_usage("--resume wants -o to name a file");
	interrupted = stat(s->checkpoint, &checkpoint) == 0;
	have = stat(s->target, &target) == 0;
	if (!have && !interrupted)
		dtn_die(DTN_ENV, "%s: nothing to resume:", s->target);
	return interrupted && (!have || newer(&checkpoint, &target)) ? s->checkpoint : s->target;
}

void dtn_store_warn(const struct dtn_store *s)
{
	if (s->checkpoint && access(s->checkpoint, F_OK) == 0)
		dtn_warn("%s is there from an unfinished run, which --resume would continue; "
			 "it will be replaced", s->checkpoint);
}

static void write_model(struct dtn_store *s, const char *path, struct dtn_trainer *r, bool whole)
{
	struct dtn_weights weights;
	struct dtn_output out;
	struct dtn_writer *writer;

	if (!dtn_trainer_finite(r))
		dtn_die(DTN_ENV, "the weights are not finite after step %lld: %s is left as it was",
			(long long)r->counters.step, path);
	weights = dtn_trainer_get(r, whole);
	dtn_meta_set(&s->model.meta, "train.step", "%lld", (long long)r->counters.step);
	dtn_output_open(&out, path, s->force);
	writer = dtn_writer_open(&out, s->level);
	dtn_model_write(writer, &s->model, &r->graph.graph, &weights, &r->counters);
	dtn_writer_close(writer);
	dtn_output_commit(&out);
}

void dtn_store_write(struct dtn_store *s, const char *path, struct dtn_trainer *r)
{
	write_model(s, path, r, true);
}

void dtn_store_write_best(struct dtn_store *s, struct dtn_trainer *r)
{
	write_model(s, s->best, r, false);
}

void dtn_store_finish(struct dtn_store *s)
{
	if (s->checkpoint && unlink(s->checkpoint) != 0 && errno != ENOENT)
		dtn_warn("%s:", s->checkpoint);
}
