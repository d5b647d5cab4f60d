/* choose.h -- which schedule: the options that say it, and the metadata that keep it. */
#ifndef DTN_CHOOSE_H
#define DTN_CHOOSE_H

#include "format/dtn.h"
#include "lib/diffusion/schedule.h"
#include "lib/options.h"

/* Lines for a program's table of options. */
#define DTN_SCHEDULE_OPTIONS \
	{ "timesteps", 'T', "STEPS", "steps of diffusion (default: " DTN_DEFAULT_STEPS ")" }, \
	{ "schedule", 0, "NAME", DTN_SCHEDULES " (default: " DTN_DEFAULT_SCHEDULE ")" }, \
	{ "beta", 0, "LO,HI", "ends of the betas (default: 1e-4,0.02 for 1000 steps)" }, \
	{ "zero-snr", 0, NULL, "let nothing of the image be left at the last step" }

struct dtn_schedule_config dtn_schedule_default(void);

/* Take the option that `args` just returned, if it is one of these; false if not. */
bool dtn_schedule_option(struct dtn_schedule_config *, const struct dtn_args *);

/* After the last option: a usage error where they do not go together. */
void dtn_schedule_settle(const struct dtn_schedule_config *);

/* Warn where the last step still shows the image: sampling begins with pure noise, which a network
 * trained on such a schedule has never seen. */
void dtn_schedule_warn(const struct dtn_schedule *);

/* "300 steps, linear, betas 0.0001 to 0.02, no signal at the end"; allocated. */
char *dtn_schedule_text(const struct dtn_schedule_config *);

/* As metadata (ddpm.steps, ddpm.schedule, ddpm.beta, ddpm.zero_snr). */
void dtn_schedule_to_meta(const struct dtn_schedule_config *, struct dtn_meta *);

#endif
