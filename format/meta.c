/* meta.c -- metadata: lines of key=value in the order in which they were set. */
#include "format/frame.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct dtn_pair *find(const struct dtn_meta *m, const char *key)
{
	for (int i = 0; i < m->n; i++)
		if (!strcmp(m->pair[i].key, key))
			return &m->pair[i];
	return NULL;
}

/* Both strings become the list's. */
static void append(struct dtn_meta *m, char *key, char *value)
{
	if (m->n == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 16;
		m->pair = dtn_realloc(m->pair, (size_t)m->cap, sizeof(*m->pair));
	}
	m->pair[m->n].key = key;
	m->pair[m->n++].value = value;
}

const char *dtn_meta_get(const struct dtn_meta *m, const char *key)
{
	const struct dtn_pair *p = find(m, key);

	return p ? p->value : NULL;
}

static void set(struct dtn_meta *m, const char *key, char *value)
{
	struct dtn_pair *p = find(m, key);

	if (!p) {
		append(m, dtn_strdup(key), value);
		return;
	}
	free(p->value);
	p->value = value;
}

void dtn_meta_set(struct dtn_meta *m, const char *key, const char *format, ...)
{
	char *value = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&value, format, args) < 0)
		dtn_die(DTN_ENV, "out of memory");
	va_end(args);
	set(m, key, value);
}

void dtn_meta_copy(struct dtn_meta *to, const struct dtn_meta *from)
{
	bool empty = to->n == 0;        /* then no key can be there already */

	for (int i = 0; i < from->n; i++)
		if (empty)
			append(to, dtn_strdup(from->pair[i].key), dtn_strdup(from->pair[i].value));
		else
			set(to, from->pair[i].key, dtn_strdup(from->pair[i].value));
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct dtn_pair *)a)->key, ((const struct dtn_pair *)b)->key);
}

void dtn_meta_agree(struct dtn_meta *m, const struct dtn_meta *other)
{
	size_t n = (size_t)other->n;
	struct dtn_pair *sorted = dtn_alloc(n + 1, sizeof(*sorted));
	int kept = 0;

	for (size_t i = 0; i < n; i++)
		sorted[i] = other->pair[i];
	qsort(sorted, n, sizeof(*sorted), by_key);
	for (int i = 0; i < m->n; i++) {
		struct dtn_pair own = m->pair[i];
		const struct dtn_pair *p = bsearch(&own, sorted, n, sizeof(own), by_key);

		if (p && !strcmp(p->value, own.value)) {
			m->pair[kept++] = own;
		} else {
			free(own.key);
			free(own.value);
		}
	}
	m->n = kept;
	free(sorted);
}

void dtn_meta_release(struct dtn_meta *m)
{
	for (int i = 0; i < m->n; i++) {
		free(m->pair[i].key);
		free(m->pair[i].value);
	}
	free(m->pair);
	memset(m, 0, sizeof(*m));
}

static bool key_ok(const char *key, size_t n)
{
	if (n < 1 || n > 64 || key[0] < 'a' || key[0] > 'z')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!(key[i] >= 'a' && key[i] <= 'z') && !(key[i] >= '0' && key[i] <= '9') &&
		    (key[i] == '\0' || !strchr("._-", key[i])))
			return false;
	return true;
}

/* One line, without its newline. */
static const char *parse_line(struct dtn_meta *m, struct dtn_names *seen, const uint8_t *line,
			      size_t n)
{
	const uint8_t *equals = memchr(line, '=', n);
	size_t length = equals ? (size_t)(equals - line) : 0;
	const char *reason;
	char *key, *value;

	if (!equals)
		return "line without '='";
	if (!key_ok((const char *)line, length))
		return "bad key";
	value = dtn_text_unescape(equals + 1, n - length - 1, &reason);
	if (!value)
		return reason;
	key = dtn_alloc(length + 1, 1);
	memcpy(key, line, length);
	append(m, key, value);
	return dtn_names_add(seen, 0, key) ? NULL : "key given twice";
}

const char *dtn_meta_parse(struct dtn_meta *m, const uint8_t *text, size_t n)
{
	struct dtn_names seen = { 0 };
	const char *reason = NULL;

	if (n > 0 && text[n - 1] != '\n')
		reason = "no newline at the end";
	for (size_t i = 0, length; i < n && !reason; i += length + 1) {
		length = (size_t)((const uint8_t *)memchr(text + i, '\n', n - i) - (text + i));
		reason = parse_line(m, &seen, text + i, length);
	}
	dtn_names_clear(&seen);
	return reason;
}

char *dtn_meta_print(const struct dtn_meta *m, size_t *n)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, n);

	if (!out)
		dtn_die(DTN_ENV, "out of memory");
	for (int i = 0; i < m->n; i++) {
		char *value = dtn_text_escape(m->pair[i].value, strlen(m->pair[i].value));
		if (!key_ok(m->pair[i].key, strlen(m->pair[i].key)))
			dtn_die(DTN_ENV, "metadata: bad key \"%s\"", m->pair[i].key);
		fprintf(out, "%s=%s\n", m->pair[i].key, value);
		free(value);
	}
	if (fclose(out) != 0)
		dtn_die(DTN_ENV, "out of memory");
	return text;
}
