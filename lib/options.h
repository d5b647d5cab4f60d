/* options.h -- command lines: one table per program makes the parser, --help and completions.
 *
 *      static const struct dtn_option options[] = {
 *              { "limit", 0, "N", "load at most N images" },
 *              { "size", 's', "WxH|SIZE", "fit every image to this size" },
 *              { NULL }
 *      };
 *      static const struct dtn_command command = {
 *              "[OPTION]... PATH...", "read images, write a sample stream", options,
 *              DTN_OUTPUT | DTN_THREADS
 *      };
 *      struct dtn_args args;
 *      dtn_args_begin(&args, &command, argc, argv);
 *      while ((name = dtn_args_next(&args)))
 *              if (!strcmp(name, "limit"))
 *                      limit = dtn_args_int(&args, 1, INT_MAX);
 *
 * Every program has --help, --version, -q, -v; --output, --threads, --seed and --force come with
 * the flags below, are handled here, and are found in struct dtn_args afterwards.
 */
#ifndef DTN_OPTIONS_H
#define DTN_OPTIONS_H

#include "lib/base.h"

struct dtn_option {
	const char *name;       /* long name, without dashes */
	char letter;            /* short name, or 0 */
	const char *arg;        /* how --help names the argument; NULL for a switch */
	const char *help;       /* one line, with the default, and words to choose from as "a|b" */
};

enum {
	DTN_OUTPUT = 1,         /* -o FILE and --force (write binary to a terminal) */
	DTN_THREADS = 2,        /* -j N */
	DTN_SEED = 4,           /* --seed S */
	DTN_STREAM_OUT = 8,     /* --no-prov, -z LEVEL: the program writes a stream */
	DTN_STREAM_IN = 16,     /* --max-record SIZE: it reads one */
	DTN_ONE_THREAD = 32     /* -j N, which scripts may give to any program, without effect */
};

struct dtn_command {
	const char *operands;   /* after the program's name in the usage line */
	const char *purpose;    /* one line */
	const struct dtn_option *options;       /* ends with a NULL name */
	int flags;
};

struct dtn_args {
	const struct dtn_command *command;
	int argc;
	char **argv;            /* main's, for provenance: long names are put there in full */
	const char *value;      /* the argument of the option just returned */
	const char *name;       /* its long name */
	char letter;            /* 0 where it was given by its long name */
	/* the common options */
	const char *output;     /* NULL: standard output */
	int threads;            /* 1 or more; one per processor unless given */
	uint64_t seed;          /* 0 unless given */
	bool seed_given, force, no_prov;
	int level;              /* of zstd: -5 .. 19, default 1 */
	/* after dtn_args_next has returned NULL */
	int operands;
	char **operand;
	int next, pos;          /* where the parser stands */
};

/* Parse on; NULL after the last option.  A wrong option dies with status 2.  --help and --version
 * print and exit. */
void dtn_args_begin(struct dtn_args *, const struct dtn_command *, int argc, char **argv);
const char *dtn_args_next(struct dtn_args *);

/* The option as it was typed, "-j" or "--threads"; valid until the next call. */
const char *dtn_args_typed(const struct dtn_args *);

/* The option's argument as a number.  Outside least..most, or no number: death with status 2 that
 * names option, text and range. */
int64_t dtn_args_int(const struct dtn_args *, int64_t least, int64_t most);
uint64_t dtn_args_natural(const struct dtn_args *, uint64_t least, uint64_t most);
double dtn_args_real(const struct dtn_args *, double least, double most);
uint64_t dtn_args_size(const struct dtn_args *);        /* bytes; K, M, G: times 1024 */
double dtn_args_time(const struct dtn_args *);          /* seconds: 90, 90s, 4m, 2h */

/* Which of `choices` (words separated by '|') is it?  0 for the first. */
int dtn_args_choice(const struct dtn_args *, const char *choices);

/* The same of any text, -1 where it is none of them; and word number i, allocated. */
int dtn_choice_find(const char *choices, const char *text);
char *dtn_choice_text(const char *choices, int i);

/* A list "a,b,c" of integers into list[most]; returns how many. */
int dtn_args_list(const struct dtn_args *, int *list, int most, int64_t least, int64_t greatest);

/* Two numbers, "LO,HI". */
void dtn_args_pair(const struct dtn_args *, double pair[2], double least, double most);

/* Two dashes and a sentence: "dtn-x: MESSAGE" and "Try 'dtn-x --help'."; exits with status 2. */
_Noreturn void dtn_usage(const char *format, ...) DTN_PRINTF(1, 2);

/* Option i of a program, its own first, then the common ones; NULL after the last. */
const struct dtn_option *dtn_option_at(const struct dtn_command *, int i);

/* Print and exit: help.c. */
_Noreturn void dtn_show_help(const struct dtn_command *);
_Noreturn void dtn_show_version(const struct dtn_command *);
_Noreturn void dtn_show_options(const struct dtn_command *);

#endif
