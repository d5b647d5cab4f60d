/* classes.c -- the classes of several segments as one numbered list. */
#include "lib/samples/classes.h"

#include <stdlib.h>
#include <string.h>

/* --- the list ----------------------------------------------------------------------------- */

/* Append the name, which becomes the list's. */
static void add(struct dtn_classes *c, char *name)
{
	int i = c->list.n;

	dtn_labels_append(&c->list, name);
	c->wanted = dtn_realloc(c->wanted, (size_t)c->list.cap, sizeof(*c->wanted));
	c->wanted[i] = false;
	for (int k = 0; k < c->wishes; k++)
		if (!strcmp(name, c->wish[k]))
			c->wanted[i] = c->met[k] = true;
}

/* The number of a name, which is appended where it is not there and freed where it is. */
static int place(struct dtn_classes *c, char *name)
{
	int i = dtn_labels_number(&c->list, name);

	if (i >= 0) {
		free(name);
		return i;
	}
	add(c, name);
	return c->list.n - 1;
}

char *dtn_classes_text(const struct dtn_classes *c)
{
	return c->list.n > 0 ? dtn_labels_join(c->list.name, c->list.n) : NULL;
}

/* --- a segment ---------------------------------------------------------------------------- */

void dtn_classes_want(struct dtn_classes *c, char *const *names, int n)
{
	c->wishes = n;
	c->wish = names;
	c->met = dtn_alloc((size_t)n + 1, sizeof(*c->met));
}

/* Take a list of names that differs from the last one. */
static void take_list(struct dtn_classes *c, const char *text)
{
	char **name;
	bool first = c->list.n == 0, moved = false;

	c->mapped = dtn_labels_split(text, &name);
	c->map = dtn_realloc(c->map, (size_t)c->mapped + 1, sizeof(*c->map));
	for (int i = 0; i < c->mapped; i++) {
		c->map[i] = i;
		if (first)
			add(c, name[i]);
		else
			c->map[i] = place(c, name[i]);
		moved |= c->map[i] != i;
	}
	free(name);
	if (!moved) {
		free(c->map);
		c->map = NULL;
	}
	c->grown = c->list.n != c->mapped || moved;
}

void dtn_classes_segment(struct dtn_classes *c, const struct dtn_reader *in)
{
	const char *text = dtn_meta_get(dtn_reader_meta(in), "labels");

	if (!c->begun)
		c->named = text != NULL;
	c->begun = true;
	if (text && c->text && !strcmp(text, c->text))
		return;
	free(c->text);
	c->text = text ? dtn_strdup(text) : NULL;
	if (text) {
		take_list(c, text);
		return;
	}
	free(c->map);
	c->map = NULL;
	c->mapped = 0;
	c->grown = false;
}

void dtn_classes_check(const struct dtn_classes *c, const struct dtn_reader *in,
		       const struct dtn_tensor *t)
{
	if (!t->batched || t->rank != 1 ||
	    (t->type != DTN_U8 && t->type != DTN_I32 && t->type != DTN_I64))
		dtn_reader_die(in, "tensor %s: labels are integers, one for each sample", t->name);
	if (c->named != (c->text != NULL))
		dtn_reader_die(in, c->named ? "classes without names, after classes with names" :
				   "classes with names, after classes without names");
}

/* --- labels ------------------------------------------------------------------------------- */

static int64_t get(const struct dtn_tensor *t, const void *labels, uint32_t i)
{
	return t->type == DTN_U8 ? ((const uint8_t *)labels)[i] :
	       t->type == DTN_I32 ? ((const int32_t *)labels)[i] : ((const int64_t *)labels)[i];
}

static void put(const struct dtn_tensor *t, void *labels, uint32_t i, int value)
{
	if (t->type == DTN_U8)
		((uint8_t *)labels)[i] = (uint8_t)value;
	else if (t->type == DTN_I32)
		((int32_t *)labels)[i] = value;
	else
		((int64_t *)labels)[i] = value;
}

/* Is the number `value`, of a class without a name, asked for? */
static bool wants_number(struct dtn_classes *c, int64_t value)
{
	bool wants = false;

	for (int k = 0; k < c->wishes; k++) {
		char *end;
		long long wish = strtoll(c->wish[k], &end, 10);

		if (c->wish[k][0] >= '0' && c->wish[k][0] <= '9' && !*end && wish == value)
			wants = c->met[k] = true;
	}
	return wants;
}

void dtn_classes_choose(struct dtn_classes *c, const struct dtn_reader *in,
			const struct dtn_tensor *t, const void *labels, uint8_t *keep)
{
	for (uint32_t i = 0; i < t->dim[0]; i++) {
		int64_t value = get(t, labels, i);

		if (!c->text)
			keep[i] &= wants_number(c, value);
		else if (value < 0)             /* of no class */
			keep[i] = false;
		else if (value >= c->mapped)
			dtn_reader_die(in, "label %lld, but %d classes have names",
				       (long long)value, c->mapped);
		else
			keep[i] &= c->wanted[c->map ? c->map[value] : value];
	}
}

void dtn_classes_renumber(const struct dtn_classes *c, const char *input,
			  const struct dtn_tensor *t, void *labels, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		int64_t value = get(t, labels, i);

		if (value < 0)
			continue;
		if (value >= c->mapped)
			dtn_die(DTN_INPUT, "%s: label %lld, but %d classes have names", input,
				(long long)value, c->mapped);
		if (t->type == DTN_U8 && c->map[value] > UINT8_MAX)
			dtn_die(DTN_INPUT, "%s: tensor %s: u8 has no room for %d classes", input,
				t->name, c->list.n);
		put(t, labels, i, c->map[value]);
	}
}

void dtn_classes_finish(const struct dtn_classes *c, const char *input)
{
	char *text = dtn_classes_text(c);

	for (int k = 0; k < c->wishes; k++) {
		if (c->met[k])
			continue;
		if (!text)
			dtn_die(DTN_INPUT, "%s: no sample of class %s (classes have no names here)",
				input, c->wish[k]);
		if (strlen(text) > 200)
			strcpy(text + 197, "...");
		dtn_die(DTN_INPUT, "%s: no class \"%s\"; there are %s", input, c->wish[k], text);
	}
	free(text);
}

void dtn_classes_release(struct dtn_classes *c)
{
	dtn_labels_release(&c->list);
	free(c->text);
	free(c->map);
	free(c->wanted);
	free(c->met);
	memset(c, 0, sizeof(*c));
}
