/* help.c -- what --help, --version and --dump-options print.
 *
 * --dump-options is for scripts (completions, and the test that compares the table with the man
 * page): "PROGRAM TAB operands TAB purpose", then "-x TAB --name TAB ARG TAB help" for each option.
 */
#include "lib/options.h"

#include "lib/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 79, HELP_AT = 26 };

/* Columns that UTF-8 text takes: bytes that do not continue a character. */
static int width(const char *text, size_t bytes)
{
	int n = 0;

	for (size_t i = 0; i < bytes; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

/* Bytes of the next word; of "a|b|c" that is too long for a line, as many choices as fit. */
static size_t next_word(const char *text, int room)
{
	size_t n = strcspn(text, " "), cut = n;

	while (cut > 0 && (width(text, cut) > room || (cut < n && text[cut - 1] != '|')))
		cut--;
	return cut ? cut : n;
}

/* Words from column `at`; further lines are indented to column `indent`. */
static void wrap(FILE *out, const char *text, int at, int indent)
{
	bool first = true;

	while (*text) {
		size_t n = next_word(text, COLUMNS - indent);
		int w = width(text, n);
		if (!first && at + 1 + w > COLUMNS) {
			fprintf(out, "\n%*s", indent, "");
			at = indent;
			first = true;
		}
		fprintf(out, "%s%.*s", first ? "" : " ", (int)n, text);
		at = text[n] && text[n] != ' ' ? COLUMNS : at + w + !first;
		first = false;
		text += n + strspn(text + n, " ");
	}
	fputc('\n', out);
}

static void help_option(FILE *out, const struct dtn_option *o)
{
	char left[64];
	int n;

	if (o->letter)
		n = snprintf(left, sizeof(left), "  -%c, --%s", o->letter, o->name);
	else
		n = snprintf(left, sizeof(left), "      --%s", o->name);
	if (o->arg && n < (int)sizeof(left))
		snprintf(left + n, sizeof(left) - (size_t)n, "=%s", o->arg);
	fputs(left, out);
	n = width(left, strlen(left));
	if (n + 2 > HELP_AT)
		fprintf(out, "\n%*s", HELP_AT, "");
	else
		fprintf(out, "%*s", HELP_AT - n, "");
	wrap(out, o->help, HELP_AT, HELP_AT);
}

static void help(FILE *out, const struct dtn_command *c)
{
	const struct dtn_option *o;
	int at = fprintf(out, "Usage: %s ", dtn_program);

	wrap(out, c->operands, at, at);
	wrap(out, c->purpose, 0, 0);
	fputc('\n', out);
	for (int i = 0; (o = dtn_option_at(c, i)); i++)
		help_option(out, o);
	fprintf(out, "\nMore in the manual: man %s\n", dtn_program);
}

static void version(FILE *out, const struct dtn_command *c)
{
	(void)c;
	if (dtn_verbosity < 0)
		fputs(DTN_VERSION "\n", out);
	else
		fprintf(out, "%s (dtn) %s\n", dtn_program, DTN_VERSION);
}

static void dump(FILE *out, const struct dtn_command *c)
{
	const struct dtn_option *o;

	fprintf(out, "%s\t%s\t%s\n", dtn_program, c->operands, c->purpose);
	for (int i = 0; (o = dtn_option_at(c, i)); i++) {
		if (o->letter)
			fprintf(out, "-%c", o->letter);
		fprintf(out, "\t--%s\t%s\t%s\n", o->name, o->arg ? o->arg : "", o->help);
	}
}

/* Print and exit.  The text is made first and then written at once, so that the reason is known
 * where it cannot be written. */
static _Noreturn void show(const struct dtn_command *c,
			   void (*print)(FILE *, const struct dtn_command *))
{
	struct dtn_output out;
	char *text = NULL;
	size_t bytes = 0;
	FILE *memory = open_memstream(&text, &bytes);

	if (!memory)
		dtn_die(DTN_ENV, "out of memory");
	print(memory, c);
	if (fclose(memory) != 0)
		dtn_die(DTN_ENV, "out of memory");
	dtn_output_open(&out, NULL, true);
	dtn_output_write(&out, text, bytes);
	dtn_output_commit(&out);
	exit(DTN_OK);
}

_Noreturn void dtn_show_help(const struct dtn_command *c) { show(c, help); }
_Noreturn void dtn_show_version(const struct dtn_command *c) { show(c, version); }
_Noreturn void dtn_show_options(const struct dtn_command *c) { show(c, dump); }
