/* plugin.c -- backends in shared objects of their own, found relative to the program.
 *
 * The object takes what it needs of lib/base.c from the program, which exports those names (see the
 * Makefile).  It must be of this very version and compiled with the same headers, as both share
 * structs.
 */
#include "lib/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* PREFIX/lib/dtn/NAME; allocated. */
static char *beside(const char *name)
{
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	char *slash = NULL;

	if (n > 0) {
		program[n] = '\0';
		slash = strrchr(program, '/');
	}
	if (slash)
		*slash = '\0';
	return dtn_format("%s/../lib/dtn/%s", slash ? program : ".", name);
}

static const char *unfit(const struct dtn_plugin *p, const char *path)
{
	if (!p)
		return dtn_format("%s: has no dtn_plugin", path);
	if (strcmp(p->version, DTN_VERSION))
		return dtn_format("%s: is of version %s, not " DTN_VERSION, path, p->version);
	if (p->headers != DTN_HEADERS)
		return dtn_format("%s: is of another build", path);
	return NULL;
}

static const struct dtn_plugin *load(const char **why)
{
	char *path = beside("dtn-cuda.so");
	const struct dtn_plugin *plugin;
	void *object;

	if (access(path, R_OK) != 0) {
		*why = dtn_format("%s: %s", path, strerror(errno));
		return NULL;
	}
	object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!object) {
		*why = dtn_strdup(dlerror());
		return NULL;
	}
	plugin = dlsym(object, "dtn_plugin");
	*why = unfit(plugin, path);
	free(path);
	return *why ? NULL : plugin;
}

const struct dtn_plugin *dtn_cuda_plugin(const char **why)
{
	static const struct dtn_plugin *plugin;
	static const char *reason;
	static bool tried;

	if (!tried)
		plugin = load(&reason);
	tried = true;
	*why = reason;
	return plugin;
}

bool dtn_cuda_likely(void)
{
	return access("/dev/nvidiactl", F_OK) == 0 || access("/dev/dxg", F_OK) == 0 ||
	       access("/dev/nvhost-gpu", F_OK) == 0;
}

void dtn_list_devices(FILE *out)
{
	const char *why = NULL;
	const struct dtn_backend *cpu = dtn_cpu(NULL);
	const struct dtn_plugin *plugin = dtn_cuda_plugin(&why);
	int n = plugin ? plugin->count(&why) : 0;

	if (cpu)
		fprintf(out, "cpu\t%s\n", cpu->detail);
	for (int i = 0; i < n; i++)
		fprintf(out, "cuda:%d\t%s\n", i, plugin->describe(i));
	if (n == 0)
		dtn_say("cuda: %s", why);
}
