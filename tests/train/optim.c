/* optim.c -- rates, averages, clipping and Adam against their formulas in double precision. */
#include "lib/train/optim.h"

#include "lib/rng.h"
#include "lib/train/step.h"
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool near(double a, double b, double tolerance)
{
	return fabs(a - b) <= tolerance * (1e-30 + fabs(b));
}

static struct dtn_settings settings(void)
{
	struct dtn_settings s;

	dtn_settings_default(&s);
	s.unet.height = s.unet.width = 4;
	s.unet.colours = 1;
	s.unet.channels = 32;
	s.unet.levels = 1;
	dtn_settings_complete(&s);
	s.rate = 0.01;
	s.warmup = 0;
	s.ema = 0.9;
	return s;
}

static void rates(void)
{
	struct dtn_settings s = settings();

	s.warmup = 10;
	check(near(dtn_rate(&s, 0, 0), 0.001, 1e-12) && near(dtn_rate(&s, 4, 0), 0.005, 1e-12) &&
	      near(dtn_rate(&s, 9, 0.5), 0.01, 1e-12) && near(dtn_rate(&s, 1000, 1), 0.01, 1e-12),
	      "the rate warms up and stays", "it does not");
	s.decay = DTN_LINEAR_RATE;
	check(near(dtn_rate(&s, 50, 0.25), 0.0075, 1e-12) && fabs(dtn_rate(&s, 99, 1)) < 1e-12,
	      "linear decay", "not linear");
	s.decay = DTN_COSINE_RATE;
	check(near(dtn_rate(&s, 50, 1.0 / 3), 0.0075, 1e-12) &&
		      near(dtn_rate(&s, 50, 0), 0.01, 1e-12) && fabs(dtn_rate(&s, 99, 1)) < 1e-12,
	      "cosine decay", "no cosine");
	s.rate_end = 0.002;
	check(near(dtn_rate(&s, 50, 1.0 / 3), 0.008, 1e-12) &&
		      near(dtn_rate(&s, 99, 1), 0.002, 1e-12) &&
		      near(dtn_rate(&s, 4, 0), 0.005, 1e-12),
	      "cosine decay to a rate", "ends elsewhere");
	check(near(dtn_ema_decay(&s, 0), 0.1, 1e-12) &&
		      near(dtn_ema_decay(&s, 9), 10.0 / 19, 1e-12) &&
		      near(dtn_ema_decay(&s, 1000), 0.9, 1e-12),
	      "the average begins short", "wrong decay");
}

/* What Adam, its decay and the average should make of one weight. */
struct reference { double w, m, v, ema; };

static void update(struct reference *r, const struct dtn_settings *s, double gradient, int step)
{
	double d = fmin(s->ema, (1.0 + step) / (10.0 + step)), b1 = s->betas[0], b2 = s->betas[1];

	r->m = b1 * r->m + (1 - b1) * gradient;
	r->v = b2 * r->v + (1 - b2) * gradient * gradient;
	r->w -= s->rate * s->weight_decay * r->w;
	r->w -= s->rate * (r->m / (1 - pow(b1, step + 1))) /
		(sqrt(r->v / (1 - pow(b2, step + 1))) + 1e-8);
	r->ema = d * r->ema + (1 - d) * r->w;
}

/* Steps with gradients of which the middle one is long enough to be clipped. */
static void steps(struct dtn_settings s, const char *name)
{
	enum { STEPS = 3 };
	struct dtn_training_graph g;
	struct dtn_net net;
	struct dtn_optim o;
	struct reference *r;
	double worst = 0, norms = 0;
	size_t n;

	dtn_training_graph(&g, &s, DTN_F32, dtn_unet_slice(&s.unet));
	dtn_net_init(&net, &g.graph, g.loss, true, dtn_cpu(NULL), 2, NULL);
	dtn_net_initialise(&net, 3);
	dtn_optim_init(&o, &net, &s);
	dtn_optim_start(&o);
	n = g.graph.params;
	r = dtn_alloc(n, sizeof(*r));
	for (size_t i = 0; i < n; i++)
		r[i].w = r[i].ema = net.param[i];
	for (int step = 0; step < STEPS; step++) {
		double length = 0, clip, size = step == 1 ? 1.0 : 1e-4;

		dtn_rng_normal(dtn_rng(9, DTN_RNG_INIT, (uint64_t)step, 0), net.grad, n);
		for (size_t i = 0; i < n; i++) {
			net.grad[i] *= (float)size;
			length += (double)net.grad[i] * net.grad[i];
		}
		length = sqrt(length);
		norms = fmax(norms, fabs(dtn_optim_norm(&o, net.grad) / length - 1));
		clip = s.clip > 0 && length > s.clip ? s.clip / length : 1;
		dtn_optim_update(&o, step, s.rate, length);
		for (size_t i = 0; i < n; i++)
			update(&r[i], &s, clip * net.grad[i], step);
	}
	/* Weights are below 1 and a step moves one by about the rate: errors of f32 are far below
	 * 1e-5. */
	for (size_t i = 0; i < n; i++)
		worst = fmax(worst, fmax(fabs(net.param[i] - r[i].w), fabs(o.ema[i] - r[i].ema)));
	check(norms < 1e-6, name, "the norm is wrong");
	check(worst < 1e-5, name, "weights or averages are wrong");
	free(r);
	dtn_optim_release(&o);
	dtn_net_release(&net);
	dtn_graph_release(&g.graph);
}

int main(int argc, char **argv)
{
	struct dtn_settings s = settings();

	(void)argc;
	dtn_begin(argv);
	rates();
	s.clip = 1;
	steps(s, "Adam, clipped");
	s.clip = 0;
	steps(s, "Adam, not clipped");
	s.weight_decay = 0.5;
	steps(s, "AdamW");
	return failures > 0;
}
