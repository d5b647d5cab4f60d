/* step.c -- the loss and the gradient of a step are those of the paper, and nothing else
 * matters. */
#include "lib/train/step.h"

#include "lib/diffusion/noise.h"
#include "lib/machine.h"
#include "lib/output.h"
#include "lib/rng.h"
#include "lib/train/memory.h"
#include "lib/train/validate.h"
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A size that the network must pad. */
enum { H = 7, W = 6, C = 2, BYTES = H * W * C, N = 23, T = 100, CLASSES = 3 };

static char path[] = "/tmp/dtn-step-XXXXXX";
static uint8_t pixels[N * BYTES];
static struct dtn_data data;

static void make_data(void)
{
	uint64_t dim[] = { N, H, W, C };
	struct dtn_tensor t[] = { dtn_tensor("image", DTN_IMAGE, DTN_U8, true, 4, dim),
				  dtn_tensor("label", DTN_LABEL, DTN_I32, true, 1, dim) };
	struct dtn_record r = { .samples = N, .tensors = 2, .tensor = t };
	int32_t label[N];
	const void *tensors[] = { pixels, label };
	struct dtn_meta meta = { 0 };
	struct dtn_prov prov = { 0 };
	char *operand[] = { path };
	struct dtn_output out;
	struct dtn_writer *w;

	for (int i = 0; i < N * BYTES; i++)
		pixels[i] = (uint8_t)(i * 37 + i / BYTES * 11);
	for (int i = 0; i < N; i++)
		label[i] = i == 7 ? DTN_NO_CLASS : i % CLASSES;
	dtn_output_open(&out, path, false);
	w = dtn_writer_open(&out, 1);
	dtn_write_segment(w, DTN_SAMPLES, &meta, &prov);
	dtn_write_record(w, &r, tensors);
	dtn_write_end(w);
	dtn_writer_close(w);
	dtn_output_commit(&out);
	dtn_data_open(&data, 1, operand, UINT64_MAX);
	dtn_data_classes(&data, NULL);
	dtn_data_load(&data, NULL, NULL);
}

static struct dtn_settings settings(void)
{
	struct dtn_settings s;

	dtn_settings_default(&s);
	s.unet = (struct dtn_unet){ H, W, C, 8, 2, { 1, 2 }, 1, 0, { 0 }, 1, .groups = 4 };
	s.schedule = (struct dtn_schedule_config){ .steps = T, .kind = DTN_COSINE };
	s.batch = 5;
	s.seed = 11;
	s.warmup = 0;
	return s;
}

static struct dtn_trainer *begin(const struct dtn_settings *s, int workers)
{
	struct dtn_trainer *r = dtn_alloc(1, sizeof(*r));

	dtn_trainer_init(r, s, &data, dtn_cpu(NULL), DTN_F32, workers);
	dtn_trainer_start(r);
	return r;
}

/* A network that says 0 of everything. */
static struct dtn_trainer *begin_silent(const struct dtn_settings *s, int workers)
{
	struct dtn_trainer *r = begin(s, workers);

	for (dtn_id i = 0; i < r->graph.graph.n; i++) {
		const struct dtn_node *x = &r->graph.graph.node[i];

		if (x->op == DTN_OP_PARAM && !strncmp(x->name, "conv_out.", 9))
			memset(r->net.param + x->param, 0,
			       dtn_shape_count(x->shape) * sizeof(float));
	}
	dtn_optim_start(&r->optim);
	dtn_trainer_ready(r);
	return r;
}

static void end(struct dtn_trainer *r)
{
	dtn_trainer_release(r);
	free(r);
}

/* --- memory ---------------------------------------------------------------------------------- */

static void memory_beside(void)
{
	struct dtn_settings s = settings();
	const struct dtn_backend *b = dtn_cpu(NULL);
	int slice = dtn_unet_slice(&s.unet);
	uint64_t training = dtn_training_memory(&s, DTN_F32, slice, 3),
		 asking = dtn_asking_memory(&s, DTN_F32, slice, 3), left, less;
	bool all = dtn_fit_memory(&s, b, DTN_F32, 3, 0, &left) == 3 &&
		   dtn_fit_memory(&s, b, DTN_F32, 3, 2, &less) == 3;

	check(all && asking > 0 && asking < training, "all workers of a small network fit",
	      "they do not");
	check(left == dtn_memory() - training && less == left - 2 * asking,
	      "what networks take is not left for images", "other bytes");
}

/* --- the loss -------------------------------------------------------------------------------- */

/* The cosine schedule [Nichol & Dhariwal 2021, eq. 17], betas clipped at 0.999. */
static double alpha_bar(int t)
{
	const double pi = acos(-1);
	double product = 1;

	for (int i = 0; i <= t; i++) {
		double a = cos(((i + 1.0) / T + 0.008) / 1.008 * pi / 2);
		double b = cos(((double)i / T + 0.008) / 1.008 * pi / 2);
		product *= 1 - fmin(1 - a * a / (b * b), 0.999);
	}
	return product;
}

static double min_snr(enum dtn_predict predict, double snr)
{
	double least = fmin(snr, 5);

	return predict == DTN_X0 ? least : predict == DTN_EPS ? least / snr : least / (snr + 1);
}

static double distance(enum dtn_loss_kind kind, double d)
{
	if (kind == DTN_L2)
		return d * d;
	if (kind == DTN_L1)
		return fabs(d);
	return fabs(d) < 1 ? 0.5 * d * d : fabs(d) - 0.5;
}

/* The loss of a silent network is the distance of the target from 0. */
static double first_loss(const struct dtn_settings *s, const uint32_t *image)
{
	double sum = 0;

	for (int p = 0; p < s->batch; p++) {
		float eps[BYTES];
		int t = dtn_timestep_of(s->seed, (uint64_t)p, T);
		double ab = alpha_bar(t), image_loss = 0;

		dtn_rng_normal(dtn_rng(s->seed, DTN_RNG_NOISE, (uint64_t)p, 0), eps, BYTES);
		for (int i = 0; i < BYTES; i++) {
			double x0 = pixels[image[p] * BYTES + i] / 127.5 - 1;
			double v = sqrt(ab) * eps[i] - sqrt(1 - ab) * x0;
			double target = s->predict == DTN_EPS  ? eps[i]
					: s->predict == DTN_X0 ? x0
							       : v;
			image_loss += distance(s->loss, target) / BYTES;
		}
		if (s->weight == DTN_MIN_SNR)
			image_loss *= min_snr(s->predict, ab / (1 - ab));
		sum += image_loss / s->batch;
	}
	return sum;
}

static void loss_by_formula(void)
{
	static const char *const predictions[] = { "eps", "x0", "v" };
	static const char *const losses[] = { "l2", "l1", "huber" };

	for (int i = 0; i < 18; i++) {
		struct dtn_settings s = settings();
		struct dtn_trainer *r;
		struct dtn_step step;
		char name[80], why[80];
		double want;

		s.predict = (enum dtn_predict)(i % 3);
		s.loss = (enum dtn_loss_kind)(i / 3 % 3);
		s.weight = i / 9 ? DTN_MIN_SNR : DTN_WEIGHT_NONE;
		r = begin_silent(&s, 1);
		step = dtn_trainer_step(r, 0);
		want = first_loss(&s, r->pick);
		snprintf(name, sizeof(name), "the loss by its formula: %s, %s%s",
			 predictions[s.predict], losses[s.loss], i / 9 ? ", min-snr" : "");
		snprintf(why, sizeof(why), "%.9g, not %.9g", step.loss, want);
		check(fabs(step.loss - want) < 1e-5 * want, name, why);
		end(r);
	}
}

/* What the network answers to one image and its t, [H,W,C]. */
struct question { dtn_id x, t, answer; const float *xt; int step; float said[BYTES]; };

static void ask(void *arg, struct dtn_run *run, int slice)
{
	struct question *q = arg;

	(void)slice;
	memcpy(dtn_value(run, q->x), q->xt, sizeof(q->said));
	*(int32_t *)dtn_value(run, q->t) = q->step;
	dtn_forward(run);
	memcpy(q->said, dtn_value(run, q->answer), sizeof(q->said));
}

/* The loss of sample p of the step just made, asked of a network of its own for one image. */
static double loss_again(const struct dtn_trainer *r, struct dtn_net *net, struct question *q,
			 int p)
{
	uint64_t seed = r->settings->seed,
		 position = (uint64_t)(r->counters.sample - r->images + p);
	float eps[BYTES], xt[BYTES];
	double ab, sum = 0;

	q->step = dtn_timestep_of(seed, position, T);
	q->xt = xt;
	ab = alpha_bar(q->step);
	dtn_rng_normal(dtn_rng(seed, DTN_RNG_NOISE, position, 0), eps, BYTES);
	for (int i = 0; i < BYTES; i++)
		xt[i] = (float)(sqrt(ab) * (pixels[r->pick[p] * BYTES + i] / 127.5 - 1) +
				sqrt(1 - ab) * eps[i]);
	dtn_net_each(net, 1, ask, q);
	for (int i = 0; i < BYTES; i++) {
		double x0 = pixels[r->pick[p] * BYTES + i] / 127.5 - 1;
		double d = q->said[i] - (sqrt(ab) * eps[i] - sqrt(1 - ab) * x0);
		sum += d * d / BYTES;
	}
	return sum;
}

static void loss_of_trained(void)
{
	struct dtn_settings s = settings();
	struct dtn_trainer *r = begin(&s, 2);
	struct dtn_graph g;
	struct dtn_net net;
	struct question q;
	float *before = dtn_alloc(r->graph.graph.params, sizeof(float));
	double worst = 0;

	for (int i = 0; i < 30; i++)
		dtn_trainer_step(r, 0);
	memcpy(before, r->net.param, r->graph.graph.params * sizeof(float));
	dtn_trainer_step(r, 0);
	dtn_graph_init(&g, DTN_F32);
	q.x = dtn_input(&g, "x", DTN_F32, (struct dtn_shape){ 4, { 1, H, W, C } });
	q.t = dtn_input(&g, "t", DTN_I32, (struct dtn_shape){ 1, { 1 } });
	q.answer = dtn_unet(&g, &s.unet, q.x, q.t, -1);
	dtn_net_init(&net, &g, q.answer, false, dtn_cpu(NULL), 1, before);
	dtn_net_pack(&net);
	for (int p = 0; p < r->images; p++)
		worst = fmax(worst, fabs(loss_again(r, &net, &q, p) / r->losses[p] - 1));
	check(worst < 1e-4, "a trained network is asked about x_t and t", "its losses are others");
	dtn_net_release(&net);
	dtn_graph_release(&g);
	free(before);
	end(r);
}

/* --- the gradient ---------------------------------------------------------------------------- */

/* The loss at the weights moved along a direction, on the samples from 100 on. */
static double loss_at(struct dtn_trainer *r, const float *param, const float *direction, double h)
{
	for (size_t i = 0; i < r->graph.graph.params; i++)
		r->net.param[i] = param[i] + (float)h * direction[i];
	dtn_trainer_ready(r);
	r->counters.sample = 100;
	return dtn_trainer_step(r, 0).loss;
}

/* Is parameter i one of the table of classes? */
static bool of_table(const struct dtn_trainer *r, size_t i)
{
	for (dtn_id k = 0; k < r->graph.graph.n; k++) {
		const struct dtn_node *x = &r->graph.graph.node[k];

		if (x->op == DTN_OP_PARAM && !strcmp(x->name, "class_embedding.weight"))
			return i >= x->param && i < x->param + dtn_shape_count(x->shape);
	}
	return false;
}

/* The slope along a direction, of all weights or of the table of classes alone, against
 * differences.  The slice is larger than the batch, so it has
 * empty images; dropout's mask is the same each time. */
static void gradient_by_differences(enum dtn_weight weight, int classes, const char *name)
{
	struct dtn_settings s = settings();
	struct dtn_trainer *r;
	float *param, *direction;
	double slope = 0, difference, h = 3e-3;
	char why[80];
	size_t n;

	s.weight = weight;
	s.unet.dropout = 0.2f;
	s.unet.classes = classes;
	s.label_dropout = 0.3;
	s.batch = classes ? 40 : s.batch;
	r = begin(&s, 2);
	n = r->graph.graph.params;
	for (int i = 0; i < 20; i++)
		dtn_trainer_step(r, 0);
	s.rate = 0;                     /* from here on a step leaves the weights alone */
	param = dtn_alloc(n, sizeof(float));
	direction = dtn_alloc(n, sizeof(float));
	memcpy(param, r->net.param, n * sizeof(float));
	memset(direction, 0, n * sizeof(float));
	loss_at(r, param, direction, 0);
	for (size_t i = 0; i < n; i++)
		if (!classes || of_table(r, i)) {
			direction[i] = r->net.grad[i];
			slope += (double)r->net.grad[i] * r->net.grad[i];
		}
	/* along the gradient, in steps of h */
	for (size_t i = 0; i < n; i++)
		direction[i] /= (float)sqrt(slope);
	slope = sqrt(slope);
	difference = (loss_at(r, param, direction, h) - loss_at(r, param, direction, -h)) / (2 * h);
	snprintf(why, sizeof(why), "%g along the gradient, not %g", difference, slope);
	/* The third derivative leaves about h^2; f32 rounds the loss to 1e-7, which h makes 3e-5.
	 */
	check(s.rate == 0 && slope > (classes ? 1e-4 : 0.01) &&
	      fabs(difference - slope) < 0.01 * slope, name, why);
	free(param);
	free(direction);
	end(r);
}

/* --- classes --------------------------------------------------------------------------------- */

/* A class is hidden as often as asked for, and is that of the image otherwise. */
static void hidden_classes(void)
{
	struct dtn_settings s = settings();
	int hidden = 0, wrong = 0, all = 20000;

	s.unet.classes = CLASSES;
	s.label_dropout = 0.3;
	for (int p = 0; p < all; p++) {
		uint32_t image = (uint32_t)p % N;
		int32_t label = dtn_class_of(&s, &data, image, (uint64_t)p);

		hidden += label == CLASSES && image != 7;
		wrong += label != CLASSES && label != (int)image % CLASSES;
		wrong += label != CLASSES && image == 7;
	}
	/* the standard deviation is 63 */
	check(abs(hidden - (int)(0.3 * all * (N - 1) / N)) < 300, "classes are hidden",
	      "not as often as asked for");
	check(wrong == 0, "a class that is not hidden is the image's", "another");
	s.label_dropout = 0;
	for (int p = 0; p < all; p++)
		wrong += dtn_class_of(&s, &data, 1, (uint64_t)p) != 1;
	s.label_dropout = 1;
	for (int p = 0; p < all; p++)
		wrong += dtn_class_of(&s, &data, 1, (uint64_t)p) != CLASSES;
	check(wrong == 0, "never hidden, and always", "not always");
}

/* A class is all that tells one image from another where almost nothing else is left of it: with
 * classes the noisy end is learned better. */
static void classes_matter(void)
{
	double last[2];

	for (int k = 0; k < 2; k++) {
		struct dtn_settings s = settings();
		struct dtn_trainer *r;

		s.unet.classes = k ? CLASSES : 0;
		s.label_dropout = 0;
		s.predict = DTN_X0;
		s.rate = 3e-3;
		s.batch = 32;
		s.schedule = (struct dtn_schedule_config){ .steps = 1, .kind = DTN_CONSTANT,
			.beta_first = 0.998, .beta_last = 0.998 };
		r = begin(&s, 2);
		for (int i = 0; i < 3 * N; i++)         /* three images, one of each class */
			r->split.train[i % N] = (uint32_t)(i % 3);
		for (int i = 0; i < 300; i++)
			last[k] = dtn_trainer_step(r, 0).loss;
		end(r);
	}
	check(last[1] < 0.5 * last[0], "a class tells the network what the image will be",
	      "it learns as little without");
	printf("# loss %g without classes, %g with\n", last[0], last[1]);
}

/* --- what does not matter -------------------------------------------------------------------- */

static bool same_weights(const struct dtn_trainer *a, const struct dtn_trainer *b)
{
	size_t bytes = a->graph.graph.params * sizeof(float);

	return memcmp(a->net.param, b->net.param, bytes) == 0 &&
	       memcmp(a->optim.m, b->optim.m, bytes) == 0 &&
	       memcmp(a->optim.v, b->optim.v, bytes) == 0 &&
	       memcmp(a->optim.ema, b->optim.ema, bytes) == 0;
}

static void accumulation(void)
{
	struct dtn_settings s = settings(), t = settings();
	struct dtn_trainer *a, *b;

	s.batch = 40;
	t.batch = 8;
	t.accum = 5;
	s.unet.dropout = t.unet.dropout = 0.1f;
	s.flip = t.flip = true;
	a = begin(&s, 1);
	b = begin(&t, 3);
	for (int i = 0; i < 3; i++) {
		dtn_trainer_step(a, 0);
		dtn_trainer_step(b, 0);
	}
	check(same_weights(a, b), "40 images are 5 times 8, on one thread and on three",
	      "weights differ");
	end(a);
	end(b);
}

static void skipping(void)
{
	struct dtn_settings s = settings();
	struct dtn_trainer *a = begin(&s, 2), *b = begin(&s, 2);
	struct dtn_step bad;

	for (int t = 0; t < T; t++)
		a->weight[t] = NAN;
	bad = dtn_trainer_step(a, 0);
	check(!bad.finite && a->bad == 1 && a->counters.skipped == 1 && a->counters.step == 1,
	      "a step that is not finite is counted", "it is not");
	check(same_weights(a, b), "a step that is not finite changes nothing", "it did");
	for (int t = 0; t < T; t++)
		a->weight[t] = 1;
	b->counters.sample = s.batch;
	check(dtn_trainer_step(a, 0).finite && a->bad == 0, "the next step is fine", "it is not");
	dtn_trainer_step(b, 0);
	check(same_weights(a, b), "a skipped step leaves no trace", "weights differ");
	a->net.param[0] = INFINITY;
	check(!dtn_trainer_finite(a) && dtn_trainer_finite(b),
	      "weights that are not finite are found", "they are not");
	end(a);
	end(b);
}

static void validation(void)
{
	struct dtn_settings s = settings();
	struct dtn_trainer *a = begin_silent(&s, 2), *b = begin_silent(&s, 2), *c;
	struct dtn_validator v;
	struct dtn_validation first, second;
	double sum = 0, whole;

	s.held_back = 0.3;
	c = begin_silent(&s, 3);
	dtn_validator_init(&v, c, NULL);
	first = dtn_validate(&v);
	second = dtn_validate(&v);
	check(memcmp(&first, &second, sizeof(first)) == 0, "a validation repeats exactly",
	      "it does not");
	for (int bin = 0; bin < DTN_BINS; bin++)
		sum += first.bin[bin] / DTN_BINS;
	check(fabs(sum - first.loss) < 0.02 * sum, "bins are parts of the whole", "they are not");
	/* The network is silent: at the noisy end v is -x0, at the clean end eps, whose mean
	 * square is 1. */
	check(fabs(first.bin[0] - 1) < 0.1, "the first bin is the clean end",
	      "its loss is not that of eps");
	whole = first.loss;
	for (int i = 0; i < 60; i++)
		dtn_trainer_step(c, 0);
	check(dtn_validate(&v).loss < 0.9 * whole,
	      "training lowers the loss of images it has not seen", "it does not");
	memcpy(c->optim.ema, a->net.param, c->graph.graph.params * sizeof(float));
	check(dtn_validate(&v).loss == whole, "averaged weights are validated", "other ones are");
	dtn_validator_release(&v);

	dtn_validator_init(&v, a, &data);
	dtn_trainer_step(a, 0);
	dtn_validate(&v);
	dtn_trainer_step(a, 0);
	dtn_validator_release(&v);
	dtn_trainer_step(b, 0);
	dtn_trainer_step(b, 0);
	check(same_weights(a, b), "validation leaves training alone", "weights differ");
	end(a);
	end(b);
	end(c);
}

/* Any 100 samples in a row hit each tenth of the steps 10 times, within one; and none is out of
 * range. */
static void spread(void)
{
	bool even = true;

	for (uint64_t from = 0; from < 5000; from += 37) {
		int hits[10] = { 0 };

		for (uint64_t p = from; p < from + 100; p++) {
			int t = dtn_timestep_of(3, p, 1000);

			even &= t >= 0 && t < 1000;
			hits[t < 1000 && t >= 0 ? t / 100 : 0]++;
		}
		for (int i = 0; i < 10; i++)
			even &= hits[i] >= 8 && hits[i] <= 12;
	}
	check(even, "timesteps are spread evenly over any run of samples", "they bunch");
	check(dtn_timestep_of(3, 0, 1000) != dtn_timestep_of(4, 0, 1000),
	      "another seed begins elsewhere", "it does not");
}

int main(int argc, char **argv)
{
	(void)argc;
	dtn_begin(argv);
	close(mkstemp(path));
	make_data();
	spread();
	memory_beside();
	loss_by_formula();
	loss_of_trained();
	gradient_by_differences(DTN_WEIGHT_NONE, 0,
				"the gradient is that of the mean over the batch");
	gradient_by_differences(DTN_MIN_SNR, 0, "weights of the loss weigh the gradient too");
	gradient_by_differences(DTN_WEIGHT_NONE, CLASSES,
				"the gradient of the table of classes");
	hidden_classes();
	classes_matter();
	accumulation();
	skipping();
	validation();
	dtn_data_release(&data);
	unlink(path);
	return failures > 0;
}
