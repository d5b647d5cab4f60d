/* tests/tools/model.c -- write a model with random weights: model OUT [KEY=VALUE]...
 *
 * Pairs change the configuration of a small network; `seed=N` gives other weights, `tensors=param`
 * leaves the average out, `nan=NAME` spoils one weight and its average, `huge=NAME` makes one so
 * large that sums with it overflow.  Classes want two pairs: unet.classes=2 labels=cat,dog.
 */
#include "lib/model.h"
#include "lib/output.h"
#include "lib/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const defaults[] = {
	"model.arch=ddpm-unet", "model.version=1", "image.height=8", "image.width=8",
	"image.channels=1", "unet.channels=8", "unet.mult=1,2", "unet.blocks=1", "unet.attn=4",
	"unet.heads=1", "unet.groups=4", "unet.dropout=0", "ddpm.steps=100",
	"ddpm.schedule=linear", "ddpm.prediction=eps", "ddpm.zero_snr=0", NULL
};

static void set(struct dtn_meta *meta, const char *pair)
{
	char *key = dtn_strdup(pair), *equal = strchr(key, '=');

	if (!equal)
		dtn_die(DTN_USAGE, "%s: wants KEY=VALUE", pair);
	*equal = '\0';
	dtn_meta_set(meta, key, "%s", equal + 1);
	free(key);
}

/* Weights of the size that keeps activations where they are, also where training begins with
 * zeros. */
static void fill(float *w, const struct dtn_graph *g, uint64_t seed, uint64_t set_index)
{
	for (dtn_id i = 0; i < g->n; i++) {
		const struct dtn_node *x = &g->node[i];
		size_t n = dtn_shape_count(x->shape);
		float bound = sqrtf(3 * (float)x->shape.dim[0] / (float)n),
		      centre = x->attr.param.fill;
		if (x->op != DTN_OP_PARAM)
			continue;
		dtn_rng_uniform(dtn_rng(seed, DTN_RNG_INIT, (uint64_t)i << 8 | set_index, 0),
				w + x->param, n);
		for (size_t k = 0; k < n; k++)
			w[x->param + k] = centre + (x->shape.rank > 1 ? bound : 0.1f) *
							   (2 * w[x->param + k] - 1);
	}
}

static void spoil(float *w, const struct dtn_graph *g, const char *name, float value)
{
	for (dtn_id i = 0; name && i < g->n; i++)
		if (g->node[i].op == DTN_OP_PARAM && !strcmp(g->node[i].name, name))
			w[g->node[i].param] = value;
}

static void write_file(const char *path, const struct dtn_model *m, const struct dtn_graph *g,
		       const struct dtn_weights *w)
{
	struct dtn_output out;
	struct dtn_writer *writer;

	dtn_output_open(&out, path, false);
	writer = dtn_writer_open(&out, 1);
	dtn_model_write(writer, m, g, w, &(struct dtn_counters){ 0 });
	dtn_writer_close(writer);
	dtn_output_commit(&out);
}

int main(int argc, char **argv)
{
	struct dtn_meta meta = { 0 };
	struct dtn_model model = { 0 };
	struct dtn_graph g;
	struct dtn_weights w = { 0 };
	const char *seed, *nan, *huge, *tensors;
	uint64_t number;

	dtn_begin(argv);
	for (int i = 0; defaults[i]; i++)
		set(&meta, defaults[i]);
	for (int i = 2; i < argc; i++)
		set(&meta, argv[i]);
	seed = dtn_meta_get(&meta, "seed");
	nan = dtn_meta_get(&meta, "nan");
	huge = dtn_meta_get(&meta, "huge");
	tensors = dtn_meta_get(&meta, "tensors");
	number = seed ? strtoull(seed, NULL, 10) : 0;
	dtn_model_from_meta(&model, &meta, argv[1]);
	for (int i = 0; i < meta.n; i++)
		if (!strcmp(meta.pair[i].key, "labels") ||
		    !strncmp(meta.pair[i].key, "train.", 6))
			dtn_meta_set(&model.meta, meta.pair[i].key, "%s", meta.pair[i].value);
	dtn_unet_graph(&g, &model.unet);
	w.param = dtn_alloc(g.params, sizeof(float));
	fill(w.param, &g, number, 0);
	spoil(w.param, &g, nan, NAN);
	spoil(w.param, &g, huge, 3e38f);
	if (!tensors || strstr(tensors, "ema")) {
		w.ema = dtn_alloc(g.params, sizeof(float));
		fill(w.ema, &g, number, 1);
		spoil(w.ema, &g, nan, NAN);
		spoil(w.ema, &g, huge, 3e38f);
	}
	write_file(argv[1], &model, &g, &w);
	return 0;
}
