/* model.c -- a model's configuration as metadata.
 *
 * A model may come from anywhere, so every number is checked as text first (digits, few of them),
 * then by the ranges of the network and the schedule; nothing is allocated before all is found to
 * be good.
 */
#include "lib/model.h"

#include "lib/diffusion/choose.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int Version = 1;

/* --- writing ---------------------------------------------------------------------------------- */

/* "1,2,2"; "none" without numbers. */
static void set_list(struct dtn_meta *meta, const char *key, const int *number, int n)
{
	char text[16 * 12] = "none";
	int at = 0;

	for (int i = 0; i < n; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, i ? ",%d" : "%d", number[i]);
	dtn_meta_set(meta, key, "%s", text);
}

static void set_word(struct dtn_meta *meta, const char *key, const char *words, int i)
{
	char *word = dtn_choice_text(words, i);

	dtn_meta_set(meta, key, "%s", word);
	free(word);
}

void dtn_model_to_meta(const struct dtn_model *m, struct dtn_meta *meta)
{
	const struct dtn_unet *u = &m->unet;

	dtn_meta_set(meta, "model.arch", "ddpm-unet");
	dtn_meta_set(meta, "model.version", "%d", Version);
	dtn_meta_set(meta, "image.height", "%d", u->height);
	dtn_meta_set(meta, "image.width", "%d", u->width);
	dtn_meta_set(meta, "image.channels", "%d", u->colours);
	dtn_meta_set(meta, "unet.channels", "%d", u->channels);
	set_list(meta, "unet.mult", u->mult, u->levels);
	dtn_meta_set(meta, "unet.blocks", "%d", u->blocks);
	set_list(meta, "unet.attn", u->attn, u->attns);
	set_word(meta, "unet.attention", DTN_ATTENTIONS, (int)u->attention);
	dtn_meta_set(meta, "unet.heads", "%d", u->heads);
	dtn_meta_set(meta, "unet.groups", "%d", u->groups);
	dtn_meta_set(meta, "unet.dropout", "%.9g", u->dropout);
	if (u->classes > 0)
		dtn_meta_set(meta, "unet.classes", "%d", u->classes);
	dtn_schedule_to_meta(&m->schedule, meta);
	set_word(meta, "ddpm.prediction", DTN_PREDICTIONS, (int)m->predict);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct source { const struct dtn_meta *meta; const char *name, *what; };

static _Noreturn void bad(const struct source *s, const char *why)
{
	dtn_die(DTN_INPUT, "%s: invalid %s: %s", s->name, s->what, why);
}

static _Noreturn void bad_value(const struct source *s, const char *key, const char *why)
{
	const char *value = dtn_meta_get(s->meta, key);

	dtn_die(DTN_INPUT, "%s: invalid %s: %s=%.60s%s: %s", s->name, s->what, key, value,
		strlen(value) > 60 ? "..." : "", why);
}

static const char *need(const struct source *s, const char *key)
{
	const char *value = dtn_meta_get(s->meta, key);

	if (!value)
		dtn_die(DTN_INPUT, "%s: invalid %s: %s is missing", s->name, s->what, key);
	return value;
}

/* Digits only, up to a comma or the end; few enough for an int. */
static bool digits(int *number, const char **text)
{
	size_t n = strspn(*text, "0123456789");

	if (n < 1 || n > 9 || ((*text)[n] && (*text)[n] != ','))
		return false;
	*number = (int)strtol(*text, NULL, 10);
	*text += n;
	return true;
}

static int integer(const struct source *s, const char *key)
{
	const char *text = need(s, key);
	int number;

	if (!digits(&number, &text) || *text)
		bad_value(s, key, "wants an integer of at most 9 digits");
	return number;
}

static int integer_or(const struct source *s, const char *key, int otherwise)
{
	return dtn_meta_get(s->meta, key) ? integer(s, key) : otherwise;
}

static int list(const struct source *s, const char *key, int *number, int most)
{
	const char *text = need(s, key);
	int n = 0;

	for (;;) {
		if (n == most)
			bad_value(s, key, "wants fewer integers");
		if (!digits(&number[n++], &text))
			bad_value(s, key, "wants integers with commas between");
		if (!*text)
			return n;
		text++;
	}
}

static int word(const struct source *s, const char *key, const char *words)
{
	int i = dtn_choice_find(words, need(s, key));

	if (i < 0)
		bad_value(s, key, "is not known to dtn " DTN_VERSION);
	return i;
}

/* A decimal number that ends at `end`: none of the hex, infinities and names that strtod takes. */
static double real(const struct source *s, const char *key, const char **text, char end)
{
	size_t n = strspn(*text, "0123456789.eE+-");
	char *stop;
	double x = strtod(*text, &stop);

	if (n == 0 || stop != *text + n || *stop != end || !isfinite(x))
		bad_value(s, key, "wants a number");
	*text = stop + (end != '\0');
	return x;
}

/* Classes are asked for by name, so each must have one. */
static int read_classes(const struct source *s)
{
	int classes = integer_or(s, "unet.classes", 0), names = 1;

	if (classes == 0)
		return 0;
	for (const char *p = need(s, "labels"); *p; p++)
		names += *p == ',';
	if (names != classes)
		bad_value(s, "unet.classes", "is not how many names labels has");
	return classes;
}

static void read_unet(struct dtn_unet *u, const struct source *s)
{
	const char *dropout = dtn_meta_get(s->meta, "unet.dropout"), *wrong;

	memset(u, 0, sizeof(*u));
	u->height = integer(s, "image.height");
	u->width = integer(s, "image.width");
	u->colours = integer(s, "image.channels");
	u->channels = integer(s, "unet.channels");
	u->levels = list(s, "unet.mult", u->mult, DTN_MAX_LEVELS);
	u->blocks = integer(s, "unet.blocks");
	if (strcmp(need(s, "unet.attn"), "none") != 0)
		u->attns = list(s, "unet.attn", u->attn, DTN_MAX_ATTN);
	if (dtn_meta_get(s->meta, "unet.attention"))
		u->attention = (enum dtn_attention_kind)word(s, "unet.attention", DTN_ATTENTIONS);
	u->heads = integer_or(s, "unet.heads", 1);
	u->groups = integer(s, "unet.groups");
	u->dropout = dropout ? (float)real(s, "unet.dropout", &dropout, '\0') : 0;
	u->classes = read_classes(s);
	wrong = dtn_unet_check(u);
	if (wrong)
		bad(s, wrong);
}

static void read_schedule(struct dtn_schedule_config *c, const struct source *s)
{
	const char *beta = dtn_meta_get(s->meta, "ddpm.beta"), *wrong;

	memset(c, 0, sizeof(*c));
	c->steps = integer(s, "ddpm.steps");
	c->kind = (enum dtn_schedule_kind)word(s, "ddpm.schedule", DTN_SCHEDULES);
	if (beta && dtn_schedule_has_ends(c->kind)) {
		c->beta_first = real(s, "ddpm.beta", &beta, ',');
		c->beta_last = real(s, "ddpm.beta", &beta, '\0');
		if (!(c->beta_first > 0) || !(c->beta_last > 0))
			bad_value(s, "ddpm.beta", "wants numbers above 0");
	}
	c->zero_snr = integer_or(s, "ddpm.zero_snr", 0) != 0;
	wrong = dtn_schedule_check(c);
	if (wrong)
		bad(s, wrong);
}

void dtn_schedule_from_meta(struct dtn_schedule_config *c, const struct dtn_meta *meta,
			    const char *name)
{
	const struct source s = { meta, name, "schedule" };

	read_schedule(c, &s);
}

void dtn_model_from_meta(struct dtn_model *m, const struct dtn_meta *meta, const char *name)
{
	const struct source s = { meta, name, "model configuration" };
	char why[80];

	if (strcmp(need(&s, "model.arch"), "ddpm-unet") != 0)
		bad_value(&s, "model.arch", "this program knows ddpm-unet");
	snprintf(why, sizeof(why), "this program knows version %d", Version);
	if (integer(&s, "model.version") != Version)
		bad_value(&s, "model.version", why);
	read_unet(&m->unet, &s);
	read_schedule(&m->schedule, &s);
	m->predict = (enum dtn_predict)word(&s, "ddpm.prediction", DTN_PREDICTIONS);
}

/* --- the file --------------------------------------------------------------------------------- */

struct dtn_reader *dtn_model_open(struct dtn_model *m, const char *path)
{
	char *operand = (char *)path;
	struct dtn_reader *r = dtn_reader_open(1, &operand, DTN_MODEL);

	memset(m, 0, sizeof(*m));
	dtn_next_segment(r);
	dtn_model_from_meta(m, dtn_reader_meta(r), dtn_reader_name(r));
	dtn_meta_copy(&m->meta, dtn_reader_meta(r));
	dtn_prov_merge(&m->prov, dtn_reader_prov(r));
	return r;
}

void dtn_model_release(struct dtn_model *m)
{
	dtn_meta_release(&m->meta);
	dtn_prov_release(&m->prov);
}

struct dtn_schedule_config dtn_schedule_of_model(const char *path)
{
	struct dtn_model model;
	struct dtn_reader *reader = dtn_model_open(&model, path);
	struct dtn_schedule_config config = model.schedule;

	while (dtn_next_segment(reader))
		;
	dtn_reader_close(reader);
	dtn_model_release(&model);
	return config;
}
