/* preview.c -- pictures of what the model makes while it is trained.
 *
 * Sampling draws no number that training would have drawn, so a run makes the same model with
 * pictures and without.
 */
#include "lib/train/preview.h"

#include "lib/diffusion/guide.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { IMAGES = 16, COLUMNS = 16, STEPS = 50, PAD = 2 };

void dtn_preview_check(const char *folder, int colours)
{
	struct stat st;

	if (colours != 1 && colours != 3)
		dtn_die(DTN_INPUT, "--sample-every makes pictures of 1 or 3 channels, not of %d",
			colours);
	if (mkdir(folder, 0777) != 0 && errno != EEXIST)
		dtn_die(DTN_ENV, "%s:", folder);
	if (stat(folder, &st) == 0 && !S_ISDIR(st.st_mode))
		errno = ENOTDIR;
	else if (access(folder, W_OK | X_OK) == 0)
		return;
	dtn_die(DTN_ENV, "%s:", folder);
}

/* A column for each of the first classes, else a square. */
static void arrange(struct dtn_preview *p, const struct dtn_unet *u)
{
	int classes = u->classes < COLUMNS ? u->classes : COLUMNS, rows;

	p->grid = (struct dtn_grid){
		.height = (uint32_t)u->height, .width = (uint32_t)u->width, .channels = u->colours,
		.together = 1, .images = IMAGES, .scale = 1, .pad = PAD
	};
	if (classes > 0) {
		rows = (IMAGES - 1) / classes + 1;
		p->grid.columns = (uint32_t)classes;
		p->grid.images = (uint64_t)classes * (uint64_t)(rows > 1 ? rows : 2);
		p->label = dtn_alloc((size_t)classes, sizeof(*p->label));
		for (int i = 0; i < classes; i++)
			p->label[i] = i;
	}
	if (!dtn_grid_init(&p->grid))
		dtn_die(DTN_INPUT, "--sample-every: the picture is too large");
}

void dtn_preview_init(struct dtn_preview *p, const struct dtn_trainer *r, const char *folder)
{
	const struct dtn_settings *s = r->settings;
	const struct dtn_unet *u = &s->unet;
	int T = s->schedule.steps;
	struct dtn_sampler_config config = { .steps = T < STEPS ? T : STEPS, .clip = true };

	memset(p, 0, sizeof(*p));
	p->trainer = r;
	p->folder = folder;
	arrange(p, u);
	p->pixels = dtn_alloc((size_t)p->grid.images, r->data->image_bytes);
	dtn_sampling_graph(&p->graph, u, r->graph.graph.type,
			   dtn_sampling_slice(u, r->net.backend, r->graph.graph.type,
					      (int)p->grid.images));
	dtn_sampler_init(&p->sampler, &config, &r->schedule, s->predict);
	dtn_net_init(&p->net, &p->graph.graph, p->graph.prediction, false, r->net.backend,
		     r->net.workers, r->optim.ema);
}

void dtn_preview_release(struct dtn_preview *p)
{
	dtn_net_release(&p->net);
	dtn_sampler_release(&p->sampler);
	dtn_graph_release(&p->graph.graph);
	free(p->label);
	free(p->pixels);
}

static void collect(void *arg, const void *samples, size_t n)
{
	struct dtn_preview *p = arg;
	size_t bytes = n * p->trainer->data->image_bytes;

	memcpy(p->pixels + p->bytes, samples, bytes);
	p->bytes += bytes;
}

static void write_picture(const struct dtn_preview *p, const char *path)
{
	char step[24], seed[24];
	const struct dtn_png_text text[] = {
		{ "Software", "dtn " DTN_VERSION }, { "train.step", step }, { "sample.seed", seed },
		{ "sample.sampler", "ddim" }
	};
	struct dtn_output out;

	snprintf(step, sizeof(step), "%lld", (long long)p->trainer->counters.step);
	snprintf(seed, sizeof(seed), "%llu", (unsigned long long)p->trainer->settings->seed);
	dtn_output_open(&out, path, false);
	dtn_grid_write(&p->grid, p->pixels, &out, text, sizeof(text) / sizeof(text[0]));
	dtn_output_commit(&out);
}

void dtn_preview_make(struct dtn_preview *p)
{
	struct dtn_sampling s = {
		.graph = &p->graph, .net = &p->net, .sampler = &p->sampler,
		.seed = p->trainer->settings->seed, .n = (int)p->grid.images, .frames = 1,
		.type = DTN_U8, .slots = 2 * p->net.workers, .emit = collect, .arg = p,
		.label = p->label, .labels = p->label ? (int)p->grid.columns : 0,
		.guidance = p->trainer->settings->label_dropout > 0 ? DTN_GUIDANCE : 1
	};
	char *path = dtn_format("%s/%08lld.png", p->folder,
				(long long)p->trainer->counters.step);

	dtn_guide_usual(s.guide_at, &p->trainer->settings->schedule);
	p->bytes = 0;
	dtn_net_pack(&p->net);
	dtn_sample(&s);
	write_picture(p, path);
	free(path);
}
