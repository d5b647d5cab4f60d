/* settings.h -- everything that decides which weights come out of a training run, but the data.
 *
 * Settings come from defaults, from options and, in a resumed run, from the model file.  A run is
 * reproducible from its settings; how long it runs, on how many threads and where it writes are no
 * settings (lib/train/train.h).
 */
#ifndef DTN_SETTINGS_H
#define DTN_SETTINGS_H

#include "lib/diffusion/schedule.h"
#include "lib/model.h"
#include "lib/nn/graph.h"
#include "lib/nn/unet.h"
#include "lib/options.h"

enum { DTN_MOST_UPDATE = 1 << 20 };     /* images an update of the weights */
enum dtn_decay { DTN_CONSTANT_RATE, DTN_COSINE_RATE, DTN_LINEAR_RATE };

struct dtn_settings {
	/* height, width, colours and how many classes come from the data */
	struct dtn_unet unet;
	bool conditional;               /* on the class */
	double label_dropout;           /* of conditional training only */
	struct dtn_schedule_config schedule;
	enum dtn_predict predict;
	enum dtn_loss_kind loss;
	enum dtn_weight weight;
	int batch, accum;               /* images an update: batch * accum, see above */
	double rate, rate_end;          /* rate_end 0 without decay */
	enum dtn_decay decay;
	int warmup;                     /* steps */
	double clip;                    /* 0: no clipping */
	double betas[2], ema, weight_decay;
	bool flip;
	double held_back;               /* fraction of the images that validates */
	bool held_back_given;
	uint64_t seed;
	bool seed_given;
	uint64_t given;                 /* bit i: setting i was given as an option */
};

/* All settings at their defaults, but those that depend on others: dtn_settings_complete. */
void dtn_settings_default(struct dtn_settings *);

/* The option that `args` just returned, if it is a setting; false if not. */
bool dtn_settings_option(struct dtn_settings *, const struct dtn_args *);

/* Take this schedule, but for what was given. */
void dtn_settings_adopt_schedule(struct dtn_settings *, const struct dtn_schedule_config *);

/* Go on from another model, but with the settings that were given: the network is its, so is the
 * diffusion where nothing else was asked for.  Usage error where another network was. */
void dtn_settings_adopt(struct dtn_settings *, const struct dtn_model *, const char *name);

bool dtn_settings_given(const struct dtn_settings *, const char *option);

/* Fill in the defaults that depend on other settings. */
void dtn_settings_complete(struct dtn_settings *);

/* Keep the settings of training in a model's metadata, and take them from there; reading dies
 * with status 3 where one is missing or wrong. */
void dtn_settings_to_meta(const struct dtn_settings *, struct dtn_meta *);
void dtn_settings_from_model(struct dtn_settings *, const struct dtn_model *, const char *name);

/* Usage error where a setting given in `wanted` differs from that of the model `name`. */
void dtn_settings_compare(const struct dtn_settings *wanted, const struct dtn_settings *model,
			  const char *name);

#endif
