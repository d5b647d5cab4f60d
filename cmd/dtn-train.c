/* dtn-train.c -- train a model on a stream of images. */
#include "lib/train/train.h"

#include <stdlib.h>
#include <string.h>

/* --help shows the default of a setting, where it is one text. */
#define HELP_INT(help, value) help " (default: " value ")"
#define HELP_REAL(help, value) help " (default: " value ")"
#define HELP_FLOAT(help, value) help " (default: " value ")"
#define HELP_CHOICE(help, value) help " (default: " value ")"
#define HELP_MULT(help, value) help " (default: " value ")"
#define HELP_ATTN(help, value) help " (default: " value ")"
#define HELP_PAIR(help, value) help
#define HELP_FLAG(help, value) help

static const struct dtn_option options[] = {
	{ "steps", 0, "N", "train for N steps in all" },
	{ "epochs", 0, "N", "show every image N times" },
	{ "time", 0, "TIME", "train for 90s, 4m or 2h" },
	{ "resume", 0, NULL, "continue MODEL.ckpt, if that is newer, or MODEL" },
	{ "from", 0, "MODEL", "begin with the weights of MODEL" },
	{ "val", 0, "STREAM|FRACTION", "validate on STREAM, or on a part that is held back" },
	{ "val-every", 0, "N", "validate every N steps (default: each epoch, or less often)" },
	{ "keep-best", 0, NULL, "keep what validates best in MODEL.best" },
	{ "save-every", 0, "N", "write MODEL.ckpt every N steps (default: 10 minutes)" },
	{ "sample-every", 0, "N", "make a picture of samples every N steps" },
	{ "sample-to", 0, "DIR", "folder for these pictures" },
	{ "log", 0, "FILE", "write a table, a row a step (-: stdout)" },
	{ "max-mem", 0, "SIZE", "images in memory, others in $TMPDIR (default: half the memory)" },
#define SETTING(option, letter, arg, kind, field, least, most, choices, value, key, help) \
	{ option, letter, arg, HELP_##kind(help, value) },
#include "lib/train/settings.def"
#undef SETTING
	{ "device", 0, "NAME", "auto|cpu|cuda (default: auto)" },
	{ "precision", 0, "NAME", "auto|f32|bf16 (default: auto)" },
	{ NULL, 0, NULL, NULL }
};

static const struct dtn_command command = {
	"-o MODEL [OPTION]... [STREAM]...",
	"Train a denoising diffusion model on the images of sample streams.",
	options, DTN_OUTPUT | DTN_THREADS | DTN_SEED | DTN_STREAM_IN | DTN_STREAM_OUT
};

static bool is_number(const char *text)
{
	char *end;

	strtod(text, &end);
	return strspn(text, "0123456789.") > 0 && !*end;
}

/* --val 0.1 holds images back, --val NAME reads them. */
static void validation(struct dtn_training *job, struct dtn_settings *settings,
		       const struct dtn_args *args)
{
	settings->held_back_given = true;
	settings->held_back = 0;
	job->validation = NULL;
	if (is_number(args->value))
		settings->held_back = dtn_args_real(args, 0, 0.9);
	else
		job->validation = args->value;
}

static bool run_option(struct dtn_training *job, struct dtn_settings *settings,
		       const struct dtn_args *args)
{
	const char *name = args->name;

	if (!strcmp(name, "steps"))
		job->steps = dtn_args_int(args, 1, INT64_MAX);
	else if (!strcmp(name, "epochs"))
		job->epochs = dtn_args_int(args, 1, INT64_MAX);
	else if (!strcmp(name, "time"))
		job->seconds = dtn_args_time(args);
	else if (!strcmp(name, "resume"))
		job->resume = true;
	else if (!strcmp(name, "from"))
		job->from = args->value;
	else if (!strcmp(name, "sample-every"))
		job->sample_every = dtn_args_int(args, 1, INT64_MAX);
	else if (!strcmp(name, "sample-to"))
		job->sample_to = args->value;
	else if (!strcmp(name, "val"))
		validation(job, settings, args);
	else if (!strcmp(name, "val-every"))
		job->val_every = dtn_args_int(args, 1, INT64_MAX);
	else if (!strcmp(name, "keep-best"))
		job->keep_best = true;
	else if (!strcmp(name, "save-every"))
		job->save_every = dtn_args_int(args, 1, INT64_MAX);
	else if (!strcmp(name, "log"))
		job->log = args->value;
	else if (!strcmp(name, "max-mem"))
		job->max_memory = dtn_args_size(args), job->limited = true;
	else if (!strcmp(name, "device"))
		job->device = args->value;
	else if (!strcmp(name, "precision"))
		job->precision = args->value;
	else
		return false;
	return true;
}

/* Standard input is read once: `-` among the operands, or without any, is the images. */
static bool reads_stdin(const struct dtn_args *a)
{
	for (int i = 0; i < a->operands; i++)
		if (!strcmp(a->operand[i], "-"))
			return true;
	return a->operands == 0;
}

/* What no option can see alone. */
static void check(const struct dtn_training *job, const struct dtn_settings *s)
{
	const struct dtn_args *a = job->args;

	if (!a->output)
		dtn_usage("-o MODEL is missing");
	if (job->log && !strcmp(job->log, "-") && !strcmp(a->output, "-"))
		dtn_usage("-o - and --log - both want stdout");
	if (job->validation && !strcmp(job->validation, "-") && reads_stdin(a))
		dtn_usage("--val - and the images both want stdin");
	if ((int64_t)s->batch * s->accum > DTN_MOST_UPDATE)
		dtn_usage("--batch %d times --accum %d: more than %d images a step", s->batch,
			  s->accum, DTN_MOST_UPDATE);
	if (!job->sample_every != !job->sample_to)
		dtn_usage("--sample-every and --sample-to want each other");
}

int main(int argc, char **argv)
{
	struct dtn_settings settings;
	struct dtn_training job = { 0 };
	struct dtn_args args;

	dtn_begin(argv);
	dtn_settings_default(&settings);
	dtn_args_begin(&args, &command, argc, argv);
	job.args = &args;
	while (dtn_args_next(&args))
		if (!run_option(&job, &settings, &args))
			dtn_settings_option(&settings, &args);
	settings.seed = args.seed;
	settings.seed_given = args.seed_given;
	check(&job, &settings);
	dtn_train(&job, &settings);
	return DTN_OK;
}
