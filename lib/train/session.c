/* session.c -- before the first step: everything that can be wrong is found out here.
 *
 * The order is from cheap to dear: options and the target's folder, then the model that is resumed,
 * the size of the first image, memory, all data, and at last the network.
 */
#include "lib/train/session.h"

#include "lib/device.h"
#include "lib/diffusion/choose.h"
#include "lib/machine.h"
#include "lib/output.h"
#include "lib/train/adopt.h"
#include "lib/train/memory.h"
#include "lib/train/signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Images that are trained on for each that validates, at least, where --val-every does not say. */
enum { TRAINED_EACH = 10 };

static void read_count(void *arg, uint64_t images)
{
	struct dtn_session *s = arg;

	if (dtn_line_due(&s->progress.line))
		dtn_line_show(&s->progress.line, "reading: %llu images",
			      (unsigned long long)images);
	if (dtn_progress_wanted())
		dtn_note("reading: %llu images", (unsigned long long)images);
}

/* Settings from the options and, where there is a model to begin with, from that. */
static struct dtn_reader *settle_new(struct dtn_session *s)
{
	const char *from = s->job->from;
	struct dtn_reader *reader = NULL;

	dtn_store_warn(&s->store);
	if (from) {
		reader = dtn_model_open(&s->origin, from);
		dtn_settings_adopt(&s->settings, &s->origin, dtn_reader_name(reader));
	}
	dtn_settings_complete(&s->settings);
	dtn_limits_settle(&s->limits, s->job, &s->settings, NULL, NULL);
	if (!s->settings.conditional && dtn_settings_given(&s->settings, "label-dropout"))
		dtn_usage("--label-dropout wants --classes");
	if (s->settings.decay == DTN_CONSTANT_RATE && dtn_settings_given(&s->settings, "lr-end"))
		dtn_usage("--lr-end wants --lr-decay");
	if (s->settings.rate_end > s->settings.rate)
		dtn_usage("--lr-end %g: above --lr %g", s->settings.rate_end, s->settings.rate);
	return reader;
}

/* Settings of the model that is resumed, or from the options and the size of the data. */
static struct dtn_reader *settle(struct dtn_session *s, const struct dtn_settings *wanted)
{
	struct dtn_model *model = &s->store.model;
	const char *source;
	struct dtn_reader *reader;

	s->settings = *wanted;
	if (!s->job->resume)
		return settle_new(s);
	source = dtn_store_source(&s->store);
	s->checkpointed = source == s->store.checkpoint;
	reader = dtn_model_open(model, source);
	if (!dtn_model_has(model, DTN_ADAM_M))
		dtn_die(DTN_INPUT, "%s: cannot be resumed, as it has only weights; --from begins "
			"with them", source);
	dtn_settings_from_model(&s->settings, model, source);
	dtn_settings_compare(wanted, &s->settings, source);
	dtn_limits_settle(&s->limits, s->job, &s->settings, &model->meta, source);
	s->before = dtn_limits_used(&s->limits, &model->meta, source);
	dtn_limits_forget(&model->meta);
	return reader;
}

static bool wants_validation(const struct dtn_session *s)
{
	return s->job->validation || s->settings.held_back > 0;
}

/* Options that would do nothing; what a model is resumed with may be what they want. */
static void check_options(const struct dtn_session *s)
{
	const struct dtn_training *job = s->job;
	bool validates = wants_validation(s);

	if (job->keep_best && !validates)
		dtn_usage("--keep-best wants --val, to know what is good");
	if (job->val_every && !validates)
		dtn_usage("--val-every wants --val");
	if (!s->store.checkpoint && (job->keep_best || job->save_every))
		dtn_usage("%s wants -o to name a file",
			  job->keep_best ? "--keep-best" : "--save-every");
	if (job->keep_best)
		dtn_output_check(s->store.best);
	if (!job->keep_best && dtn_meta_get(&s->store.model.meta, "train.best"))
		dtn_warn("%s stays as it is without --keep-best", s->store.best);
}

/* A table written over what is read, or under the model, would cost one of them. */
static void check_log(const struct dtn_session *s)
{
	const struct dtn_training *job = s->job;
	const struct dtn_args *a = job->args;
	const char *other[] = { s->store.target, s->store.checkpoint, s->store.best,
				job->validation, job->from };
	const int others = sizeof(other) / sizeof(other[0]);

	for (int i = 0; job->log && strcmp(job->log, "-") && i < others + a->operands; i++) {
		const char *name = i < others ? other[i] : a->operand[i - others];

		if (name && dtn_same_file(job->log, name))
			dtn_usage("--log %s is one file with %s, which would be lost", job->log,
				  name);
	}
}

/* The default suits many sizes and may fit none; what was asked for should fit. */
static void check_attention(const struct dtn_settings *s)
{
	const struct dtn_unet *u = &s->unet;
	char sides[DTN_MAX_LEVELS * 12];
	int n = 0;

	for (int i = 0; i < u->levels; i++)
		n += sprintf(sides + n, i ? ", %d" : "%d", dtn_unet_side(u, i));
	for (int k = 0, level; k < u->attns && dtn_settings_given(s, "attn"); k++) {
		for (level = 0; level < u->levels; level++)
			if (u->attn[k] == dtn_unet_side(u, level))
				break;
		if (level == u->levels)
			dtn_warn("--attn %d: no level has this size; there are %s", u->attn[k],
				 sides);
	}
}

/* The size of the images joins the settings. */
static void match_size(struct dtn_session *s)
{
	struct dtn_unet *u = &s->settings.unet;
	const struct dtn_data *d = &s->data;
	const char *wrong;
	bool same = u->height == d->height && u->width == d->width && u->colours == d->colours;

	if (s->job->resume && !same)
		dtn_die(DTN_INPUT, "images of %dx%dx%d, but %s was trained on %dx%dx%d", d->width,
			d->height, d->colours, s->store.target, u->width, u->height, u->colours);
	if (s->job->from && !s->job->resume && u->colours != d->colours)
		dtn_die(DTN_INPUT, "images of %d channels, but %s was trained on %d", d->colours,
			s->job->from, u->colours);
	if (s->job->from && !same)
		dtn_unet_resize(u, d->height, d->width);
	u->height = d->height;
	u->width = d->width;
	u->colours = d->colours;
	wrong = dtn_unet_check(u);
	if (wrong && (d->height > 4096 || d->width > 4096 || d->colours > 64))
		dtn_die(DTN_INPUT, "cannot train on images of %dx%dx%d: %s", d->width, d->height,
			d->colours, wrong);
	if (wrong)
		dtn_usage("%s", wrong);
	check_attention(&s->settings);
}

/* The model that is continued or begun with says which classes there are, if it knows any. */
static void want_classes(struct dtn_session *s)
{
	const struct dtn_model *m = s->job->resume ? &s->store.model : &s->origin;

	if (s->settings.conditional)
		dtn_data_classes(&s->data, m->unet.classes > 0 ?
				 dtn_meta_get(&m->meta, "labels") : NULL);
}

/* After all images were read. */
static void count_classes(struct dtn_session *s)
{
	s->settings.unet.classes = s->data.classes.list.n;
	if (s->settings.conditional && s->data.classes.list.n == 0)
		dtn_die(DTN_INPUT, "no image is of any class, but training is with classes");
}

static void check_schedule(const struct dtn_settings *s)
{
	dtn_schedule_settle(&s->schedule);
	if (dtn_schedule_ends_in_noise(&s->schedule) && s->predict == DTN_EPS)
		dtn_usage("%s leaves only noise at the last step: wants --predict v or x0",
			  s->schedule.zero_snr ? "--zero-snr" : "--schedule jsd");
}

/* Images that come with noise bring its schedule; what was asked for must not contradict it. */
static void match_noise(struct dtn_session *s)
{
	const struct dtn_schedule_config *theirs = &s->data.schedule;
	struct dtn_schedule_config *ours = &s->settings.schedule;
	struct dtn_schedule schedule;

	if (s->data.noised && !s->job->resume)
		dtn_settings_adopt_schedule(&s->settings, theirs);
	if (s->data.noised && !dtn_schedule_same(ours, theirs)) {
		if (s->job->resume)
			dtn_die(DTN_INPUT, "the images come with noise of %s, but %s was trained "
				"with %s", dtn_schedule_text(theirs), s->store.target,
				dtn_schedule_text(ours));
		dtn_usage("the images come with noise of %s, not of %s: leave out -T, --schedule, "
			  "--beta and --zero-snr", dtn_schedule_text(theirs),
			  dtn_schedule_text(ours));
	}
	check_schedule(&s->settings);
	dtn_schedule_init(&schedule, ours);
	dtn_schedule_warn(&schedule);
	dtn_schedule_release(&schedule);
}

/* Steps between validations: an epoch, but enough for training to take most of the time. */
static int64_t validate_every(const struct dtn_session *s)
{
	int64_t images = s->trainer.images, epoch = dtn_ceil_div(s->trainer.split.trains, images);
	int64_t rarely = dtn_ceil_div(TRAINED_EACH * (int64_t)s->validator.evaluations, images);

	return s->job->val_every ? s->job->val_every : epoch > rarely ? epoch : rarely;
}

static void load_validation(struct dtn_session *s, uint64_t max_memory)
{
	char *operand[] = { (char *)s->job->validation };
	struct dtn_data *d = &s->other;

	dtn_keep_init(&d->keep, 0);
	if (!s->job->validation)
		return;
	dtn_data_open(d, 1, operand, max_memory);
	if (d->height != s->data.height || d->width != s->data.width ||
	    d->colours != s->data.colours)
		dtn_die(DTN_INPUT, "%s: images of %dx%dx%d, but training is on %dx%dx%d",
			s->job->validation, d->width, d->height, d->colours, s->data.width,
			s->data.height, s->data.colours);
	d->clean = true;                /* its own noise, the same for all models */
	if (s->settings.conditional) {
		char *names = dtn_known_text(&s->data.classes);

		dtn_data_classes(d, names);
		free(names);
	}
	dtn_data_load(d, NULL, NULL);
}

/* Weights and moments: from the model that is resumed, or fresh, or only weights from another. */
static void set_weights(struct dtn_session *s, struct dtn_reader *model)
{
	struct dtn_trainer *r = &s->trainer;
	struct dtn_weights weights;

	if (!s->job->resume) {
		dtn_trainer_start(r);
		if (!model)
			return;
		weights = dtn_trainer_room(r);
		dtn_adopt(&r->graph.graph, weights.param, model, &s->origin);
		dtn_reader_close(model);
		dtn_trainer_put(r);
		dtn_optim_start(&r->optim);
		dtn_trainer_ready(r);
		return;
	}
	weights = dtn_trainer_room(r);
	dtn_model_read(model, &s->store.model, &r->graph.graph, &weights, &r->counters);
	dtn_reader_close(model);
	dtn_trainer_put(r);
	dtn_trainer_ready(r);
}

/* Where to compute and in what numbers. */
static void choose_device(struct dtn_session *s)
{
	const char *trained = dtn_meta_get(&s->store.model.meta, "train.precision");

	s->backend = dtn_device(s->job->device);
	s->type = dtn_precision(s->backend, s->job->precision, trained);
}

/* Without --max-mem images take what the network leaves, but not more than half of the memory. */
static uint64_t memory_for_images(const struct dtn_session *s, uint64_t left)
{
	uint64_t half = dtn_memory() / 2;

	if (s->job->limited)
		return s->job->max_memory;
	return left < half ? left : half;
}

/* What was allowed with --max-mem may be more than there is. */
static void check_memory(const struct dtn_session *s, uint64_t left)
{
	uint64_t images = s->data.keep.memory + s->other.keep.memory;
	const double GiB = 1 << 30;

	if (images > left)
		dtn_die(DTN_INPUT, "the images take %.1f GiB of memory, but the network leaves "
			"%.1f: a lower --max-mem keeps them in $TMPDIR", (double)images / GiB,
			(double)left / GiB);
}

/* The first image tells the size of the network, so whether that fits is known before the rest. */
static void read_images(struct dtn_session *s)
{
	const struct dtn_training *job = s->job;
	int askers = wants_validation(s) + (job->sample_every > 0);
	uint64_t left, most;

	dtn_data_open(&s->data, job->args->operands, job->args->operand, 0);
	match_size(s);
	match_noise(s);
	want_classes(s);
	if (job->sample_every)
		dtn_preview_check(job->sample_to, s->data.colours);
	s->workers = dtn_fit_memory(&s->settings, s->backend, s->type, s->threads, askers, &left);
	dtn_fit_attention(&s->settings.unet);
	most = memory_for_images(s, left);
	s->data.keep.max_memory = most;
	dtn_data_load(&s->data, read_count, s);
	count_classes(s);
	load_validation(s, most - s->data.keep.memory);
	check_memory(s, left);
	dtn_line_clear(&s->progress.line);
}

/* What validates and what makes pictures has the trainer's averaged weights. */
static void watch(struct dtn_session *s)
{
	const struct dtn_training *job = s->job;

	s->validates = job->validation || s->trainer.split.helds > 0;
	if (wants_validation(s) && !s->validates)
		dtn_die(DTN_INPUT, "one image cannot be held back and trained on: --val wants two");
	if (s->validates)
		dtn_validator_init(&s->validator, &s->trainer, job->validation ? &s->other : NULL);
	s->val_every = validate_every(s);
	if (job->sample_every)
		dtn_preview_init(&s->preview, &s->trainer, job->sample_to);
}

void dtn_session_prepare(struct dtn_session *s, const struct dtn_training *job,
			 const struct dtn_settings *wanted)
{
	const struct dtn_args *a = job->args;
	struct dtn_reader *model;

	s->job = job;
	s->threads = a->threads;
	dtn_signals_begin();
	dtn_progress_init(&s->progress, s->limits);
	dtn_store_init(&s->store, a->output, a->force, a->level);
	model = settle(s, wanted);
	check_options(s);
	check_log(s);
	check_schedule(&s->settings);
	choose_device(s);
	read_images(s);
	dtn_trainer_init(&s->trainer, &s->settings, &s->data, s->backend, s->type, s->workers);
	dtn_limits_complete(&s->limits, job, s->trainer.split.trains, s->trainer.images);
	set_weights(s, model);
	dtn_session_describe(s);
	watch(s);
	dtn_log_open(&s->log, job->log, s->trainer.counters.step, s->validates);
	dtn_session_say(s);
}

void dtn_session_release(struct dtn_session *s)
{
	if (s->validates)
		dtn_validator_release(&s->validator);
	if (s->job->sample_every)
		dtn_preview_release(&s->preview);
	dtn_model_release(&s->origin);
	dtn_trainer_release(&s->trainer);
	dtn_store_release(&s->store);
	dtn_data_release(&s->data);
	dtn_data_release(&s->other);
}
