/* resume.c -- what a model's file says of its training is taken as it was, or refused. */
#include "lib/train/limits.h"
#include "tests/check.h"

#include <sys/wait.h>
#include <unistd.h>

/* Settings and the time used, as a resumed run reads them. */
static void read_all(const struct dtn_meta *meta)
{
	const struct dtn_limits limits = { .seconds = 60 };
	struct dtn_model model = { .meta = *meta };
	struct dtn_settings s;

	dtn_settings_from_model(&s, &model, "file");
	_exit(dtn_limits_used(&limits, meta, "file") > 60 ? 100 : 0);
}

/* The file of a run with the defaults, but for this value. */
static int status_with(const char *key, const char *value)
{
	struct dtn_meta meta = { 0 };
	struct dtn_settings s;
	int status = 0;
	pid_t child;

	dtn_settings_default(&s);
	dtn_settings_to_meta(&s, &meta);
	dtn_meta_set(&meta, "train.batch", "65536");
	dtn_meta_set(&meta, key, "%s", value);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		dtn_verbosity = -2;
		read_all(&meta);
	}
	waitpid(child, &status, 0);
	dtn_meta_release(&meta);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int main(int argc, char **argv)
{
	static const char *const times[] = { "nan", "inf", "-1", "1e999", "", "x", "1x" };
	bool refused = true;

	(void)argc;
	dtn_begin(argv);
	check(status_with("train.accum", "16") == 0, "2^20 images a step", "refused");
	check(status_with("train.accum", "17") == DTN_INPUT, "more images a step", "not refused");
	check(status_with("train.accum", "65536") == DTN_INPUT, "2^32 images a step",
	      "not refused");
	check(status_with("train.seconds", "0.000") == 0 && status_with("train.seconds", "9") == 0,
	      "seconds of training", "refused");
	check(status_with("train.seconds", "61") == 100, "seconds that are over", "not counted");
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		refused &= status_with("train.seconds", times[i]) == DTN_INPUT;
	check(refused, "seconds of training that are none", "not refused");
	return failures > 0;
}
