/* describe.c -- what a training is, in the words of its file and of its messages. */
#include "lib/train/session.h"

#include <stdlib.h>

/* Options that do not change what the model of a given step is. */
#define NO_EFFECT "--log= --max-mem= --max-record= --resume --steps= --epochs= --time= " \
	"--save-every= --val-every= --device= --sample-every= --sample-to="

/* The order of the keys is that of the first run. */
void dtn_session_describe(struct dtn_session *s)
{
	struct dtn_model *m = &s->store.model;
	const struct dtn_args *a = s->job->args;
	const char *images = dtn_meta_get(&m->meta, "train.images");
	/* A part that is held back is not trained on, a stream of its own changes nothing. */
	const char *no_effect = s->job->validation ? "--val= " NO_EFFECT : NO_EFFECT;

	if (images && strtoull(images, NULL, 10) != s->data.images)
		dtn_warn("%llu images, but the run that is continued had %s",
			 (unsigned long long)s->data.images, images);
	if (!s->job->resume) {
		m->unet = s->settings.unet;
		m->schedule = s->settings.schedule;
		m->predict = s->settings.predict;
		dtn_meta_copy(&m->meta, &s->data.meta);
		dtn_prov_merge(&m->prov, &s->data.prov);
		dtn_prov_merge(&m->prov, &s->other.prov);
		dtn_prov_merge(&m->prov, &s->origin.prov);
		if (!a->no_prov)
			dtn_prov_add(&m->prov, a->argc, a->argv, no_effect, a->operands,
				     a->operand);
	}
	if (s->settings.conditional) {
		char *labels = dtn_known_text(&s->data.classes);

		dtn_meta_set(&m->meta, "labels", "%s", labels);
		free(labels);
	}
	if (!s->limits.seconds)         /* the clock decides nothing any more */
		dtn_limits_forget_time(&m->meta);
	dtn_model_to_meta(m, &m->meta);
	dtn_settings_to_meta(&s->settings, &m->meta);
	dtn_meta_set(&m->meta, "train.images", "%llu", (unsigned long long)s->data.images);
	dtn_meta_set(&m->meta, "train.precision", "%s", dtn_type_name(s->trainer.graph.graph.type));
	dtn_meta_set(&m->meta, "train.step", "%lld", (long long)s->trainer.counters.step);
}

void dtn_session_say(const struct dtn_session *s)
{
	const struct dtn_trainer *r = &s->trainer;

	if (s->progress.line.terminal && dtn_verbosity == 0)
		dtn_note("%llu image%s of %dx%dx%d, %llu parameters, on %s (%s)",
			 (unsigned long long)s->data.images, dtn_plural(s->data.images),
			 s->data.width, s->data.height, s->data.colours,
			 (unsigned long long)dtn_unet_parameters(&s->settings.unet),
			 r->net.backend->name, r->net.backend->detail);
	if (s->settings.conditional)
		dtn_say("%d classes", s->data.classes.list.n);
	dtn_say("%llu image%s of %dx%dx%d, %u held back; %llu bytes in memory, %llu spooled",
		(unsigned long long)s->data.images, dtn_plural(s->data.images), s->data.width,
		s->data.height, s->data.colours, r->split.helds,
		(unsigned long long)s->data.keep.memory,
		(unsigned long long)s->data.keep.spooled);
	dtn_say("%llu parameters; %d slice%s of %d image%s a step; seed %llu",
		(unsigned long long)dtn_unet_parameters(&s->settings.unet), r->slices,
		dtn_plural((uint64_t)r->slices), r->slice, dtn_plural((uint64_t)r->slice),
		(unsigned long long)s->settings.seed);
	dtn_say("device %s, %s, in %s; %d thread%s", r->net.backend->name, r->net.backend->detail,
		dtn_type_name(r->graph.graph.type), r->net.workers,
		dtn_plural((uint64_t)r->net.workers));
}
