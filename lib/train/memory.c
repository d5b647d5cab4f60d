/* memory.c -- will it fit, into memory and into time?  Asked before hours of training. */
#include "lib/train/memory.h"

#include "lib/train/step.h"

#include <stdio.h>
#include <unistd.h>

/* Of the middle block: 256x256 has 4096 with three levels. */
enum { MOST_POSITIONS = 8192 };

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

static _Noreturn void too_large(const struct dtn_settings *s, uint64_t wanted, uint64_t have)
{
	const double GiB = 1 << 30;

	dtn_die(DTN_INPUT,
		"training on images of %dx%dx%d wants %.1f GiB of memory, "
		"but there are %.1f: make them smaller (dtn-load -s) or the network",
		s->unet.width, s->unet.height, s->unet.colours, (double)wanted / GiB,
		(double)have / GiB);
}

void dtn_fit_attention(const struct dtn_unet *u)
{
	int h = dtn_unet_padded(u, u->height) >> (u->levels - 1);
	int w = dtn_unet_padded(u, u->width) >> (u->levels - 1);

	if (h * w > MOST_POSITIONS)
		dtn_die(DTN_INPUT,
			"images of %dx%dx%d are too large to train on with %d levels, which leave "
			"%dx%d positions to attend to each other: make them smaller (dtn-load -s) "
			"or give --mult more levels", u->width, u->height, u->colours, u->levels,
			w, h);
}

/* Of a device's memory a part is kept for what is not counted: scratch, validation, the code. */
static uint64_t queue_memory(const struct dtn_backend *b)
{
	return (uint64_t)b->queue->memory() / 10 * 8;
}

int dtn_fit_slice(const struct dtn_settings *s, const struct dtn_backend *b, int type)
{
	uint64_t have;

	if (!b->queue)
		return dtn_unet_slice(&s->unet);
	have = queue_memory(b);
	for (int parts = 1; parts <= s->batch; parts++) {
		int slice = (s->batch + parts - 1) / parts;

		if (slice <= DTN_MOST_IMAGES && dtn_training_memory(s, type, slice, 1) <= have)
			return slice;
	}
	too_large(s, dtn_training_memory(s, type, 1, 1), have);
}

int dtn_fit_memory(const struct dtn_settings *s, const struct dtn_backend *b, int type, int workers)
{
	uint64_t have = dtn_memory();
	int fit = workers, slice = dtn_unet_slice(&s->unet);

	if (b->queue)
		return 1;
	while (fit > 1 && dtn_training_memory(s, type, slice, fit) > have)
		fit--;
	if (dtn_training_memory(s, type, slice, fit) > have)
		too_large(s, dtn_training_memory(s, type, slice, fit), have);
	if (fit < workers)
		dtn_warn("memory suffices for %d of %d threads only", fit, workers);
	return fit;
}
