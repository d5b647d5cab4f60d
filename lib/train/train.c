/* train.c -- a run: steps are made until a limit or a signal ends them.
 *
 * What the model file says after n steps never depends on how often and where the run was stopped:
 * the checkpoint has all state that a step reads, and the clock is in no file.  One exception is
 * train.seconds, which is there only when --time was given and so the clock decided anyway.
 */
#include "lib/train/train.h"

#include "lib/train/session.h"
#include "lib/train/signals.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	PATIENCE = 5,                   /* steps in a row that may be not finite */
	SAVE_SECONDS = 600              /* without --save-every */
};

/* How long steps may go on before somebody looks at what they did. */
static const double SETTLE_SECONDS = 0.2;

/* Seconds of training, in all runs if --time was given in all. */
static double elapsed(const struct dtn_session *s)
{
	return s->before + dtn_seconds() - s->begun;
}

/* Steps that were made or asked for. */
static int64_t asked(const struct dtn_session *s)
{
	return s->trainer.counters.step + s->trainer.ahead;
}

/* How far the run is by the limit that is nearest, 0 .. 1. */
static double done(const struct dtn_session *s)
{
	double steps = 0, time = 0;

	if (s->limits.steps)
		steps = (double)asked(s) / (double)s->limits.steps;
	if (s->limits.seconds)
		time = elapsed(s) / s->limits.seconds;
	return fmin(fmax(steps, time), 1);
}

/* `last`: how long the last step took.  A step that would end after the time is not begun. */
static bool reached(const struct dtn_session *s, double last)
{
	int64_t step = asked(s);

	if (s->limits.steps && step >= s->limits.steps)
		return true;
	return s->limits.seconds && step > 0 && elapsed(s) + last > s->limits.seconds;
}

static void save(struct dtn_session *s, const char *path)
{
	struct dtn_meta *meta = &s->store.model.meta;

	dtn_line_clear(&s->progress.line);
	if (s->limits.seconds)
		dtn_meta_set(meta, "train.seconds", "%.3f", elapsed(s));
	if (path == s->store.checkpoint) {
		dtn_limits_to_meta(&s->limits, meta);
		s->checkpointed = true;
	}
	dtn_store_write(&s->store, path, &s->trainer);
	dtn_limits_forget(meta);
	s->saved = dtn_seconds();
}

static void save_now_and_then(struct dtn_session *s)
{
	int64_t every = s->job->save_every, step = s->trainer.counters.step;
	bool due = every ? step % every == 0 : dtn_seconds() - s->saved > SAVE_SECONDS;

	if (due && s->store.checkpoint && s->trainer.bad == 0)
		save(s, s->store.checkpoint);
}

static void keep_state(struct dtn_session *s)
{
	long long step = s->trainer.counters.step;

	if (s->store.checkpoint) {
		save(s, s->store.checkpoint);
		dtn_note("stopped after step %lld; --resume continues from %s", step,
			 s->store.checkpoint);
	} else {
		dtn_note("stopped after step %lld; nothing is kept", step);
	}
}

static _Noreturn void interrupt(struct dtn_session *s, int sig)
{
	dtn_line_clear(&s->progress.line);
	dtn_signals_release();
	keep_state(s);
	dtn_signals_obey(sig);
}

static void keep_at_death(void *session, enum dtn_status status, const char *text)
{
	(void)status, (void)text;
	keep_state(session);
}

/* A picture that cannot be written must not cost the steps before it. */
static void make_picture(struct dtn_session *s)
{
	dtn_at_death(keep_at_death, s);
	dtn_preview_make(&s->preview);
	dtn_forget_death(keep_at_death, s);
}

/* After a validation at a regular step; that at the end of a run depends on where it stops. */
static void keep_best(struct dtn_session *s, double loss)
{
	struct dtn_meta *meta = &s->store.model.meta;
	const char *text = dtn_meta_get(meta, "train.best");

	if (!s->job->keep_best || !(loss < (text ? strtod(text, NULL) : INFINITY)))
		return;
	dtn_meta_set(meta, "train.best", "%.17g", loss);
	if (s->store.best)
		dtn_store_write_best(&s->store, &s->trainer);
}

static void say_validation(struct dtn_session *s, const struct dtn_validation *v)
{
	char bins[DTN_BINS * 16];       /* of any number, "%.4g" makes 11 bytes at most */
	int n = 0;

	if (!s->progress.line.terminal && dtn_verbosity < 1)
		return;
	for (int b = 0; b < DTN_BINS; b++)
		n += snprintf(bins + n, sizeof(bins) - (size_t)n, " %.4g", v->bin[b]);
	dtn_note("step %lld  validation %.5f, by timestep%s", (long long)s->trainer.counters.step,
		 v->loss, bins);
}

/* After a step was told of: what is due. */
static void attend(struct dtn_session *s, const struct dtn_step *step, double seconds)
{
	struct dtn_trainer *r = &s->trainer;
	int64_t number = r->counters.step;
	struct dtn_validation v;
	bool regular = number % s->val_every == 0, validate = s->validates && (regular || s->ended);

	dtn_progress_step(&s->progress, number, step, r->images, seconds);
	if (validate) {
		v = dtn_validate(&s->validator);
		say_validation(s, &v);
		if (regular)
			keep_best(s, v.loss);
	}
	if (s->job->sample_every && number % s->job->sample_every == 0)
		make_picture(s);
	dtn_log_row(&s->log, &r->counters, step, dtn_progress_rate(&s->progress),
		    dtn_seconds() - s->begun, validate ? &v : NULL);
	if (dtn_progress_wanted())
		dtn_progress_say(&s->progress);
}

/* Several batches failed at the same weights, which are the likely reason: they are kept where
 * nothing else is, but do not replace those of an older checkpoint. */
static _Noreturn void give_up(struct dtn_session *s)
{
	const struct dtn_store *store = &s->store;
	long long last = (long long)s->trainer.counters.step;
	struct dtn_step later;

	while (dtn_trainer_next(&s->trainer, &later))
		;                       /* a queue's weights are ahead of the counters */
	if (store->checkpoint && !s->checkpointed && dtn_trainer_finite(&s->trainer))
		save(s, store->checkpoint);
	dtn_die(DTN_ENV,
		"loss or gradient not finite in %d steps in a row, up to %lld: %s is left as it "
		"was; try a lower --lr%s%s", PATIENCE, last, store->target,
		s->checkpointed ? ", anew or with --from " : "",
		s->checkpointed ? store->checkpoint : "");
}

static void complain(struct dtn_session *s, const struct dtn_step *step)
{
	if (s->trainer.bad >= PATIENCE)
		give_up(s);
	dtn_warn("step %lld is skipped: loss %g, gradient %g",
		 (long long)s->trainer.counters.step, step->loss, step->norm);
}

/* Is it time to wait for the steps that were asked for?  Only now and then, but whenever something
 * is due after the last of them. */
static bool to_settle(const struct dtn_session *s, double start)
{
	int64_t step = asked(s), every = s->job->save_every, pictures = s->job->sample_every;

	return !s->trainer.queued || s->trainer.ahead == DTN_REPORTS || dtn_interrupted() ||
	       (s->validates && step % s->val_every == 0) || (every && step % every == 0) ||
	       (pictures && step % pictures == 0) ||
	       dtn_seconds() - start > SETTLE_SECONDS;
}

/* Whether a step is the last is decided once, after it, as the clock goes on.  It must be finite:
 * else the next one is made, too. */
static void loop(struct dtn_session *s)
{
	struct dtn_trainer *r = &s->trainer;
	double seconds = 0, start = 0;
	struct dtn_step step;

	s->ended = reached(s, 0);
	while (!s->ended) {
		if (r->ahead == 0)
			start = dtn_seconds();
		if (r->ahead == 0 || !reached(s, seconds)) {
			dtn_trainer_ask(r, done(s));
			if (!to_settle(s, start))
				continue;
		}
		dtn_trainer_settle(r);
		seconds = (dtn_seconds() - start) / r->ahead;
		while (dtn_trainer_next(r, &step)) {
			if (!step.finite)
				complain(s, &step);
			s->ended = r->ahead == 0 && r->bad == 0 && reached(s, seconds);
			attend(s, &step, seconds);
		}
		if (dtn_interrupted())
			interrupt(s, dtn_interrupted());
		if (!s->ended)
			save_now_and_then(s);
	}
}

/* None was kept, now or before, as none was due since step `from`. */
static void warn_of_best(const struct dtn_session *s, int64_t from)
{
	int64_t past = s->trainer.counters.step / s->val_every;

	if (s->job->keep_best && past == from / s->val_every &&
	    !dtn_meta_get(&s->store.model.meta, "train.best"))
		dtn_warn("%s is not written: the first validation was due after step %lld "
			 "(--val-every)", s->store.best, (long long)((past + 1) * s->val_every));
}

void dtn_train(const struct dtn_training *job, const struct dtn_settings *wanted)
{
	struct dtn_session *s = dtn_alloc(1, sizeof(*s));
	long long steps;

	dtn_session_prepare(s, job, wanted);
	steps = s->trainer.counters.step;
	if (s->limits.steps && steps > s->limits.steps)
		dtn_note("%s has %lld steps already", s->store.target, steps);
	dtn_progress_init(&s->progress, s->limits);
	s->progress.begun -= s->before;
	dtn_progress_begin(&s->progress, steps);
	s->begun = s->saved = dtn_seconds();
	dtn_signals_catch();
	loop(s);
	if (s->progress.line.terminal)
		dtn_progress_say(&s->progress);
	save(s, s->store.target);
	warn_of_best(s, steps);
	dtn_store_finish(&s->store);
	dtn_log_close(&s->log);
	dtn_session_release(s);
	free(s);
}
