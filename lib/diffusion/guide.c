/* guide.c -- of which classes images are made, and how much of them. */
#include "lib/diffusion/guide.h"

#include "lib/labels.h"

#include <stdlib.h>

/* How much, where nothing is said: a model that knows no images without a class can do nothing but
 * what it learned. */
static void choose_guidance(struct dtn_guide *g, const struct dtn_model *model, bool images)
{
	const char *dropped = dtn_meta_get(&model->meta, "train.label_dropout");
	const bool named_only = dropped && strtod(dropped, NULL) == 0;

	if (!g->class && images) {
		if (g->guidance > 0)
			dtn_usage("--guidance with images --from a stream wants their --class");
		g->guidance = 0;
	}
	if (g->guidance < 0)
		g->guidance = named_only ? 1 : DTN_GUIDANCE;
	if (named_only && g->guidance != 1)
		dtn_usage("the model was trained without --label-dropout, so it makes images of a "
			  "--class only, with --guidance 1");
}

void dtn_guide_usual(int between[2], const struct dtn_schedule_config *c)
{
	between[0] = 0;
	between[1] = c->steps - 1;
}

/* Is the network asked with a class and without? */
static bool guided(const struct dtn_guide *g)
{
	return g->guidance != 0 && g->guidance != 1;
}

static void choose_timesteps(struct dtn_guide *g, const struct dtn_model *model)
{
	int n;

	dtn_guide_usual(g->between, &model->schedule);
	if (!g->at.value)
		return;
	if (!guided(g))
		dtn_usage("%s wants a --guidance other than 0 and 1, not %g",
			  dtn_args_typed(&g->at), g->guidance);
	n = dtn_args_list(&g->at, g->between, 2, 0, model->schedule.steps - 1);
	if (n != 2 || g->between[0] > g->between[1])
		dtn_usage("%s %s: wants two timesteps, LOW,HIGH", dtn_args_typed(&g->at),
			  g->at.value);
}

void dtn_guide_choose(struct dtn_guide *g, const struct dtn_model *model, bool images)
{
	if (model->unet.classes == 0) {
		if (g->class || g->guidance >= 0 || g->at.value)
			dtn_usage("%s: the model was not trained with classes",
				  g->class ? "--class" : g->at.value ? "--guide-at" : "--guidance");
		return;
	}
	choose_guidance(g, model, images);
	choose_timesteps(g, model);
	g->labels = dtn_labels_choose(g->class, dtn_meta_get(&model->meta, "labels"), &g->label);
	if (g->guidance == 0)
		dtn_guide_release(g);
}

void dtn_guide_describe(const struct dtn_guide *g, const struct dtn_model *model,
			struct dtn_meta *meta)
{
	if (model->unet.classes == 0)
		return;
	dtn_meta_set(meta, "sample.guidance", "%.9g", g->guidance);
	if (g->guidance == 0)
		return;
	dtn_meta_set(meta, "labels", "%s", dtn_meta_get(&model->meta, "labels"));
	dtn_meta_set(meta, "sample.class", "%s", g->class ? g->class : "all");
	if (guided(g))
		dtn_meta_set(meta, "sample.guide_at", "%d,%d", g->between[0], g->between[1]);
}

void dtn_guide_release(struct dtn_guide *g)
{
	free(g->label);
	g->label = NULL;
	g->labels = 0;
}
