/* options.c -- command lines: the parser.
 *
 * The rules are getopt_long's: options may follow operands, "--" ends them, a long name may be
 * cut short while it stays unambiguous, letters may share a dash.  The parser is our own because it
 * tells the caller names instead of numbers, and because its table is what help.c prints.
 */
#include "lib/options.h"

#include "format/dtn.h"
#include "lib/machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 1024 };

/* What every program has, and what comes with the flags. */
static const struct { int flags; struct dtn_option option; } common[] = {
	{ DTN_OUTPUT, { "output", 'o', "FILE", "write to FILE, which appears only complete" } },
	{ DTN_OUTPUT, { "force", 0, NULL, "write binary data even to a terminal" } },
	{ DTN_THREADS, { "threads", 'j', "N", "use N threads in all; 0: one per processor" } },
	{ DTN_ONE_THREAD, { "threads", 'j', "N", "no effect: there is one thread" } },
	{ DTN_SEED, { "seed", 0, "S", "seed of the random numbers (default: 0)" } },
	{ DTN_STREAM_IN, { "max-record", 0, "SIZE", "refuse larger records (default: 1G)" } },
	{ DTN_STREAM_OUT, { "level", 'z', "LEVEL", "zstd level, -5 to 19; 0: none (default: 1)" } },
	{ DTN_STREAM_OUT, { "no-prov", 0, NULL, "do not record this command in the output" } },
	{ 0, { "quiet", 'q', NULL, "only errors; twice: nothing" } },
	{ 0, { "verbose", 'v', NULL, "say more on stderr" } },
	{ 0, { "help", 'h', NULL, "print this and exit" } },
	{ 0, { "version", 'V', NULL, "print the version and exit" } },
};
enum { COMMONS = sizeof(common) / sizeof(common[0]) };

const struct dtn_option *dtn_option_at(const struct dtn_command *c, int i)
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

/* --- what goes wrong --------------------------------------------------------------------- */

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
	/* Clean-ups run after the message, the last registered first: where this belongs. */
	dtn_at_death(say_try, NULL);
	dtn_die(DTN_USAGE, "%s", text ? text : "out of memory");
}

/* --- the parser -------------------------------------------------------------------------- */

void dtn_args_begin(struct dtn_args *a, const struct dtn_command *c, int argc, char **argv)
{
	memset(a, 0, sizeof(*a));
	a->command = c;
	a->argc = argc;
	a->argv = argv;
	a->level = 1;
	a->threads = dtn_cores();
	a->next = 1;
	a->operand = dtn_alloc((size_t)argc + 1, sizeof(char *));
}

/* The option whose name is, or alone begins with, the `n` bytes at `text`. */
static const struct dtn_option *by_name(const struct dtn_command *c, const char *text, size_t n)
{
	const struct dtn_option *o, *found = NULL, *second = NULL;

	for (int i = 0; (o = dtn_option_at(c, i)); i++) {
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

	for (int i = 0; (o = dtn_option_at(c, i)); i++)
		if (o->letter == letter)
			return o;
	dtn_usage("unknown option '-%c'", letter);
}

/* The argument of an option is the next word. */
static void take_word(struct dtn_args *a)
{
	if (a->next >= a->argc)
		dtn_usage("option '%s' wants an argument", dtn_args_typed(a));
	a->value = a->argv[a->next++];
}

/* argv[next] is "--name" or "--name=value".  A name that was cut short is put there in full: what
 * keeps the command line knows nothing of the other names. */
static const struct dtn_option *long_option(struct dtn_args *a)
{
	char **word = &a->argv[a->next++];
	const char *text = *word + 2;
	size_t n = strcspn(text, "=");
	const struct dtn_option *o;

	if (!strcmp(text, "dump-options"))
		dtn_show_options(a->command);
	o = by_name(a->command, text, n);
	if (o->name[n])
		*word = dtn_format("--%s%s", o->name, text + n);
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
		a->seed = dtn_args_natural(a, 0, UINT64_MAX);
		a->seed_given = true;
	} else if (!strcmp(a->name, "max-record")) {
		dtn_max_record = dtn_args_size(a);
	} else if (!strcmp(a->name, "level")) {
		a->level = (int)dtn_args_int(a, -5, 19);
	} else if (!strcmp(a->name, "no-prov")) {
		a->no_prov = true;
	} else if (!strcmp(a->name, "quiet")) {
		dtn_verbosity = dtn_verbosity > 0 ? -1 : dtn_verbosity - 1;
	} else if (!strcmp(a->name, "verbose")) {
		dtn_verbosity++;
	} else if (!strcmp(a->name, "help")) {
		dtn_show_help(a->command);
	} else {
		dtn_show_version(a->command);
	}
}

static void check_operands(const struct dtn_args *a)
{
	int dashes = 0;

	for (int i = 0; i < a->operands; i++)
		dashes += !strcmp(a->operand[i], "-");
	if (dashes > 1)
		dtn_usage("standard input given twice");
}

const char *dtn_args_next(struct dtn_args *a)
{
	for (;;) {
		const struct dtn_option *o;
		bool ours = false;
		a->value = NULL;
		o = parse(a);
		if (!o) {
			check_operands(a);
			return NULL;
		}
		for (int k = 0; k < COMMONS; k++)
			ours |= o == &common[k].option;
		if (!ours)
			return o->name;
		handle(a);
	}
}
