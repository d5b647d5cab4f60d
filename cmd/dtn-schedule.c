/* dtn-schedule.c -- the constants of a noise schedule as a table. */
#include "lib/diffusion/choose.h"
#include "lib/model.h"
#include "lib/output.h"

#include <math.h>
#include <stdio.h>

static const struct dtn_option options[] = {
	DTN_SCHEDULE_OPTIONS,
	{ NULL, 0, NULL, NULL }
};

static const struct dtn_command command = {
	"[OPTION]... [MODEL]", "Print the constants of a noise schedule, or of a model's.", options,
	DTN_OUTPUT | DTN_ONE_THREAD | DTN_STREAM_IN
};

static void print(FILE *out, const struct dtn_schedule *s)
{
	fputs("t\tbeta\talpha\talpha_bar\tsqrt_alpha_bar\tsqrt_one_minus_alpha_bar\t"
	      "posterior_variance\tsnr\n", out);
	for (int t = 0; t < s->config.steps; t++) {
		const double beta = s->beta[t], ab = dtn_alpha_bar(s, t);

		fprintf(out, "%d\t%.9g\t%.9g\t%.9g\t%.9g\t%.9g\t%.9g\t%.9g\n", t, beta, 1 - beta,
			ab, sqrt(ab), sqrt(1 - ab), dtn_posterior_variance(s, t), dtn_snr(s, t));
	}
}

int main(int argc, char **argv)
{
	struct dtn_schedule_config config = dtn_schedule_default();
	struct dtn_schedule schedule;
	struct dtn_output output;
	struct dtn_args args;
	bool given = false;
	FILE *out;

	dtn_begin(argv);
	dtn_args_begin(&args, &command, argc, argv);
	while (dtn_args_next(&args))
		given |= dtn_schedule_option(&config, &args);
	if (args.operands > 1)
		dtn_usage("one model at a time, not %d", args.operands);
	if (args.operands == 1 && given)
		dtn_usage("a model has its schedule: no options for another");
	if (args.operands == 1)
		config = dtn_schedule_of_model(args.operand[0]);
	dtn_schedule_settle(&config);
	dtn_schedule_init(&schedule, &config);
	dtn_output_open(&output, args.output, true);
	out = dtn_output_stream(&output);
	print(out, &schedule);
	fclose(out);
	dtn_output_commit(&output);
	dtn_schedule_warn(&schedule);
	dtn_schedule_release(&schedule);
	return DTN_OK;
}
