/* options.c -- command lines: the parser, --help, --version and the numbers in arguments.
 *
 * The rules are getopt_long's: options may follow operands, "--" ends them, a long name may be cut
 * short while it stays unambiguous, letters may share a dash.  The parser is our own because ours
 * knows the table: it tells the caller names instead of numbers and can print the table itself.
 *
 * --dump-options prints the table for scripts (completions, and the test that compares it with the
 * man page): "PROGRAM TAB operands TAB purpose", then "-x TAB --name TAB ARG TAB help" a line.
 */
#define _GNU_SOURCE
#include "lib/options.h"

#include "lib/output.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 79, HELP_AT = 26, MOST_THREADS = 1024 };

/* What every program has, and what comes with the flags. */
static const struct { int flags; struct dtn_option option; } common[] = {
	{ DTN_OUTPUT, { "output", 'o', "FILE", "write to FILE, complete or not at all (default: stdout)" } },
	{ DTN_OUTPUT, { "force", 0, NULL, "write binary data even to a terminal" } },
	{ DTN_THREADS, { "threads", 'j', "N", "use N threads in all; 0: one per processor" } },
	{ DTN_SEED, { "seed", 0, "S", "seed of the random numbers (default: 0)" } },
	{ DTN_STREAM_OUT, { "level", 'z', "LEVEL", "compress by zstd's level -5 to 19 (default: 1)" } },
	{ DTN_STREAM_OUT, { "no-prov", 0, NULL, "do not record this command in the output" } },
	{ 0, { "quiet", 'q', NULL, "only errors; twice: nothing" } },
	{ 0, { "verbose", 'v', NULL, "say more on stderr" } },
	{ 0, { "help", 'h', NULL, "print this and exit" } },
	{ 0, { "version", 'V', NULL, "print the version and exit (after -q: the number only)" } },
};
enum { COMMONS = sizeof(common) / sizeof(common[0]) };

/* Option i of the program, its own first; NULL after the last. */
static const struct dtn_option *option_at(const struct dtn_command *c, int i)
{
	int own = 0;

	while (c->options && c->options[own].name)
		own++;
	if (i < own)
		return &c->options[i];
	i -= own;
	for (int k = 0; k < COMMONS; k++)
		if (!common[k].flags || (common[k].flags & c->flags))
			if (i-- == 0)
				return &common[k].option;
	return NULL;
}

/* --- what is printed ---------------------------------------------------------------------------- */

/* Columns that UTF-8 text takes: bytes that do not continue a character. */
static int width(const char *text, size_t bytes)
{
	int n = 0;

	for (size_t i = 0; i < bytes; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

/* Words from column `at`; further lines are indented to column `indent`. */
static void wrap(FILE *out, const char *text, int at, int indent)
{
	bool first = true;

	while (*text) {
		size_t n = strcspn(text, " ");
		int w = width(text, n);
		if (!first && at + 1 + w > COLUMNS) {
			fprintf(out, "\n%*s", indent, "");
			at = indent;
			first = true;
		}
		fprintf(out, "%s%.*s", first ? "" : " ", (int)n, text);
		at += w + !first;
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
	for (int i = 0; (o = option_at(c, i)); i++)
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
	for (int i = 0; (o = option_at(c, i)); i++) {
		if (o->letter)
			fprintf(out, "-%c", o->letter);
		fprintf(out, "\t--%s\t%s\t%s\n", o->name, o->arg ? o->arg : "", o->help);
	}
}

/* Print and exit.  The text is made first and then written at once, so that the reason is known
 * where it cannot be written. */
static _Noreturn void show(const struct dtn_command *c, void (*print)(FILE *, const struct dtn_command *))
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

/* --- what goes wrong ---------------------------------------------------------------------------- */

static void say_try(void *arg, enum dtn_status status, const char *text)
{
	(void)arg, (void)status, (void)text;
	if (dtn_verbosity > -2)
		fprintf(stderr, "Try '%s --help'.\n", dtn_program);
}

_Noreturn void dtn_usage(const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	/* Clean-ups run after the message, the last registered first: that is the second line's place. */
	dtn_at_death(say_try, NULL);
	dtn_die(DTN_USAGE, "%s", text ? text : "out of memory");
}

/* The option as it was typed: "-j" or "--threads". */
static const char *typed(const struct dtn_args *a)
{
	static char text[80];

	if (a->letter)
		snprintf(text, sizeof(text), "-%c", a->letter);
	else
		snprintf(text, sizeof(text), "--%s", a->name);
	return text;
}

/* --- the parser --------------------------------------------------------------------------------- */

void dtn_args_begin(struct dtn_args *a, const struct dtn_command *c, int argc, char **argv)
{
	memset(a, 0, sizeof(*a));
	a->command = c;
	a->argc = argc;
	a->argv = argv;
	a->level = 1;
	a->next = 1;
	a->operand = dtn_alloc((size_t)argc + 1, sizeof(char *));
}

/* The option whose name is, or alone begins with, the `n` bytes at `text`. */
static const struct dtn_option *by_name(const struct dtn_command *c, const char *text, size_t n)
{
	const struct dtn_option *o, *found = NULL, *second = NULL;

	for (int i = 0; (o = option_at(c, i)); i++) {
		if (strncmp(o->name, text, n) != 0)
			continue;
		if (o->name[n] == '\0')
			return o;
		if (found)
			second = o;
		else
			found = o;
	}
	if (second)
		dtn_usage("option '--%.*s' is ambiguous: '--%s' or '--%s'", (int)n, text,
			  found->name, second->name);
	if (!found)
		dtn_usage("unknown option '--%.*s'", (int)n, text);
	return found;
}

static const struct dtn_option *by_letter(const struct dtn_command *c, char letter)
{
	const struct dtn_option *o;

	for (int i = 0; (o = option_at(c, i)); i++)
		if (o->letter == letter)
			return o;
	dtn_usage("unknown option '-%c'", letter);
}

/* The argument of an option is the next word. */
static void take_word(struct dtn_args *a)
{
	if (a->next >= a->argc)
		dtn_usage("option '%s' wants an argument", typed(a));
	a->value = a->argv[a->next++];
}

/* argv[next] is "--name" or "--name=value". */
static const struct dtn_option *long_option(struct dtn_args *a)
{
	const char *text = a->argv[a->next++] + 2;
	size_t n = strcspn(text, "=");
	const struct dtn_option *o;

	if (!strcmp(text, "dump-options"))
		show(a->command, dump);
	o = by_name(a->command, text, n);
	a->name = o->name;
	a->letter = 0;
	if (text[n] == '=' && !o->arg)
		dtn_usage("option '--%s' takes no argument", o->name);
	if (text[n] == '=')
		a->value = text + n + 1;
	else if (o->arg)
		take_word(a);
	return o;
}

/* Byte `pos` of argv[next] is a letter: "-v", "-qv", "-j4". */
static const struct dtn_option *short_option(struct dtn_args *a)
{
	const char *word = a->argv[a->next];
	const struct dtn_option *o = by_letter(a->command, word[a->pos]);
	const char *rest = word + ++a->pos;

	a->name = o->name;
	a->letter = o->letter;
	if (!o->arg && *rest)
		return o;               /* more letters to come */
	a->next++;
	a->pos = 0;
	if (o->arg && *rest)
		a->value = rest;
	else if (o->arg)
		take_word(a);
	return o;
}

/* The next option, operands put aside; NULL at the end. */
static const struct dtn_option *parse(struct dtn_args *a)
{
	if (a->pos > 0)
		return short_option(a);
	while (a->next < a->argc) {
		char *word = a->argv[a->next];
		if (!strcmp(word, "--")) {
			while (++a->next < a->argc)
				a->operand[a->operands++] = a->argv[a->next];
			return NULL;
		}
		if (word[0] == '-' && word[1] == '-')
			return long_option(a);
		if (word[0] == '-' && word[1]) {
			a->pos = 1;
			return short_option(a);
		}
		a->operand[a->operands++] = word;
		a->next++;
	}
	return NULL;
}

static uint64_t natural(const struct dtn_args *, uint64_t least, uint64_t most);

static void handle(struct dtn_args *a)
{
	if (!strcmp(a->name, "output")) {
		a->output = a->value;
	} else if (!strcmp(a->name, "force")) {
		a->force = true;
	} else if (!strcmp(a->name, "threads")) {
		a->threads = (int)dtn_args_int(a, 0, MOST_THREADS);
		if (a->threads == 0)
			a->threads = dtn_cores();
	} else if (!strcmp(a->name, "seed")) {
		a->seed = natural(a, 0, UINT64_MAX);
	} else if (!strcmp(a->name, "level")) {
		a->level = (int)dtn_args_int(a, -5, 19);
	} else if (!strcmp(a->name, "no-prov")) {
		a->no_prov = true;
	} else if (!strcmp(a->name, "quiet")) {
		dtn_verbosity = dtn_verbosity > 0 ? -1 : dtn_verbosity - 1;
	} else if (!strcmp(a->name, "verbose")) {
		dtn_verbosity++;
	} else if (!strcmp(a->name, "help")) {
		show(a->command, help);
	} else {
		show(a->command, version);
	}
}

const char *dtn_args_next(struct dtn_args *a)
{
	for (;;) {
		const struct dtn_option *o;
		bool ours = false;
		a->value = NULL;
		o = parse(a);
		if (!o)
			return NULL;
		for (int k = 0; k < COMMONS; k++)
			ours |= o == &common[k].option;
		if (!ours)
			return o->name;
		handle(a);
	}
}

/* --- numbers ------------------------------------------------------------------------------------ */

/* Digits only; false where there are others, none, or too many. */
static bool digits(const char *text, const char **end, uint64_t *value)
{
	const char *p = text;

	*value = 0;
	for (; *p >= '0' && *p <= '9'; p++)
		if (!dtn_mul(value, *value, 10) || !dtn_add(value, *value, (uint64_t)(*p - '0')))
			return false;
	*end = p;
	return p > text;
}

static uint64_t natural(const struct dtn_args *a, uint64_t least, uint64_t most)
{
	const char *end;
	uint64_t n;

	if (!digits(a->value, &end, &n) || *end || n < least || n > most)
		dtn_usage("%s %s: wants %llu to %llu", typed(a), a->value,
			  (unsigned long long)least, (unsigned long long)most);
	return n;
}

/* A whole integer in [least, most] from `text` to *end. */
static bool integer(const char *text, const char **end, int64_t least, int64_t most, int64_t *value)
{
	bool minus = *text == '-';
	uint64_t n;

	if (!digits(text + minus, end, &n) || n > (uint64_t)INT64_MAX)
		return false;
	*value = minus ? -(int64_t)n : (int64_t)n;
	return *value >= least && *value <= most;
}

int64_t dtn_args_int(const struct dtn_args *a, int64_t least, int64_t most)
{
	const char *end;
	int64_t n;

	if (integer(a->value, &end, least, most, &n) && !*end)
		return n;
	if (most == INT64_MAX)
		dtn_usage("%s %s: wants %lld or more", typed(a), a->value, (long long)least);
	dtn_usage("%s %s: wants %lld to %lld", typed(a), a->value, (long long)least, (long long)most);
}

/* strtod knows more than we want to: "inf", "nan", "0x1p3" and leading blanks. */
static bool real(const char *text, char **end, double *value)
{
	size_t n = strspn(text, "+-.0123456789eE");

	*value = strtod(text, end);
	return n > 0 && *end > text && *end <= text + n && isfinite(*value);
}

double dtn_args_real(const struct dtn_args *a, double least, double most)
{
	double x;
	char *end;

	if (real(a->value, &end, &x) && !*end && x >= least && x <= most)
		return x;
	if (isinf(most))
		dtn_usage("%s %s: wants %g or more", typed(a), a->value, least);
	dtn_usage("%s %s: wants %g to %g", typed(a), a->value, least, most);
}

uint64_t dtn_args_size(const struct dtn_args *a)
{
	static const char units[] = "KMG";
	const char *end, *unit;
	uint64_t n;

	if (digits(a->value, &end, &n)) {
		if (!*end)
			return n;
		unit = strchr(units, *end);
		if (unit && !end[1] && dtn_mul(&n, n, (uint64_t)1024 << 10 * (unit - units)))
			return n;
	}
	dtn_usage("%s %s: wants bytes below 16 EiB, with K, M or G for multiples of 1024",
		  typed(a), a->value);
}

double dtn_args_time(const struct dtn_args *a)
{
	char *end;
	double x;

	if (real(a->value, &end, &x) && x > 0) {
		double unit = *end == 'h' ? 3600 : *end == 'm' ? 60 : 1;
		if (!*end || (strchr("smh", *end) && !end[1]))
			return x * unit;
	}
	dtn_usage("%s %s: wants a time such as 90s, 4m or 2h", typed(a), a->value);
}

/* "a|b|c" as "a, b or c" */
static char *enumerate(const char *choices)
{
	char *text = dtn_strdup("");

	while (*choices) {
		size_t n = strcspn(choices, "|");
		bool last = !choices[n], first = !*text;
		char *more = dtn_format("%s%s%.*s", text, first ? "" : last ? " or " : ", ", (int)n, choices);
		free(text);
		text = more;
		choices += n + !last;
	}
	return text;
}

int dtn_args_choice(const struct dtn_args *a, const char *choices)
{
	const char *p = choices;

	for (int i = 0; *p; i++) {
		size_t n = strcspn(p, "|");
		if (strlen(a->value) == n && !strncmp(a->value, p, n))
			return i;
		p += n + (p[n] == '|');
	}
	dtn_usage("%s %s: wants %s", typed(a), a->value, enumerate(choices));
}

int dtn_args_list(const struct dtn_args *a, int *list, int most, int64_t least, int64_t greatest)
{
	const char *p = a->value;
	int64_t value;

	for (int n = 0; n < most; p++) {
		if (!integer(p, &p, least, greatest, &value))
			break;
		list[n++] = (int)value;
		if (!*p)
			return n;
		if (*p != ',')
			break;
	}
	dtn_usage("%s %s: wants up to %d numbers from %lld to %lld, separated by commas", typed(a), a->value,
		  most, (long long)least, (long long)greatest);
}

void dtn_close_stdout(void)
{
	errno = 0;
	if (fflush(stdout) != 0 || ferror(stdout) || fclose(stdout) != 0) {
		if (errno == 0)
			errno = EIO;
		dtn_die(DTN_ENV, "stdout:");
	}
}
