/* step.c -- the loss and the gradient of a step are those of the paper, and nothing else
 * matters. */
#include "tests/train/trainer.h"

#include "lib/diffusion/noise.h"
#include "lib/machine.h"
#include "lib/rng.h"
#include "lib/train/memory.h"
#include "lib/train/validate.h"

/* --- memory ---------------------------------------------------------------------------------- */

static uint64_t asked;          /* of a backend, in bytes */

static void *counted(size_t bytes)
{
	asked += bytes;
	return dtn_cpu(NULL)->alloc(bytes);
}

/* What is said before training is what is asked for then. */
static void memory_counted(int type, const char *name)
{
	struct dtn_settings s = settings();
	struct dtn_backend b = *dtn_cpu(NULL);
	int slice = dtn_unet_slice(&s.unet);
	struct dtn_memory_use training = dtn_memory_use(&s, &b, type, slice, true),
			      asking = dtn_memory_use(&s, &b, type, slice, false);
	struct dtn_trainer *r = dtn_alloc(1, sizeof(*r));
	struct dtn_validator v;

	s.held_back = 0.2;
	b.alloc = counted;
	asked = 0;
	dtn_trainer_init(r, &s, &data, &b, type, 3);
	check(asked == training.once + 3 * training.each, name, "training takes other bytes");
	asked = 0;
	dtn_validator_init(&v, r, NULL);
	check(asked == asking.once + 3 * asking.each, name, "validation takes other bytes");
	dtn_validator_release(&v);
	end(r);
}

static void memory_beside(void)
{
	struct dtn_settings s = settings();
	const struct dtn_backend *b = dtn_cpu(NULL);
	int slice = dtn_unet_slice(&s.unet);
	struct dtn_memory_use training = dtn_memory_use(&s, b, DTN_F32, slice, true),
			      asking = dtn_memory_use(&s, b, DTN_F32, slice, false);
	uint64_t left, less;
	bool all = dtn_fit_memory(&s, b, DTN_F32, 3, 0, &left) == 3 &&
		   dtn_fit_memory(&s, b, DTN_F32, 3, 2, &less) == 3;

	check(all && asking.each > 0 && asking.each < training.each,
	      "all workers of a small network fit", "they do not");
	check(left == dtn_memory() - training.once - 3 * training.each &&
		      less == left - 2 * (asking.once + 3 * asking.each),
	      "what networks take is not left for images", "other bytes");
}

/* --- the loss -------------------------------------------------------------------------------- */

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
		bool mirror = dtn_mirrored(s, (uint64_t)p);
		float eps[BYTES];
		int t = dtn_timestep_of(s->seed, (uint64_t)p, T);
		double ab = alpha_bar(t), image_loss = 0;

		dtn_rng_normal(dtn_rng(s->seed, DTN_RNG_NOISE, (uint64_t)p, 0), eps, BYTES);
		for (int i = 0; i < BYTES; i++) {
			double x0 = shown(image[p], mirror, i);
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
		s.flip = i % 2;         /* with v, a target that is not mirrored is another */
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
	bool mirror = dtn_mirrored(r->settings, position);
	float eps[BYTES], xt[BYTES];
	double ab, sum = 0;

	q->step = dtn_timestep_of(seed, position, T);
	q->xt = xt;
	ab = alpha_bar(q->step);
	dtn_rng_normal(dtn_rng(seed, DTN_RNG_NOISE, position, 0), eps, BYTES);
	for (int i = 0; i < BYTES; i++)
		xt[i] = (float)(sqrt(ab) * shown(r->pick[p], mirror, i) + sqrt(1 - ab) * eps[i]);
	dtn_net_each(net, 1, ask, q);
	for (int i = 0; i < BYTES; i++) {
		double x0 = shown(r->pick[p], mirror, i);
		double d = q->said[i] - (sqrt(ab) * eps[i] - sqrt(1 - ab) * x0);
		sum += d * d / BYTES;
	}
	return sum;
}

static void loss_of_trained(void)
{
	struct dtn_settings s = settings();
	struct dtn_trainer *r;
	struct dtn_graph g;
	struct dtn_net net;
	struct question q;
	float *before;
	double worst = 0;

	s.flip = true;
	r = begin(&s, 2);
	before = dtn_alloc(r->graph.graph.params, sizeof(float));
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

/* --- what does not matter -------------------------------------------------------------------- */

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

int main(int argc, char **argv)
{
	(void)argc;
	make_data(argv);
	memory_counted(DTN_F32, "memory in f32");
	memory_counted(DTN_BF16, "memory in bf16");
	memory_beside();
	loss_by_formula();
	loss_of_trained();
	gradient_by_differences(DTN_WEIGHT_NONE, 0,
				"the gradient is that of the mean over the batch");
	gradient_by_differences(DTN_MIN_SNR, 0, "weights of the loss weigh the gradient too");
	gradient_by_differences(DTN_WEIGHT_NONE, CLASSES,
				"the gradient of the table of classes");
	accumulation();
	skipping();
	dtn_data_release(&data);
	return failures > 0;
}
