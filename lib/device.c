/* device.c -- the options --device and --precision. */
#include "lib/device.h"

#include "lib/options.h"

#include <string.h>

const struct dtn_backend *dtn_device(const char *name)
{
	const struct dtn_backend *backend;

	if (!name || !strcmp(name, "auto") || !strcmp(name, "cpu"))
		backend = dtn_cpu(NULL);
	else if (!strcmp(name, "cpu:v2") || !strcmp(name, "cpu:v3") || !strcmp(name, "cpu:v4"))
		backend = dtn_cpu(name + 4);
	else if (!strcmp(name, "cuda"))
		dtn_die(DTN_ENV, "--device cuda: this build has no CUDA");
	else
		dtn_usage("--device %s: wants auto, cpu or cuda", name);
	if (!backend)
		dtn_die(DTN_ENV, "--device %s: this processor cannot run it", name ? name : "auto");
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
