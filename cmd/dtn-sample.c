/* dtn-sample.c -- make images with a model. */
#include "format/dtn.h"
#include "lib/device.h"
#include "lib/diffusion/frames.h"
#include "lib/diffusion/from.h"
#include "lib/diffusion/guide.h"
#include "lib/diffusion/sample.h"
#include "lib/diffusion/sink.h"
#include "lib/model.h"
#include "lib/options.h"
#include "lib/output.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define VARIANCES "small|large"

enum { MOST_AT_ONCE = 256 };            /* on a device that takes them all at once */

static const struct dtn_option options[] = {
	{ "number", 'n', "N", "make N images (default: 64)" },
	{ "sampler", 0, "NAME", DTN_SAMPLERS " (default: ddim)" },
	{ "steps", 0, "S", "steps to take (default: 50; ddpm: all; dpm++2m: 25)" },
	{ "eta", 0, "E", "ddim: noise of each step, 0 to 1 (default: 0)" },
	{ "spacing", 0, "NAME", DTN_SPACINGS " (default: trailing)" },
	{ "variance", 0, "NAME", "ddpm: " VARIANCES " (default: small)" },
	{ "no-clip", 0, NULL, "do not keep the expected image within -1 to 1" },
	{ "first", 0, "I", "begin with image number I (default: 0)" },
	{ "trace", 0, "N", "write N frames of each image's way from noise" },
	{ "trace-at", 0, "T,T,...", "write those at these timesteps, and the image" },
	{ "trace-x0", 0, NULL, "frames show the image as the network expects it" },
	{ "class", 0, "NAME,...|all", "of which class; several take turns (default: all)" },
	{ "guidance", 0, "S", "exaggerate the class; 1: as it is, 0: no class (default: 2)" },
	{ "guide-at", 0, "LOW,HIGH", "do so only between these timesteps (default: all)" },
	{ "from", 0, "STREAM", "begin with noise or images of this stream" },
	{ "strength", 0, "F", "part of the steps that change the images, 0 (one step) to 1"
	  " (default: 0.75)" },
	{ "raw", 0, NULL, "use the weights of the last step, not their average" },
	{ "dtype", 0, "TYPE", "write images as u8|f32 (default: u8)" },
	{ "batch", 'b', "N", "work on about N images at once, to save memory" },
	{ "device", 0, "NAME", "auto|cpu|cuda (default: auto)" },
	{ "precision", 0, "NAME", "auto|f32|bf16 (default: auto)" },
	{ NULL, 0, NULL, NULL }
};

static const struct dtn_command command = {
	"[OPTION]... [MODEL]", "Make images with a model.", options,
	DTN_OUTPUT | DTN_THREADS | DTN_SEED | DTN_STREAM_IN | DTN_STREAM_OUT
};

struct wishes {
	struct dtn_sampler_config sampler;
	bool eta_given, variance_given, raw, f32, trace_x0;
	int n, frames, batch;           /* n -1: not given */
	uint64_t first;
	struct dtn_args at;             /* as they were when --trace-at came */
	const char *device, *precision, *from;
	double strength;                /* -1: not given */
	struct dtn_guide guide;
};

struct work {
	const struct dtn_backend *backend;
	int type;                       /* to compute with */
	struct dtn_model model;
	bool averaged;                  /* the weights */
	float *weights;
	char hash[17];
	struct dtn_sampling_graph graph;
	struct dtn_schedule schedule;
	struct dtn_sampler sampler;
	struct dtn_from from;
	struct dtn_frames frames;
};

/* --- what is wanted --------------------------------------------------------------------------- */

/* Those of the sampler; false: it is another. */
static bool sampler_option(struct wishes *w, const struct dtn_args *args)
{
	struct dtn_sampler_config *c = &w->sampler;
	const char *name = args->name;

	if (!strcmp(name, "sampler"))
		c->kind = (enum dtn_sampler_kind)dtn_args_choice(args, DTN_SAMPLERS);
	else if (!strcmp(name, "steps"))
		c->steps = (int)dtn_args_int(args, 1, 65536);
	else if (!strcmp(name, "eta"))
		c->eta = dtn_args_real(args, 0, 1), w->eta_given = true;
	else if (!strcmp(name, "spacing"))
		c->spacing = (enum dtn_spacing)dtn_args_choice(args, DTN_SPACINGS);
	else if (!strcmp(name, "variance"))
		c->variance_large = dtn_args_choice(args, VARIANCES), w->variance_given = true;
	else if (!strcmp(name, "no-clip"))
		c->clip = false;
	else
		return false;
	return true;
}

static void one_option(struct wishes *w, const struct dtn_args *args)
{
	const char *name = args->name;

	if (sampler_option(w, args))
		return;
	if (!strcmp(name, "number"))
		w->n = (int)dtn_args_int(args, 1, 1000000000);
	else if (!strcmp(name, "first"))
		w->first = dtn_args_natural(args, 0, (uint64_t)1 << 62);
	else if (!strcmp(name, "trace"))
		w->frames = (int)dtn_args_int(args, 2, 65537);
	else if (!strcmp(name, "trace-at"))
		w->at = *args;          /* its numbers wait for the model's */
	else if (!strcmp(name, "trace-x0"))
		w->trace_x0 = true;
	else if (!strcmp(name, "class"))
		w->guide.class = args->value;
	else if (!strcmp(name, "guidance"))
		w->guide.guidance = dtn_args_real(args, 0, 1000);
	else if (!strcmp(name, "guide-at"))
		w->guide.at = *args;
	else if (!strcmp(name, "from"))
		w->from = args->value;
	else if (!strcmp(name, "strength"))
		w->strength = dtn_args_real(args, 0, 1);
	else if (!strcmp(name, "raw"))
		w->raw = true;
	else if (!strcmp(name, "dtype"))
		w->f32 = dtn_args_choice(args, "u8|f32");
	else if (!strcmp(name, "batch"))
		w->batch = (int)dtn_args_int(args, 1, INT_MAX);
	else if (!strcmp(name, "device"))
		w->device = args->value;
	else if (!strcmp(name, "precision"))
		w->precision = args->value;
}

static void check_options(const struct wishes *w, const struct dtn_args *args)
{
	if (args->operands > 1)
		dtn_usage("one model at a time, not %d", args->operands);
	if (w->eta_given && w->sampler.kind != DTN_DDIM)
		dtn_usage("--eta is for --sampler ddim");
	if (w->variance_given && w->sampler.kind != DTN_DDPM)
		dtn_usage("--variance is for --sampler ddpm");
	if (w->frames > 1 && w->at.value)
		dtn_usage("--trace and --trace-at exclude each other");
	if (w->trace_x0 && w->frames == 1 && !w->at.value)
		dtn_usage("--trace-x0 wants --trace or --trace-at, to know which frames");
	if (w->strength >= 0 && !w->from)
		dtn_usage("--strength wants --from, to have something to change");
}

static int smaller(int a, int b)
{
	return a < b ? a : b;
}

static void check_steps(struct wishes *w, const struct dtn_model *model)
{
	static const int usual[] = { [DTN_DDIM] = 50, [DTN_DDPM] = INT_MAX, [DTN_DPM] = 25 };
	const int T = model->schedule.steps;

	if (w->sampler.steps > T)
		dtn_usage("--steps %d: the model has %d", w->sampler.steps, T);
	if (w->sampler.steps == 0)
		w->sampler.steps = smaller(T, usual[w->sampler.kind]);
}

/* --- what there is to work with --------------------------------------------------------------- */

/* The weights to sample with: averaged ones, where there are any and --raw was not given. */
static float *read_weights(struct dtn_reader *r, const struct dtn_model *m,
			   const struct dtn_graph *g, bool averaged)
{
	float *weights = dtn_alloc_aligned(g->params * sizeof(*weights));
	struct dtn_weights into = { 0 };

	*(averaged ? &into.ema : &into.param) = weights;
	dtn_model_read(r, m, g, &into, NULL);
	return weights;
}

static void begin_with(struct wishes *w, struct dtn_from *from, const struct dtn_model *model)
{
	if (w->from) {
		dtn_from_read(from, w->from, model, w->first, w->n);
		if (from->kind != DTN_FROM_IMAGES && w->strength >= 0)
			dtn_usage("--strength is for images; the stream has %s",
				  from->kind == DTN_FROM_NOISE ? "noise" : "noise added to them");
		w->n = from->n;
		w->strength = w->strength < 0 ? 0.75 : w->strength;
	}
	w->n = w->n < 0 ? 64 : w->n;
}

/* The steps to take, and after which of them there are frames. */
static void choose_steps(struct work *k, const struct wishes *w, uint64_t seed)
{
	dtn_schedule_init(&k->schedule, &k->model.schedule);
	dtn_sampler_init(&k->sampler, &w->sampler, &k->schedule, k->model.predict);
	if (w->from)
		dtn_from_begin(&k->from, &k->sampler, w->strength, seed, w->first);
	if (w->at.value)
		dtn_frames_at(&k->frames, &w->at, &k->sampler);
	else
		dtn_frames_even(&k->frames, w->frames, &k->sampler);
}

static void prepare(struct work *k, struct wishes *w, const struct dtn_args *args)
{
	const struct dtn_unet *u = &k->model.unet;
	struct dtn_reader *reader;
	int at_once;

	k->backend = dtn_device(w->device);
	k->type = dtn_precision(k->backend, w->precision, NULL);
	reader = dtn_model_open(&k->model, args->operands ? args->operand[0] : "-");
	k->averaged = !w->raw && dtn_model_has(&k->model, DTN_EMA);
	check_steps(w, &k->model);
	begin_with(w, &k->from, &k->model);
	choose_steps(k, w, args->seed);
	dtn_guide_choose(&w->guide, &k->model, w->from && k->from.kind != DTN_FROM_NOISE);
	at_once = dtn_sampling_slice(u, k->backend, k->type,
				     smaller(w->batch ? w->batch : MOST_AT_ONCE, w->n));
	dtn_sampling_graph(&k->graph, u, k->type, at_once);
	k->weights = read_weights(reader, &k->model, &k->graph.graph, k->averaged);
	dtn_reader_close(reader);
	dtn_model_hash(k->hash, &k->model, &k->graph.graph, k->weights);
	dtn_say("model %s, %s, %d steps on %s (%s)", k->hash,
		k->averaged ? "averaged weights" : "raw weights", w->sampler.steps,
		k->backend->name, k->backend->detail);
}

static void release(struct work *k)
{
	dtn_graph_release(&k->graph.graph);
	dtn_model_release(&k->model);
	dtn_frames_release(&k->frames);
	dtn_sampler_release(&k->sampler);
	dtn_schedule_release(&k->schedule);
	dtn_from_release(&k->from);
	free(k->weights);
}

/* --- the result ------------------------------------------------------------------------------- */

static void describe(struct dtn_meta *meta, const struct work *k, const struct wishes *w,
		     uint64_t seed)
{
	dtn_meta_set(meta, "image.layout", "NHWC");
	dtn_meta_set(meta, "image.range", w->f32 ? "-1,1" : "0,255");
	dtn_meta_set(meta, "sample.model", "%s", k->hash);
	dtn_meta_set(meta, "sample.weights", k->averaged ? "ema" : "param");
	dtn_meta_set(meta, "sample.seed", "%llu", (unsigned long long)seed);
	dtn_meta_set(meta, "sample.first", "%llu", (unsigned long long)w->first);
	dtn_sampler_describe(&w->sampler, meta);
	dtn_meta_set(meta, "sample.precision", "%s", dtn_type_name(k->type));
	dtn_frames_describe(&k->frames, w->trace_x0, meta);
	dtn_guide_describe(&w->guide, &k->model, meta);
	if (w->from)
		dtn_from_describe(&k->from, w->strength, meta);
}

static void begin_segment(struct dtn_sink *sink, struct work *k, const struct wishes *w,
			  const struct dtn_args *args)
{
	const struct dtn_unet *u = &k->model.unet;
	struct dtn_meta meta = { 0 };

	describe(&meta, k, w, args->seed);
	if (!args->no_prov)
		dtn_prov_add(&k->model.prov, args->argc, args->argv,
			     "--batch= -b= --device= --max-record=", args->operands, args->operand);
	dtn_write_segment(sink->writer, DTN_SAMPLES, &meta, &k->model.prov);
	dtn_meta_release(&meta);
	sink->image = (struct dtn_shape){ 4, { 1, u->height, u->width, u->colours } };
	sink->first = w->first;
	sink->n = (uint64_t)w->n;
	sink->frames = k->frames.n;
	sink->label = w->guide.label;
	sink->labels = w->guide.labels;
}

/* As many workers as processors or -j, but no more than have work; twice as many slices, so
 * that a worker need not wait for a slower one, unless -b wants to save memory. */
static void share_out(const struct wishes *w, const struct dtn_args *args, int slice, int *workers,
		      int *slots)
{
	int threads = args->threads, slices = (w->n - 1) / slice + 2;

	*slots = smaller(w->batch ? (w->batch - 1) / slice + 1 : 2 * threads, slices);
	*workers = smaller(threads, *slots);
}

static void make_images(struct dtn_sink *sink, struct work *k, const struct wishes *w,
			const struct dtn_args *args)
{
	struct dtn_net net;
	struct dtn_sampling s = {
		.graph = &k->graph, .net = &net, .sampler = &k->sampler, .seed = args->seed,
		.first = w->first, .n = w->n, .frames = k->frames.n, .after = k->frames.after,
		.x0_frames = w->trace_x0, .type = sink->type, .emit = dtn_sink_emit,
		.progress = dtn_sink_progress, .arg = sink, .start = k->from.x,
		.label = sink->label, .labels = sink->labels, .guidance = w->guide.guidance,
		.guide_at = { w->guide.between[0], w->guide.between[1] }
	};
	float *param;
	int workers;

	share_out(w, args, k->graph.slice, &workers, &s.slots);
	if (k->backend->queue)
		workers = s.slots = 1;
	param = dtn_on_device(k->backend, k->weights, k->graph.graph.params);
	dtn_net_init(&net, &k->graph.graph, k->graph.prediction, false, k->backend, workers, param);
	dtn_net_pack(&net);
	dtn_sink_begin(sink);
	dtn_sample(&s);
	dtn_sink_end(sink);
	if (s.strange)
		dtn_warn("%llu values are no numbers and written as 0",
			 (unsigned long long)s.strange);
	dtn_net_release(&net);
	if (param != k->weights)
		k->backend->free(param);
}

int main(int argc, char **argv)
{
	struct wishes w = {
		.sampler = { .clip = true }, .n = -1, .frames = 1, .guide.guidance = -1,
		.strength = -1
	};
	struct dtn_output out;
	struct dtn_args args;
	struct dtn_sink sink = { 0 };
	struct work work = { 0 };

	dtn_begin(argv);
	dtn_args_begin(&args, &command, argc, argv);
	while (dtn_args_next(&args))
		one_option(&w, &args);
	check_options(&w, &args);

	dtn_output_open(&out, args.output, args.force);
	sink.writer = dtn_writer_open(&out, args.level);
	sink.type = w.f32 ? DTN_F32 : DTN_U8;
	prepare(&work, &w, &args);
	begin_segment(&sink, &work, &w, &args);
	make_images(&sink, &work, &w, &args);
	dtn_write_end(sink.writer);
	release(&work);
	dtn_guide_release(&w.guide);
	dtn_writer_close(sink.writer);
	dtn_output_commit(&out);
	return DTN_OK;
}
