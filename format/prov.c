/* prov.c -- provenance: which runs, of which versions, made a stream from which others.
 *
 * A line's number is its id, and its parents have smaller ids, so the lines form a graph without
 * cycles.  Nothing in it depends on time, place or user: the same work gives the same bytes.
 */
#include "format/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEP_FIRST = 64, KEEP_LAST = 400, LINE_MOST = 16384 };

static void free_line(struct dtn_run_line *l)
{
	free(l->parents);
	free(l->program);
	free(l->version);
	free(l->command);
}

void dtn_prov_release(struct dtn_prov *p)
{
	for (int i = 0; i < p->n; i++)
		free_line(&p->line[i]);
	free(p->line);
	memset(p, 0, sizeof(*p));
}

/* The strings become the line's. */
static void append(struct dtn_prov *p, struct dtn_run_line line)
{
	if (p->n == p->cap) {
		p->cap = p->cap ? 2 * p->cap : 8;
		p->line = dtn_realloc(p->line, (size_t)p->cap, sizeof(*p->line));
	}
	p->line[p->n++] = line;
}

/* --- parents: "-" or "1,3,4" -------------------------------------------------------------- */

/* The next number of a list of parents, moving the cursor behind it; 0 at the end. */
static int next_parent(const char **list)
{
	char *end;
	long id = strtol(**list == ',' ? *list + 1 : *list, &end, 10);

	if (**list == '\0' || **list == '-')
		return 0;
	*list = end;
	return (int)id;
}

/* As text: the ids 1 .. n that are marked. */
static char *print_parents(const bool *marked, int n)
{
	char *text = dtn_alloc((size_t)n + 1, 12), *q = text;

	for (int id = 1; id <= n; id++)
		if (marked[id])
			q += sprintf(q, q == text ? "%d" : ",%d", id);
	if (q == text)
		strcpy(text, "-");
	return text;
}

/* The parents of `line`, each under its new id. */
static char *map_parents(const struct dtn_run_line *line, const int *new_id, int n)
{
	bool *marked = dtn_alloc((size_t)n + 1, sizeof(*marked));
	const char *list = line->parents;
	char *text;

	for (int id; (id = next_parent(&list)) != 0;)
		marked[new_id[id]] = true;
	text = print_parents(marked, n);
	free(marked);
	return text;
}

/* Is `text` a list of ids below `id`, ascending or not, without leading zeros? */
static bool parents_ok(const char *text, int id)
{
	if (!strcmp(text, "-"))
		return true;
	for (;;) {
		int value = 0, digits = 0;
		for (; *text >= '0' && *text <= '9' && digits < 4; digits++)
			value = 10 * value + (*text++ - '0');
		if (digits == 0 || value < 1 || value >= id || text[-digits] == '0')
			return false;
		if (*text == '\0')
			return true;
		if (*text++ != ',')
			return false;
	}
}

/* --- too many lines ----------------------------------------------------------------------- */

static size_t printed_size(const struct dtn_prov *p)
{
	size_t n;

	free(dtn_prov_print(p, &n));
	return n;
}

static bool is_elision(const struct dtn_run_line *l, int *count)
{
	return !strcmp(l->program, "dtn") && sscanf(l->command, "elided %6d", count) == 1 &&
	       *count > 0;
}

/* Replace the lines first .. last-1 by one that counts them; it inherits their other parents. */
static void elide(struct dtn_prov *p, int first, int last)
{
	struct dtn_prov out = { 0 };
	int *new_id = dtn_alloc((size_t)p->n + 1, sizeof(int)), count = 0;
	bool *marked = dtn_alloc((size_t)p->n + 1, sizeof(*marked));

	for (int i = 0; i < p->n; i++) {
		struct dtn_run_line *l = &p->line[i];
		const char *list = l->parents;
		int earlier = 1;
		new_id[i + 1] = i < first ? i + 1 : i < last ? first + 1 : i + 2 - (last - first);
		if (i >= first && i < last) {
			for (int id; (id = next_parent(&list)) != 0;)
				marked[id] = id <= first;
			count += is_elision(l, &earlier) && count < 1 << 30 ? earlier : 1;
			free_line(l);
		}
		if (i == last - 1)
			append(&out, (struct dtn_run_line){
				print_parents(marked, first), dtn_strdup("dtn"),
				dtn_strdup(DTN_VERSION), dtn_format("elided %d", count) });
		if (i >= first && i < last)
			continue;
		list = l->parents;
		l->parents = map_parents(l, new_id, p->n);
		free((char *)list);
		append(&out, *l);
	}
	free(marked);
	free(new_id);
	free(p->line);
	*p = out;
}

/* Keep within the limits: the beginning and the latest runs say most.  Three lines always fit. */
static void trim(struct dtn_prov *p)
{
	int first = KEEP_FIRST, last = KEEP_LAST;

	while (p->n > DTN_PROV_LINES || printed_size(p) > DTN_PROV_MOST) {
		while (first + last + 1 >= p->n) {
			first = (first + 1) / 2;
			last = (last + 1) / 2;
		}
		elide(p, first, p->n - last);
	}
}

/* --- what programs do --------------------------------------------------------------------- */

void dtn_prov_append(struct dtn_prov *p, char *command)
{
	bool *leaf = dtn_alloc((size_t)p->n + 1, sizeof(*leaf));

	for (int i = 0; i < p->n; i++) {
		const char *list = p->line[i].parents;
		leaf[i + 1] = true;
		for (int id; (id = next_parent(&list)) != 0;)
			leaf[id] = false;
	}
	append(p, (struct dtn_run_line){ print_parents(leaf, p->n), dtn_strdup(dtn_program),
		dtn_strdup(DTN_VERSION), command });
	free(leaf);
	trim(p);
}

static int find(const struct dtn_prov *p, const struct dtn_run_line *l)
{
	for (int i = 0; i < p->n; i++)
		if (!strcmp(p->line[i].parents, l->parents) &&
		    !strcmp(p->line[i].program, l->program) &&
		    !strcmp(p->line[i].version, l->version) &&
		    !strcmp(p->line[i].command, l->command))
			return i + 1;
	return 0;
}

void dtn_prov_merge(struct dtn_prov *to, const struct dtn_prov *from)
{
	int *new_id = dtn_alloc((size_t)from->n + 1, sizeof(int));

	for (int i = 0; i < from->n; i++) {
		struct dtn_run_line l = from->line[i];
		l.parents = map_parents(&l, new_id, to->n);
		new_id[i + 1] = find(to, &l);
		if (new_id[i + 1]) {
			free(l.parents);
			continue;
		}
		append(to, (struct dtn_run_line){ l.parents, dtn_strdup(l.program),
			dtn_strdup(l.version), dtn_strdup(l.command) });
		new_id[i + 1] = to->n;
	}
	free(new_id);
	trim(to);
}

/* --- as bytes ----------------------------------------------------------------------------- */

/* The line "id TAB parents TAB program TAB version TAB command", without its newline. */
static const char *parse_line(struct dtn_prov *p, const uint8_t *text, size_t n)
{
	char *field[5] = { 0 };
	const char *reason = NULL;
	char id[16];

	for (int k = 0; k < 5 && !reason; k++) {
		const uint8_t *tab = memchr(text, '\t', n);
		size_t length = tab ? (size_t)(tab - text) : n;
		if (!tab != (k == 4))
			reason = "not five fields";
		else
			field[k] = dtn_text_unescape(text, length, &reason);
		text += length + (tab != NULL);
		n -= length + (tab != NULL);
	}
	snprintf(id, sizeof(id), "%d", p->n + 1);
	if (!reason && strcmp(field[0], id) != 0)
		reason = "wrong line number";
	if (!reason && !parents_ok(field[1], p->n + 1))
		reason = "bad parents";
	if (!reason && (!*field[2] || !*field[3]))
		reason = "empty field";
	free(field[0]);
	append(p, (struct dtn_run_line){ field[1], field[2], field[3], field[4] });
	return reason;
}

const char *dtn_prov_parse(struct dtn_prov *p, const uint8_t *text, size_t n)
{
	const char *reason = NULL;

	if (n > 0 && text[n - 1] != '\n')
		reason = "no newline at the end";
	for (size_t i = 0, length; i < n && !reason; i += length + 1) {
		length = (size_t)((const uint8_t *)memchr(text + i, '\n', n - i) - (text + i));
		reason = p->n == DTN_PROV_LINES ? "more than 512 lines" :
			 length > LINE_MOST ? "line too long" : parse_line(p, text + i, length);
	}
	return reason;
}

char *dtn_prov_print(const struct dtn_prov *p, size_t *n)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, n);

	if (!out)
		dtn_die(DTN_ENV, "out of memory");
	for (int i = 0; i < p->n; i++) {
		const struct dtn_run_line *l = &p->line[i];
		const char *rest[] = { l->program, l->version, l->command };
		fprintf(out, "%d\t%s", i + 1, l->parents);
		for (int k = 0; k < 3; k++) {
			char *field = dtn_text_escape(rest[k], strlen(rest[k]));
			fprintf(out, "\t%s", field);
			free(field);
		}
		fputc('\n', out);
	}
	if (fclose(out) != 0)
		dtn_die(DTN_ENV, "out of memory");
	return text;
}
