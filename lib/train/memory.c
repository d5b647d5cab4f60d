/* memory.c -- will it fit?  Asked before hours of reading and training, not after. */
#include "lib/train/memory.h"

#include "lib/train/step.h"

#include <stdio.h>
#include <unistd.h>

uint64_t dtn_memory(void)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	FILE *f = fopen("/sys/fs/cgroup/memory.max", "re");
	unsigned long long limit;

	/* The file says "max" where there is no limit. */
	if (f && fscanf(f, "%llu", &limit) == 1 && limit < bytes)
		bytes = limit;
	if (f)
		fclose(f);
	return bytes;
}

int dtn_fit_memory(const struct dtn_settings *s, int type, int workers)
{
	const double GiB = 1 << 30;
	uint64_t have = dtn_memory();
	int fit = workers;

	while (fit > 1 && dtn_training_memory(s, type, fit) > have)
		fit--;
	if (dtn_training_memory(s, type, fit) > have)
		dtn_die(DTN_INPUT,
			"training on images of %dx%dx%d wants %.1f GiB of memory, "
			"but there are %.1f: make them smaller (dtn-load -s) or the network",
			s->unet.width, s->unet.height, s->unet.colours,
			(double)dtn_training_memory(s, type, fit) / GiB, (double)have / GiB);
	if (fit < workers)
		dtn_warn("memory suffices for %d of %d threads only", fit, workers);
	return fit;
}
