/* settings.c -- settings as options, as text and as metadata.
 *
 * Every setting has one text that means its value; two values are equal when their texts are.
 */
#include "lib/train/settings.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { INT, REAL, FLOAT, FLAG, CHOICE, PAIR, MULT, ATTN };

#define SETTING(option, letter, arg, kind, field, least, most, choices, value, key, help) \
	{ option, kind, offsetof(struct dtn_settings, field), least, most, choices, value, key },
static const struct setting {
	const char *name;
	enum kind kind;
	size_t offset;
	double least, most;
	const char *choices, *value, *key;
} setting[] = {
#include "lib/train/settings.def"
};
#undef SETTING
enum { SETTINGS = sizeof(setting) / sizeof(setting[0]) };

/* --- from text ------------------------------------------------------------------------------- */

/* The argument of an option into its field. */
static void parse(struct dtn_settings *s, const struct setting *e, const struct dtn_args *args)
{
	void *at = (char *)s + e->offset;
	int64_t least = (int64_t)e->least, most = (int64_t)e->most;

	switch (e->kind) {
	case INT: *(int *)at = (int)dtn_args_int(args, least, most); break;
	case REAL: *(double *)at = dtn_args_real(args, e->least, e->most); break;
	case FLOAT: *(float *)at = (float)dtn_args_real(args, e->least, e->most); break;
	case FLAG: *(bool *)at = true; break;
	case CHOICE: *(int *)at = dtn_args_choice(args, e->choices); break;
	case PAIR: dtn_args_pair(args, at, e->least, e->most); break;
	case MULT: s->unet.levels = dtn_args_list(args, at, DTN_MAX_LEVELS, least, most); break;
	case ATTN:
		s->unet.attns = strcmp(args->value, "none") ?
				dtn_args_list(args, at, DTN_MAX_ATTN, least, most) : 0;
		break;
	}
}

/* A default with a slash depends on other settings. */
void dtn_settings_default(struct dtn_settings *s)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < SETTINGS; i++) {
		struct dtn_args args = { .name = setting[i].name, .value = setting[i].value };

		if (setting[i].kind != FLAG && !strchr(setting[i].value, '/'))
			parse(s, &setting[i], &args);
	}
}

bool dtn_settings_option(struct dtn_settings *s, const struct dtn_args *args)
{
	for (int i = 0; i < SETTINGS; i++)
		if (!strcmp(setting[i].name, args->name)) {
			parse(s, &setting[i], args);
			s->given |= (uint64_t)1 << i;
			return true;
		}
	return false;
}

/* A group of four channels has enough numbers for a mean; more than 32 groups are of no use. */
void dtn_settings_complete(struct dtn_settings *s)
{
	int channels = s->unet.channels, groups = channels / 4;

	if (s->unet.groups)
		return;
	groups = groups < 1 ? 1 : groups > 32 ? 32 : groups;
	while (channels % groups)
		groups--;
	s->unet.groups = groups;
}

/* --- to text --------------------------------------------------------------------------------- */

static char *list(const int *number, int n)
{
	char *text = dtn_strdup(n ? "" : "none");

	for (int i = 0; i < n; i++) {
		char *more = dtn_format("%s%s%d", text, i ? "," : "", number[i]);
		free(text);
		text = more;
	}
	return text;
}

/* The shortest text that is read as the same number, or the same once rounded to f32. */
static char *shortest(double x, bool f32)
{
	char text[40];

	for (int digits = 1; digits <= 17; digits++) {
		double y;

		snprintf(text, sizeof(text), "%.*g", digits, x);
		y = strtod(text, NULL);
		if (y == x || (f32 && (float)y == (float)x))
			break;
	}
	return dtn_strdup(text);
}

static char *pair(const double x[2])
{
	char *first = shortest(x[0], false), *second = shortest(x[1], false);
	char *text = dtn_format("%s,%s", first, second);

	free(first);
	free(second);
	return text;
}

/* The value as it would be typed; allocated. */
static char *text_of(const struct dtn_settings *s, const struct setting *e)
{
	const void *at = (const char *)s + e->offset;
	const double *x = at;

	switch (e->kind) {
	case INT: return dtn_format("%d", *(const int *)at);
	case REAL: return shortest(*x, false);
	case FLOAT: return shortest((double)*(const float *)at, true);
	case FLAG: return dtn_format("%d", *(const bool *)at);
	case CHOICE: return dtn_choice_text(e->choices, *(const int *)at);
	case PAIR: return pair(x);
	case MULT: return list(at, s->unet.levels);
	case ATTN: return list(at, s->unet.attns);
	}
	return NULL;
}

/* --- metadata -------------------------------------------------------------------------------- */

/* A file need not say what only conditional training has, nor that a decay ends at 0. */
static bool applies(const struct dtn_settings *s, const struct setting *e)
{
	if (!strcmp(e->name, "lr-end"))
		return s->rate_end != 0;
	return s->conditional || strcmp(e->name, "label-dropout") != 0;
}

void dtn_settings_to_meta(const struct dtn_settings *s, struct dtn_meta *meta)
{
	for (int i = 0; i < SETTINGS; i++) {
		char *text;

		if (!*setting[i].key || !applies(s, &setting[i]))
			continue;
		text = text_of(s, &setting[i]);
		dtn_meta_set(meta, setting[i].key, "%s", text);
		free(text);
	}
	dtn_meta_set(meta, "train.held_back", "%.17g", s->held_back);
	dtn_meta_set(meta, "train.seed", "%llu", (unsigned long long)s->seed);
	dtn_meta_set(meta, "train.rng", "philox4x32-10");
}

static bool number(const struct setting *e, const char *text, char **end, double *x)
{
	*x = strtod(text, end);
	return *end > text && *x >= e->least && *x <= e->most;
}

/* A value of a file into its field; false where the text means none. */
static bool take(struct dtn_settings *s, const struct setting *e, const char *text)
{
	void *at = (char *)s + e->offset;
	char *end;
	double x;

	if (e->kind == CHOICE) {
		int i = dtn_choice_find(e->choices, text);

		if (i >= 0)
			*(int *)at = i;
		return i >= 0;
	}
	if (!number(e, text, &end, &x))
		return false;
	if (e->kind == PAIR) {
		((double *)at)[0] = x;
		return *end == ',' && number(e, end + 1, &end, (double *)at + 1) && !*end;
	}
	if (*end)
		return false;
	if (e->kind == REAL)
		*(double *)at = x;
	else if (x != floor(x))
		return false;
	else if (e->kind == INT)
		*(int *)at = (int)x;
	else
		*(bool *)at = x != 0;
	return true;
}

/* A key that every file has that dtn-train wrote. */
static const char *expect(const struct dtn_model *model, const char *key, const char *name)
{
	const char *text = dtn_meta_get(&model->meta, key);

	if (!text)
		dtn_die(DTN_INPUT, "%s: cannot be resumed: it does not say %s", name, key);
	return text;
}

static _Noreturn void invalid(const char *name, const char *key, const char *text)
{
	dtn_die(DTN_INPUT, "%s: invalid model configuration: %s=%s", name, key, text);
}

void dtn_settings_from_model(struct dtn_settings *s, const struct dtn_model *model,
			     const char *name)
{
	const char *seed = expect(model, "train.seed", name);
	const char *held = expect(model, "train.held_back", name);
	char *end;

	memset(s, 0, sizeof(*s));
	s->unet = model->unet;
	s->schedule = model->schedule;
	s->predict = model->predict;
	s->conditional = model->unet.classes > 0;
	for (int i = 0; i < SETTINGS; i++) {
		const char *key = setting[i].key, *text;

		if (!*key || (!applies(s, &setting[i]) && !dtn_meta_get(&model->meta, key)))
			continue;
		text = expect(model, key, name);
		if (!take(s, &setting[i], text))
			invalid(name, key, text);
	}
	if ((int64_t)s->batch * s->accum > DTN_MOST_UPDATE)
		dtn_die(DTN_INPUT, "%s: cannot be resumed: train.batch=%d times train.accum=%d is "
			"more than %d images a step", name, s->batch, s->accum, DTN_MOST_UPDATE);
	s->seed = strtoull(seed, &end, 10);
	if (end == seed || *end)
		invalid(name, "train.seed", seed);
	s->held_back = strtod(held, &end);
	if (end == held || *end || !(s->held_back >= 0 && s->held_back < 1))
		invalid(name, "train.held_back", held);
}

void dtn_settings_compare(const struct dtn_settings *wanted, const struct dtn_settings *model,
			  const char *name)
{
	for (int i = 0; i < SETTINGS; i++) {
		char *ours, *theirs;

		if (!(wanted->given >> i & 1))
			continue;
		ours = text_of(wanted, &setting[i]);
		theirs = text_of(model, &setting[i]);
		if (strcmp(ours, theirs))
			dtn_usage("--%s %s contradicts %s, which was trained with %s",
				  setting[i].name, ours, name, theirs);
		free(ours);
		free(theirs);
	}
	if (wanted->held_back_given && wanted->held_back != model->held_back)
		dtn_usage("--val contradicts %s, which was trained with %g of its images held back",
			  name, model->held_back);
	if (wanted->seed_given && wanted->seed != model->seed)
		dtn_usage("--seed %llu contradicts %s, which was trained with %llu",
			  (unsigned long long)wanted->seed, name, (unsigned long long)model->seed);
}

/* --- from elsewhere -------------------------------------------------------------------------- */

bool dtn_settings_given(const struct dtn_settings *s, const char *name)
{
	for (int i = 0; i < SETTINGS; i++)
		if (!strcmp(setting[i].name, name))
			return s->given >> i & 1;
	return false;
}

/* Another number of steps or another schedule brings its own ends of the betas. */
void dtn_settings_adopt_schedule(struct dtn_settings *s, const struct dtn_schedule_config *theirs)
{
	bool steps = dtn_settings_given(s, "timesteps") && s->schedule.steps != theirs->steps;
	bool kind = dtn_settings_given(s, "schedule") && s->schedule.kind != theirs->kind;
	struct dtn_schedule_config c = *theirs;

	if (steps)
		c.steps = s->schedule.steps;
	if (kind)
		c.kind = s->schedule.kind;
	if (steps || kind || dtn_settings_given(s, "beta")) {
		c.beta_first = s->schedule.beta_first;
		c.beta_last = s->schedule.beta_last;
	}
	c.zero_snr |= s->schedule.zero_snr;
	s->schedule = c;
}

/* What the shape of the weights and what they mean depend on. */
static bool of_network(const struct setting *e)
{
	return e->offset < offsetof(struct dtn_settings, conditional) &&
	       strcmp(e->name, "dropout") != 0;
}

void dtn_settings_adopt(struct dtn_settings *s, const struct dtn_model *model, const char *name)
{
	float dropout = dtn_settings_given(s, "dropout") ? s->unet.dropout : model->unet.dropout;
	struct dtn_settings theirs = { .unet = model->unet };

	for (int i = 0; i < SETTINGS; i++) {
		char *ours, *text;

		if (!(s->given >> i & 1) || !of_network(&setting[i]))
			continue;
		ours = text_of(s, &setting[i]);
		text = text_of(&theirs, &setting[i]);
		if (strcmp(ours, text))
			dtn_usage("--%s %s: the network of %s has %s", setting[i].name, ours, name,
				  text);
		free(ours);
		free(text);
	}
	s->unet = model->unet;
	s->unet.dropout = dropout;
	s->conditional |= model->unet.classes > 0;
	dtn_settings_adopt_schedule(s, &model->schedule);
	if (!dtn_settings_given(s, "predict"))
		s->predict = model->predict;
}
