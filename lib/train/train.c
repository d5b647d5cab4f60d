/* train.c -- a run: everything is checked, then steps are made until a limit or a signal ends them.
 *
 * What the model file says after n steps never depends on how often and where the run was stopped: the
 * checkpoint has all state that a step reads, and the clock is in no file.  The one exception is
 * train.seconds, which is there only when --time was given and so the clock decided anyway.
 */
#include "lib/train/train.h"

#include "lib/device.h"
#include "lib/train/log.h"
#include "lib/train/memory.h"
#include "lib/train/progress.h"
#include "lib/train/signals.h"
#include "lib/train/store.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEFAULT_STEPS = 20000,          /* without any limit */
	PATIENCE = 5,                   /* steps in a row that may be not finite */
	SAVE_SECONDS = 600              /* without --save-every */
};

struct session {
	const struct dtn_training *job;
	struct dtn_settings settings;
	struct dtn_data data, other;    /* to train on; to validate on, if a stream was given */
	struct dtn_store store;
	struct dtn_trainer trainer;
	struct dtn_validator validator;
	bool validates;
	struct dtn_progress progress;
	struct dtn_log log;
	struct dtn_limits limits;
	int64_t val_every;
	double begun, before;           /* clock; seconds of the runs that this one continues */
	double pause;                   /* seconds of this run that were no steps */
	double saved;                   /* clock */
};

/* --- before the first step ------------------------------------------------------------------- */

static void read_count(void *arg, uint64_t images)
{
	struct session *s = arg;
	double now = dtn_seconds();
	char text[80];

	snprintf(text, sizeof(text), "%s: reading: %llu images", dtn_program, (unsigned long long)images);
	if (now - s->progress.shown >= 0.1) {
		s->progress.shown = now;
		dtn_progress_show(&s->progress, text);
	}
	if (dtn_progress_wanted()) {
		dtn_progress_show(&s->progress, NULL);
		dtn_note("reading: %llu images", (unsigned long long)images);
	}
}

/* Settings of the model that is resumed, or from the options and the size of the data. */
static struct dtn_reader *settle(struct session *s, const struct dtn_settings *wanted)
{
	struct dtn_model *model = &s->store.model;
	const char *source, *seconds;
	struct dtn_reader *reader;

	s->settings = *wanted;
	if (!s->job->resume) {
		dtn_settings_complete(&s->settings);
		dtn_store_warn(&s->store);
		return NULL;
	}
	source = dtn_store_source(&s->store);
	reader = dtn_model_open(model, source);
	dtn_settings_from_model(&s->settings, model, source);
	dtn_settings_compare(wanted, &s->settings, source);
	seconds = dtn_meta_get(&model->meta, "train.seconds");
	s->before = seconds && s->job->seconds ? strtod(seconds, NULL) : 0;
	return reader;
}

/* The size of the images joins the settings. */
static void match_size(struct session *s)
{
	struct dtn_unet *u = &s->settings.unet;
	const struct dtn_data *d = &s->data;
	const char *wrong;

	if (s->job->resume && (u->height != d->height || u->width != d->width || u->colours != d->colours))
		dtn_die(DTN_INPUT, "images of %dx%dx%d, but %s was trained on %dx%dx%d", d->width, d->height,
			d->colours, s->store.target, u->width, u->height, u->colours);
	u->height = d->height;
	u->width = d->width;
	u->colours = d->colours;
	wrong = dtn_unet_check(u);
	if (wrong && (d->height > 4096 || d->width > 4096 || d->colours > 64))
		dtn_die(DTN_INPUT, "cannot train on images of %dx%dx%d: %s", d->width, d->height, d->colours,
			wrong);
	if (wrong)
		dtn_usage("%s", wrong);
}

static void check_schedule(const struct dtn_settings *s)
{
	const char *wrong = dtn_schedule_check(&s->schedule);
	struct dtn_schedule schedule;
	double left;

	if (wrong)
		dtn_usage("%s", wrong);
	dtn_schedule_init(&schedule, &s->schedule);
	left = dtn_snr(&schedule, s->schedule.steps - 1);
	if (left > 1e-3)
		dtn_warn("the last of %d steps still shows the image (signal to noise %.2g): samples will be dull; "
			 "take another schedule, or --zero-snr", s->schedule.steps, left);
	if (s->schedule.zero_snr && s->predict == DTN_EPS)
		dtn_usage("--zero-snr leaves only noise at the last step, which says nothing to --predict eps");
	dtn_schedule_release(&schedule);
}

static int64_t ceil_div(int64_t a, int64_t b)
{
	return a / b + (a % b != 0);
}

static void find_limits(struct session *s)
{
	const struct dtn_training *job = s->job;
	int64_t images = s->trainer.images, epoch = ceil_div(s->trainer.split.trains, images), by_epochs;

	s->val_every = job->val_every ? job->val_every : epoch;
	s->limits.steps = job->steps;
	s->limits.seconds = job->seconds;
	if (job->epochs) {
		if (job->epochs > INT64_MAX / s->trainer.split.trains)
			dtn_usage("--epochs %lld: too many", (long long)job->epochs);
		by_epochs = ceil_div(job->epochs * s->trainer.split.trains, images);
		if (!s->limits.steps || by_epochs < s->limits.steps)
			s->limits.steps = by_epochs;
	}
	if (!s->limits.steps && !s->limits.seconds) {
		s->limits.steps = DEFAULT_STEPS;
		dtn_note("training for %d steps, as none of --steps, --epochs and --time says how long",
			 DEFAULT_STEPS);
	}
}

/* Without --time the clock decides nothing any more: forget it. */
static void forget_time(struct dtn_meta *meta)
{
	struct dtn_meta rest = { 0 };

	for (int i = 0; i < meta->n; i++)
		if (strcmp(meta->pair[i].key, "train.seconds"))
			dtn_meta_set(&rest, meta->pair[i].key, "%s", meta->pair[i].value);
	dtn_meta_release(meta);
	*meta = rest;
}

/* What the file says besides the weights.  The order of the keys is that of the first run, always. */
static void describe(struct session *s)
{
	struct dtn_model *m = &s->store.model;
	const struct dtn_args *a = s->job->args;
	const char *images = dtn_meta_get(&m->meta, "train.images");

	if (images && strtoull(images, NULL, 10) != s->data.images)
		dtn_warn("%llu images, but the run that is continued had %s", (unsigned long long)s->data.images,
			 images);
	if (!s->job->resume) {
		m->unet = s->settings.unet;
		m->schedule = s->settings.schedule;
		m->predict = s->settings.predict;
		dtn_meta_copy(&m->meta, &s->data.meta);
		dtn_prov_merge(&m->prov, &s->data.prov);
		dtn_prov_merge(&m->prov, &s->other.prov);
		if (!a->no_prov)
			dtn_prov_add(&m->prov, a->argc, a->argv, "--log= --max-mem= --resume --steps= --epochs= "
				     "--time= --save-every= --val-every= --device=", a->operands, a->operand);
	}
	if (!s->job->seconds)
		forget_time(&m->meta);
	dtn_model_to_meta(m, &m->meta);
	dtn_settings_to_meta(&s->settings, &m->meta);
	dtn_meta_set(&m->meta, "train.images", "%llu", (unsigned long long)s->data.images);
	dtn_meta_set(&m->meta, "train.precision", "%s", dtn_type_name(s->trainer.graph.type));
	dtn_meta_set(&m->meta, "train.step", "%lld", (long long)s->trainer.counters.step);
}

static void say_what(const struct session *s)
{
	const struct dtn_trainer *r = &s->trainer;

	dtn_say("%llu images of %dx%dx%d, %u of them held back; %llu bytes in memory, %llu spooled",
		(unsigned long long)s->data.images, s->data.width, s->data.height, s->data.colours,
		r->split.helds, (unsigned long long)s->data.memory, (unsigned long long)s->data.spooled);
	dtn_say("%llu parameters; %d slices of %d images a step; %d threads; seed %llu; device %s, %s, %s",
		(unsigned long long)dtn_unet_parameters(&s->settings.unet), r->slices, r->slice, r->net.workers,
		(unsigned long long)s->settings.seed, r->net.backend->name, r->net.backend->detail,
		dtn_type_name(r->graph.type));
}

static void load_validation(struct session *s, int threads)
{
	char *operand[] = { (char *)s->job->validation };
	struct dtn_data *d = &s->other;

	d->spool = -1;
	if (!s->job->validation)
		return;
	dtn_data_open(d, 1, operand, UINT64_MAX, threads);
	if (d->height != s->data.height || d->width != s->data.width || d->colours != s->data.colours)
		dtn_die(DTN_INPUT, "%s: images of %dx%dx%d, but training is on %dx%dx%d", s->job->validation,
			d->width, d->height, d->colours, s->data.width, s->data.height, s->data.colours);
	dtn_data_load(d, NULL, NULL);
}

static void prepare(struct session *s, const struct dtn_settings *wanted)
{
	const struct dtn_args *a = s->job->args;
	int threads = a->threads ? a->threads : dtn_cores(), workers, type;
	const char *trained;
	const struct dtn_backend *backend;
	struct dtn_reader *model;

	dtn_signals_begin();
	dtn_progress_init(&s->progress, s->limits);
	dtn_store_init(&s->store, a->output, a->force, a->level, threads);
	model = settle(s, wanted);
	check_schedule(&s->settings);
	trained = dtn_meta_get(&s->store.model.meta, "train.precision");
	backend = dtn_device(s->job->device);
	type = dtn_precision(backend, s->job->precision, trained);
	dtn_data_open(&s->data, a->operands, a->operand,
		      s->job->limited ? s->job->max_memory : dtn_memory() / 2, threads);
	match_size(s);
	workers = dtn_fit_memory(&s->settings, type, threads);
	dtn_data_load(&s->data, read_count, s);
	load_validation(s, threads);
	dtn_progress_show(&s->progress, NULL);

	dtn_trainer_init(&s->trainer, &s->settings, &s->data, backend, type, workers);
	find_limits(s);
	describe(s);
	if (model) {
		struct dtn_weights weights = {
			s->trainer.net.param, s->trainer.optim.ema, s->trainer.optim.m, s->trainer.optim.v
		};

		dtn_model_read(model, &s->store.model, &s->trainer.graph, &weights, &s->trainer.counters);
		dtn_reader_close(model);
		dtn_trainer_ready(&s->trainer);
	} else {
		dtn_trainer_start(&s->trainer);
	}
	s->validates = s->job->validation || s->trainer.split.helds > 0;
	if (s->validates)
		dtn_validator_init(&s->validator, &s->trainer, s->job->validation ? &s->other : NULL);
	dtn_log_open(&s->log, s->job->log, s->trainer.counters.step, s->validates);
	say_what(s);
}

/* --- the loop -------------------------------------------------------------------------------- */

/* Seconds of training, in all runs if --time was given in all. */
static double elapsed(const struct session *s)
{
	return s->before + dtn_seconds() - s->begun;
}

/* How far the run is by the limit that is nearest, 0 .. 1. */
static double done(const struct session *s)
{
	double steps = s->limits.steps ? (double)s->trainer.counters.step / (double)s->limits.steps : 0;
	double time = s->limits.seconds ? elapsed(s) / s->limits.seconds : 0;
	double far = steps > time ? steps : time;

	return far < 1 ? far : 1;
}

/* `last`: how long the last step took.  A step that would end after the time is not begun. */
static bool reached(const struct session *s, double last)
{
	const struct dtn_counters *c = &s->trainer.counters;

	if (s->limits.steps && c->step >= s->limits.steps)
		return true;
	return s->limits.seconds && c->step > 0 && elapsed(s) + last > s->limits.seconds;
}

static void save(struct session *s, const char *path)
{
	struct dtn_meta *meta = &s->store.model.meta;

	dtn_progress_show(&s->progress, NULL);
	if (s->limits.seconds)
		dtn_meta_set(meta, "train.seconds", "%.3f", elapsed(s));
	dtn_store_write(&s->store, path, &s->trainer);
	s->saved = dtn_seconds();
}

static void save_now_and_then(struct session *s)
{
	int64_t every = s->job->save_every, step = s->trainer.counters.step;
	bool due = every ? step % every == 0 : dtn_seconds() - s->saved > SAVE_SECONDS;

	if (due && s->store.checkpoint && s->trainer.bad == 0)
		save(s, s->store.checkpoint);
}

static _Noreturn void interrupt(struct session *s, int sig)
{
	long long step = s->trainer.counters.step;

	dtn_progress_show(&s->progress, NULL);
	dtn_signals_release();
	if (s->store.checkpoint) {
		save(s, s->store.checkpoint);
		dtn_note("stopped after step %lld; --resume continues from %s", step, s->store.checkpoint);
	} else {
		dtn_note("stopped after step %lld; nothing is kept", step);
	}
	dtn_signals_obey(sig);
}

/* A validation that comes at regular steps, and so may choose the best; the last one of a run may not. */
static void keep_best(struct session *s, double loss)
{
	struct dtn_meta *meta = &s->store.model.meta;
	const char *text = dtn_meta_get(meta, "train.best");

	if (!s->job->keep_best || !(loss < (text ? strtod(text, NULL) : INFINITY)))
		return;
	dtn_meta_set(meta, "train.best", "%.17g", loss);
	if (s->store.best)
		dtn_store_write_best(&s->store, &s->trainer);
}

static void say_validation(struct session *s, const struct dtn_validation *v)
{
	dtn_progress_show(&s->progress, NULL);
	if (s->progress.terminal || dtn_verbosity > 0)
		dtn_note("step %lld  validation %.5f (by timestep %.3f %.3f %.3f %.3f %.3f %.3f %.3f %.3f %.3f %.3f)",
			 (long long)s->trainer.counters.step, v->loss, v->bin[0], v->bin[1], v->bin[2], v->bin[3],
			 v->bin[4], v->bin[5], v->bin[6], v->bin[7], v->bin[8], v->bin[9]);
}

/* After step: what is due. */
static void attend(struct session *s, const struct dtn_step *step, double seconds)
{
	struct dtn_trainer *r = &s->trainer;
	int64_t number = r->counters.step;
	struct dtn_validation v;
	bool regular = number % s->val_every == 0, validate;

	dtn_progress_step(&s->progress, number, step, r->images, seconds);
	validate = s->validates && (regular || reached(s, seconds));
	if (validate) {
		v = dtn_validate(&s->validator);
		say_validation(s, &v);
		if (regular)
			keep_best(s, v.loss);
	}
	dtn_log_row(&s->log, &r->counters, step, dtn_progress_rate(&s->progress), dtn_seconds() - s->begun,
		    validate ? &v : NULL);
	if (dtn_progress_wanted())
		dtn_progress_line(&s->progress);
}

static void complain(struct session *s, const struct dtn_step *step)
{
	long long number = s->trainer.counters.step;

	dtn_progress_show(&s->progress, NULL);
	if (s->trainer.bad >= PATIENCE)
		dtn_die(DTN_ENV, "loss or gradient not finite in %d steps in a row, the last is %lld: %s is left as it was; "
			"a lower --lr may help", PATIENCE, number, s->store.target);
	dtn_warn("step %lld is skipped: loss %g, gradient %g", number, step->loss, step->norm);
}

static void loop(struct session *s)
{
	double seconds = 0;

	while (!reached(s, seconds)) {
		double start = dtn_seconds();
		struct dtn_step step = dtn_trainer_step(&s->trainer, done(s));

		seconds = dtn_seconds() - start;
		if (!step.finite)
			complain(s, &step);
		attend(s, &step, seconds);
		if (dtn_interrupted())
			interrupt(s, dtn_interrupted());
		save_now_and_then(s);
	}
	if (s->trainer.bad > 0)
		dtn_die(DTN_ENV, "loss or gradient not finite in the last step, %lld: %s is left as it was",
			(long long)s->trainer.counters.step, s->store.target);
}

void dtn_train(const struct dtn_training *job, const struct dtn_settings *wanted)
{
	struct session *s = dtn_alloc(1, sizeof(*s));

	s->job = job;
	prepare(s, wanted);
	dtn_progress_init(&s->progress, s->limits);
	s->progress.step = s->trainer.counters.step;
	s->begun = s->saved = dtn_seconds();
	dtn_signals_catch();
	if (s->limits.steps && s->trainer.counters.step > s->limits.steps)
		dtn_note("%s has %lld steps already", s->store.target, (long long)s->trainer.counters.step);
	loop(s);
	if (s->progress.terminal)
		dtn_progress_line(&s->progress);
	save(s, s->store.target);
	dtn_store_finish(&s->store);
	dtn_log_close(&s->log);

	if (s->validates)
		dtn_validator_release(&s->validator);
	dtn_trainer_release(&s->trainer);
	dtn_store_release(&s->store);
	dtn_data_release(&s->data);
	dtn_data_release(&s->other);
	free(s);
}
