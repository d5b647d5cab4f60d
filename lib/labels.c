/* labels.c -- names of classes, as a stream's metadata keeps them. */
#include "lib/labels.h"

#include "lib/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that dtn_escape leaves as they are may stand in metadata. */
static char *escape(const char *name)
{
	size_t n = strlen(name);
	char *out = dtn_alloc(3 * n + 1, 1), *q = out;

	for (size_t i = 0; i < n;) {
		size_t step = 1;
		char *shown;

		while (i + step < n && ((unsigned char)name[i + step] & 0xc0) == 0x80)
			step++;
		shown = dtn_escape(name + i, step);
		if (strlen(shown) == step && name[i] != ',' && name[i] != '%') {
			memcpy(q, name + i, step);
			q += step;
		} else {
			for (size_t k = 0; k < step; k++)
				q += sprintf(q, "%%%02X", (unsigned char)name[i + k]);
		}
		i += step;
		free(shown);
	}
	*q = '\0';
	return out;
}

char *dtn_labels_join(char *const *name, int n)
{
	size_t length = 1;
	char *text, *q;

	for (int i = 0; i < n; i++)
		length += 3 * strlen(name[i]) + 1;
	q = text = dtn_alloc(length, 1);
	for (int i = 0; i < n; i++) {
		char *one = escape(name[i]);

		q += sprintf(q, "%s%s", i ? "," : "", one);
		free(one);
	}
	return text;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 :
	       c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static char *unescape(const char *text, size_t n)
{
	char *out = dtn_alloc(n + 1, 1), *q = out;

	for (size_t i = 0; i < n; i++) {
		int high = text[i] == '%' && i + 2 < n ? hex(text[i + 1]) : -1;
		int low = high >= 0 ? hex(text[i + 2]) : -1;

		if (low >= 0 && high + low > 0) {
			*q++ = (char)(high << 4 | low);
			i += 2;
		} else {
			*q++ = text[i];
		}
	}
	return out;
}

int dtn_labels_split(const char *text, char ***name)
{
	int n = 0;
	size_t names = 1;

	for (const char *p = text; p && *p; p++)
		names += *p == ',';
	*name = dtn_alloc(names, sizeof(**name));
	for (const char *p = text; p; n++) {
		size_t length = strcspn(p, ",");

		(*name)[n] = unescape(p, length);
		p = p[length] ? p + length + 1 : NULL;
	}
	return n;
}

/* The number of the class with this name; -1: there is none. */
static int find(const char *text, const char *name)
{
	char **all;
	int n = dtn_labels_split(text, &all), found = -1;

	for (int i = n - 1; i >= 0; i--) {
		if (strcmp(all[i], name) == 0)
			found = i;
		free(all[i]);
	}
	free(all);
	return found;
}

static _Noreturn void unknown(const char *name, const char *text)
{
	dtn_usage("--class %s: there is no such class, but %.200s%s", name, text,
		  strlen(text) > 200 ? "..." : "");
}

/* A name with a comma in it can be given as it is, if it is the only one. */
int dtn_labels_choose(const char *wanted, const char *text, int32_t **number)
{
	char **name;
	int one = wanted ? find(text, wanted) : -1, n;
	bool all = !wanted || (one < 0 && !strcmp(wanted, "all"));

	n = dtn_labels_split(all ? text : wanted, &name);
	*number = dtn_alloc((size_t)n, sizeof(**number));
	for (int i = 0; i < n; i++) {
		(*number)[i] = all ? i : find(text, name[i]);
		if (one < 0 && (*number)[i] < 0)
			unknown(name[i], text);
		free(name[i]);
	}
	free(name);
	if (one >= 0)
		(*number)[0] = one;
	return one >= 0 ? 1 : n;
}

/* --- a list that grows ------------------------------------------------------------------------ */

static uint32_t hash(const char *name)
{
	uint32_t h = 0x811c9dc5;                /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x01000193;
	return h ^ h >> 15;
}

/* The slot that holds the name, or the free one where it belongs. */
static int *slot_of(const struct dtn_labels *l, const char *name)
{
	uint32_t at = hash(name) & (uint32_t)(l->slots - 1);

	while (l->slot[at] && strcmp(l->name[l->slot[at] - 1], name) != 0)
		at = (at + 1) & (uint32_t)(l->slots - 1);
	return &l->slot[at];
}

static void grow_table(struct dtn_labels *l)
{
	free(l->slot);
	l->slots = l->slots ? 2 * l->slots : 64;
	l->slot = dtn_alloc((size_t)l->slots, sizeof(*l->slot));
	for (int i = 0; i < l->n; i++) {
		int *slot = slot_of(l, l->name[i]);

		if (!*slot)
			*slot = i + 1;
	}
}

int dtn_labels_number(const struct dtn_labels *l, const char *name)
{
	return l->slots ? *slot_of(l, name) - 1 : -1;
}

void dtn_labels_append(struct dtn_labels *l, char *name)
{
	int *slot;

	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 16;
		l->name = dtn_realloc(l->name, (size_t)l->cap, sizeof(*l->name));
	}
	if (2 * l->n >= l->slots)
		grow_table(l);
	l->name[l->n++] = name;
	slot = slot_of(l, name);
	if (!*slot)
		*slot = l->n;
}

void dtn_labels_release(struct dtn_labels *l)
{
	for (int i = 0; i < l->n; i++)
		free(l->name[i]);
	free(l->name);
	free(l->slot);
	*l = (struct dtn_labels){ 0 };
}
