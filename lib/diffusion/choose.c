/* choose.c -- which schedule: the options that say it, and the metadata that keep it.
 *
 * What a model or a stream keeps is read in lib/model.c, with the rest of a configuration.
 */
#include "lib/diffusion/choose.h"

#include <stdlib.h>
#include <string.h>

struct dtn_schedule_config dtn_schedule_default(void)
{
	const struct dtn_args args = { .name = "schedule", .value = DTN_DEFAULT_SCHEDULE };

	return (struct dtn_schedule_config){
		.steps = atoi(DTN_DEFAULT_STEPS),
		.kind = (enum dtn_schedule_kind)dtn_args_choice(&args, DTN_SCHEDULES)
	};
}

bool dtn_schedule_option(struct dtn_schedule_config *c, const struct dtn_args *args)
{
	double ends[2];

	if (!strcmp(args->name, "timesteps")) {
		c->steps = (int)dtn_args_int(args, 1, DTN_MAX_STEPS);
	} else if (!strcmp(args->name, "schedule")) {
		c->kind = (enum dtn_schedule_kind)dtn_args_choice(args, DTN_SCHEDULES);
	} else if (!strcmp(args->name, "beta")) {
		dtn_args_pair(args, ends, DTN_LEAST_BETA, 1);
		c->beta_first = ends[0];
		c->beta_last = ends[1];
	} else if (!strcmp(args->name, "zero-snr")) {
		c->zero_snr = true;
	} else {
		return false;
	}
	return true;
}

void dtn_schedule_settle(const struct dtn_schedule_config *c)
{
	const char *wrong = dtn_schedule_check(c);

	if (wrong)
		dtn_usage("%s", wrong);
	if (c->beta_first != 0 && !dtn_schedule_has_ends(c->kind))
		dtn_usage("--beta: the ends of this schedule are fixed; linear has ends to choose");
}

void dtn_schedule_warn(const struct dtn_schedule *s)
{
	const double small = 1e-3, left = dtn_snr(s, s->config.steps - 1);

	if (left > small)
		dtn_warn("the last of %d steps still shows the image (signal to noise %.2g), "
			 "so samples will be dull: take another schedule, or --zero-snr",
			 s->config.steps, left);
}

char *dtn_schedule_text(const struct dtn_schedule_config *c)
{
	const char *end = c->zero_snr ? ", no signal at the end" : "";
	char *name = dtn_choice_text(DTN_SCHEDULES, (int)c->kind), *text;
	double first, last;

	dtn_schedule_ends(c, &first, &last);
	if (dtn_schedule_has_ends(c->kind))
		text = dtn_format("%d steps, %s, betas %.6g to %.6g%s", c->steps, name, first, last,
				  end);
	else
		text = dtn_format("%d steps, %s%s", c->steps, name, end);
	free(name);
	return text;
}

void dtn_schedule_to_meta(const struct dtn_schedule_config *c, struct dtn_meta *meta)
{
	char *name = dtn_choice_text(DTN_SCHEDULES, (int)c->kind);
	double first, last;

	dtn_meta_set(meta, "ddpm.steps", "%d", c->steps);
	dtn_meta_set(meta, "ddpm.schedule", "%s", name);
	free(name);
	if (dtn_schedule_has_ends(c->kind)) {
		dtn_schedule_ends(c, &first, &last);
		dtn_meta_set(meta, "ddpm.beta", "%.17g,%.17g", first, last);
	}
	dtn_meta_set(meta, "ddpm.zero_snr", "%d", c->zero_snr);
}
