/* device.c -- the options --device and --precision. */
#include "lib/device.h"

#include "lib/options.h"
#include "lib/plugin.h"

#include <stdlib.h>
#include <string.h>

/* NULL: `why`. */
static const struct dtn_backend *open_cuda(int number, const char **why)
{
	const struct dtn_plugin *plugin = dtn_cuda_plugin(why);

	return plugin ? plugin->open(number, why) : NULL;
}

/* "cuda" or "cuda:NUMBER"; below 0: neither. */
static int cuda_number(const char *name)
{
	char *end;
	long n;

	if (!strcmp(name, "cuda"))
		return 0;
	if (strncmp(name, "cuda:", 5) || name[5] < '0' || name[5] > '9')
		return -1;
	n = strtol(name + 5, &end, 10);
	return *end || n > 1023 ? -1 : (int)n;
}

static const struct dtn_backend *automatic(void)
{
	const struct dtn_backend *backend = NULL;
	const char *why = "no NVIDIA GPU";

	if (dtn_cuda_likely())
		backend = open_cuda(0, &why);
	if (!backend)
		dtn_say("no CUDA (%s): going on with the CPU", why);
	return backend ? backend : dtn_cpu(NULL);
}

const struct dtn_backend *dtn_device(const char *name)
{
	const struct dtn_backend *backend;
	const char *why = "this processor cannot run it";

	if (!name || !strcmp(name, "auto"))
		backend = automatic();
	else if (!strcmp(name, "cpu"))
		backend = dtn_cpu(NULL);
	else if (!strcmp(name, "cpu:v2") || !strcmp(name, "cpu:v3") || !strcmp(name, "cpu:v4"))
		backend = dtn_cpu(name + 4);
	else if (cuda_number(name) >= 0)
		backend = open_cuda(cuda_number(name), &why);
	else
		dtn_usage("--device %s: wants auto, cpu or cuda", name);
	if (!backend)
		dtn_die(DTN_ENV, "--device %s: %s", name ? name : "auto", why);
	return backend;
}

int dtn_precision(const struct dtn_backend *backend, const char *name, const char *model)
{
	bool chosen = name && strcmp(name, "auto") != 0;
	const char *wanted = chosen ? name : model ? model : backend->bf16 ? "bf16" : "f32";

	if (!strcmp(wanted, "f32"))
		return DTN_F32;
	if (strcmp(wanted, "bf16"))
		dtn_usage("--precision %s: wants auto, f32 or bf16", wanted);
	if (!backend->bf16 && chosen)
		dtn_die(DTN_ENV,
			"--precision bf16: this processor lacks AMX and AVX512_BF16");
	if (!backend->bf16)
		dtn_die(DTN_ENV,
			"the model was trained in bf16, for which this processor has no "
			"arithmetic: --precision f32 goes on without");
	return DTN_BF16;
}
