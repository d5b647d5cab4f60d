/* dtn-sample.c -- make images with a model. */
#include "format/dtn.h"
#include "lib/device.h"
#include "lib/diffusion/from.h"
#include "lib/diffusion/sample.h"
#include "lib/labels.h"
#include "lib/line.h"
#include "lib/model.h"
#include "lib/options.h"
#include "lib/output.h"
#include "lib/samples/images.h"

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
	{ "trace-x0", 0, NULL, "frames show the image as the network expects it" },
	{ "class", 0, "NAME,...|all", "of which class; several take turns (default: all)" },
	{ "guidance", 0, "S", "exaggerate the class; 1: as it is, 0: no class (default: 2)" },
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
	const char *device, *precision;
	const char *class, *from;
	double guidance, strength;      /* -1: not given */
};

/* --- what is wanted --------------------------------------------------------------------------- */

static void one_option(struct wishes *w, const struct dtn_args *args)
{
	const char *name = args->name;

	if (!strcmp(name, "number"))
		w->n = (int)dtn_args_int(args, 1, 1000000000);
	else if (!strcmp(name, "sampler"))
		w->sampler.kind = (enum dtn_sampler_kind)dtn_args_choice(args, DTN_SAMPLERS);
	else if (!strcmp(name, "steps"))
		w->sampler.steps = (int)dtn_args_int(args, 1, 65536);
	else if (!strcmp(name, "eta"))
		w->sampler.eta = dtn_args_real(args, 0, 1), w->eta_given = true;
	else if (!strcmp(name, "spacing"))
		w->sampler.spacing = (enum dtn_spacing)dtn_args_choice(args, DTN_SPACINGS);
	else if (!strcmp(name, "variance"))
		w->variance_given = true,
		w->sampler.variance_large = dtn_args_choice(args, VARIANCES);
	else if (!strcmp(name, "no-clip"))
		w->sampler.clip = false;
	else if (!strcmp(name, "first"))
		w->first = dtn_args_natural(args, 0, (uint64_t)1 << 62);
	else if (!strcmp(name, "trace"))
		w->frames = (int)dtn_args_int(args, 2, 65537);
	else if (!strcmp(name, "trace-x0"))
		w->trace_x0 = true;
	else if (!strcmp(name, "class"))
		w->class = args->value;
	else if (!strcmp(name, "guidance"))
		w->guidance = dtn_args_real(args, 0, 1000);
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
	if (w->trace_x0 && w->frames == 1)
		dtn_usage("--trace-x0 wants --trace, to know how many frames");
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

/* --- the result ------------------------------------------------------------------------------- */

static void describe_classes(struct dtn_meta *meta, const struct wishes *w,
			     const struct dtn_model *model)
{
	if (model->unet.classes == 0)
		return;
	dtn_meta_set(meta, "sample.guidance", "%.9g", w->guidance);
	if (w->guidance == 0)
		return;
	dtn_meta_set(meta, "labels", "%s", dtn_meta_get(&model->meta, "labels"));
	dtn_meta_set(meta, "sample.class", "%s", w->class);
}

static void describe_start(struct dtn_meta *meta, const struct wishes *w,
			   const struct dtn_from *from)
{
	if (!w->from || from->kind == DTN_FROM_NOISE)
		return;
	if (from->kind == DTN_FROM_NOISED)
		dtn_meta_set(meta, "sample.from", "%d", from->t);
	else
		dtn_meta_set(meta, "sample.strength", "%.9g", w->strength);
}

static void describe(struct dtn_meta *meta, const struct wishes *w, const char *hash, uint64_t seed,
		     bool averaged, int type)
{
	dtn_meta_set(meta, "image.layout", "NHWC");
	dtn_meta_set(meta, "image.range", w->f32 ? "-1,1" : "0,255");
	dtn_meta_set(meta, "sample.model", "%s", hash);
	dtn_meta_set(meta, "sample.weights", averaged ? "ema" : "param");
	dtn_meta_set(meta, "sample.seed", "%llu", (unsigned long long)seed);
	dtn_meta_set(meta, "sample.first", "%llu", (unsigned long long)w->first);
	dtn_sampler_describe(&w->sampler, meta);
	dtn_meta_set(meta, "sample.precision", "%s", dtn_type_name(type));
	if (w->frames > 1) {
		dtn_meta_set(meta, "sample.frames", "%d", w->frames);
		dtn_meta_set(meta, "sample.show", w->trace_x0 ? "x0" : "xt");
	}
}

struct sink {
	struct dtn_writer *writer;
	struct dtn_shape image;         /* [1,H,W,C] */
	int type;
	uint64_t first, n;              /* images */
	int frames;
	int32_t *label;                 /* of image i: label[i mod labels]; NULL: none */
	int labels;
	uint64_t written;               /* samples, frames counted */
	double begun;
	struct dtn_line line;
};

/* The classes of the next n samples; allocated; NULL: they have none. */
static int32_t *labels_of(const struct sink *sink, uint32_t n)
{
	int32_t *label;

	if (!sink->label)
		return NULL;
	label = dtn_alloc(n, sizeof(*label));
	for (uint32_t k = 0; k < n; k++)
		label[k] = sink->label[(sink->first + (sink->written + k) / (uint64_t)sink->frames)
				       % (uint64_t)sink->labels];
	return label;
}

static void emit(void *arg, const void *samples, size_t n)
{
	struct sink *sink = arg;
	const struct dtn_shape s = sink->image;
	const size_t bytes = dtn_shape_count(s) * dtn_type_size(sink->type);
	const uint32_t most = dtn_images_most(bytes);

	for (size_t at = 0, now; at < n; at += now) {
		int32_t *label;
		now = n - at < most ? n - at : most;
		label = labels_of(sink, (uint32_t)now);
		dtn_images_write(sink->writer, sink->type, s.dim + 1, (uint32_t)now,
				 (const char *)samples + at * bytes, label);
		free(label);
		sink->written += now;
	}
}

static void progress(void *arg, int64_t done, int64_t all)
{
	struct sink *sink = arg;
	double share = (double)done / (double)all, seconds;

	if (!dtn_line_due(&sink->line))
		return;
	seconds = dtn_seconds() - sink->begun;
	dtn_line_show(&sink->line, "%llu images  %.0f %%  %.3g images/s  %s left",
		      (unsigned long long)sink->n, 100 * share, share * (double)sink->n / seconds,
		      dtn_clock_text(seconds / share - seconds));
}

/* --- all of it -------------------------------------------------------------------------------- */

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

/* All classes in turn, unless some are named or the images begin as other images, which might be
 * of any. */
static void choose_classes(struct sink *sink, struct wishes *w, const struct dtn_model *model,
			   const struct dtn_from *from)
{
	const char *dropped = dtn_meta_get(&model->meta, "train.label_dropout");
	const bool named_only = dropped && strtod(dropped, NULL) == 0;

	if (model->unet.classes == 0) {
		if (w->class || w->guidance >= 0)
			dtn_usage("%s: the model was not trained with classes",
				  w->class ? "--class" : "--guidance");
		return;
	}
	if (!w->class && w->from && from->kind != DTN_FROM_NOISE) {
		if (w->guidance > 0)
			dtn_usage("--guidance with images --from a stream wants their --class");
		w->guidance = 0;
	}
	if (w->guidance < 0)
		w->guidance = named_only ? 1 : DTN_GUIDANCE;
	if (named_only && w->guidance != 1)
		dtn_usage("the model was trained without --label-dropout, so it makes images of a "
			  "--class only, with --guidance 1");
	if (!w->class)
		w->class = "all";
	if (w->guidance != 0)
		sink->labels = dtn_labels_choose(w->class, dtn_meta_get(&model->meta, "labels"),
						 &sink->label);
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

/* As many workers as processors or -j, but no more than have work; twice as many slices, so
 * that a worker need not wait for a slower one, unless -b wants to save memory. */
static void share_out(const struct wishes *w, const struct dtn_args *args, int slice, int *workers,
		      int *slots)
{
	int threads = args->threads ? args->threads : dtn_cores(), slices = (w->n - 1) / slice + 2;

	*slots = smaller(w->batch ? (w->batch + slice - 1) / slice : 2 * threads, slices);
	*workers = smaller(threads, *slots);
}

static void make_images(struct sink *sink, const struct wishes *w, const struct dtn_args *args,
			const struct dtn_backend *backend, const struct dtn_model *model,
			struct dtn_sampling_graph *g, float *weights, struct dtn_from *from)
{
	struct dtn_schedule schedule;
	struct dtn_sampler sampler;
	struct dtn_net net;
	struct dtn_sampling s = {
		.graph = g, .net = &net, .sampler = &sampler, .seed = args->seed,
		.first = w->first, .n = w->n, .frames = w->frames, .x0_frames = w->trace_x0,
		.type = sink->type, .emit = emit, .progress = progress, .arg = sink,
		.start = from->x, .label = sink->label, .labels = sink->labels,
		.guidance = w->guidance
	};
	float *param;
	int workers;

	share_out(w, args, g->slice, &workers, &s.slots);
	if (backend->queue)
		workers = s.slots = 1;
	dtn_schedule_init(&schedule, &model->schedule);
	dtn_sampler_init(&sampler, &w->sampler, &schedule, model->predict);
	if (w->from)
		dtn_from_begin(from, &sampler, w->strength, args->seed, w->first);
	param = dtn_on_device(backend, weights, g->graph.params);
	dtn_net_init(&net, &g->graph, g->prediction, false, backend, workers, param);
	dtn_net_pack(&net);
	sink->begun = dtn_seconds();
	dtn_sample(&s);
	dtn_line_clear(&sink->line);
	if (s.strange)
		dtn_warn("%llu values are no numbers and written as 0",
			 (unsigned long long)s.strange);
	dtn_say("%d image%s in %.2f s", w->n, dtn_plural((uint64_t)w->n),
		dtn_seconds() - sink->begun);
	dtn_net_release(&net);
	if (param != weights)
		backend->free(param);
	dtn_sampler_release(&sampler);
	dtn_schedule_release(&schedule);
}

static void run(struct wishes *w, const struct dtn_args *args, struct sink *sink)
{
	const struct dtn_backend *backend = dtn_device(w->device);
	const int type = dtn_precision(backend, w->precision, NULL);
	int at_once;
	struct dtn_sampling_graph g;
	struct dtn_model model;
	struct dtn_reader *reader = dtn_model_open(&model, args->operands ? args->operand[0] : "-");
	const bool averaged = !w->raw && dtn_model_has(&model, DTN_EMA);
	struct dtn_meta meta = { 0 };
	struct dtn_from from = { 0 };
	float *weights;
	char hash[17];

	check_steps(w, &model);
	begin_with(w, &from, &model);
	choose_classes(sink, w, &model, &from);
	sink->n = (uint64_t)w->n;
	at_once = dtn_sampling_slice(&model.unet, backend, type,
				     smaller(w->batch ? w->batch : MOST_AT_ONCE, w->n));
	dtn_sampling_graph(&g, &model.unet, type, at_once);
	weights = read_weights(reader, &model, &g.graph, averaged);
	dtn_reader_close(reader);
	dtn_model_hash(hash, &model, &g.graph, weights);
	dtn_say("model %s, %s, %d steps on %s (%s)", hash,
		averaged ? "averaged weights" : "raw weights", w->sampler.steps, backend->name,
		backend->detail);

	describe(&meta, w, hash, args->seed, averaged, type);
	describe_classes(&meta, w, &model);
	describe_start(&meta, w, &from);
	if (!args->no_prov)
		dtn_prov_add(&model.prov, args->argc, args->argv,
			     "--batch= -b= --device= --max-record=", args->operands, args->operand);
	sink->image = (struct dtn_shape){
		4, { 1, model.unet.height, model.unet.width, model.unet.colours }
	};
	dtn_write_segment(sink->writer, DTN_SAMPLES, &meta, &model.prov);
	make_images(sink, w, args, backend, &model, &g, weights, &from);
	dtn_write_end(sink->writer);

	dtn_meta_release(&meta);
	dtn_graph_release(&g.graph);
	dtn_model_release(&model);
	dtn_from_release(&from);
	free(weights);
	free(sink->label);
}

int main(int argc, char **argv)
{
	struct wishes w = {
		.sampler = { .clip = true }, .n = -1, .frames = 1, .guidance = -1, .strength = -1
	};
	struct dtn_output out;
	struct dtn_args args;
	struct sink sink = { 0 };

	dtn_begin(argv);
	dtn_args_begin(&args, &command, argc, argv);
	while (dtn_args_next(&args))
		one_option(&w, &args);
	check_options(&w, &args);

	dtn_output_open(&out, args.output, args.force);
	sink.writer = dtn_writer_open(&out, args.level);
	sink.type = w.f32 ? DTN_F32 : DTN_U8;
	sink.frames = w.frames;
	sink.first = w.first;
	dtn_line_init(&sink.line);
	run(&w, &args, &sink);
	dtn_writer_close(sink.writer);
	dtn_output_commit(&out);
	return DTN_OK;
}
