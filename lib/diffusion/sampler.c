/* sampler.c -- one step from x at t to x at p, the next t of the list (p = -1: the image).
 *
 * All samplers go by way of x_0, a sum of x and the network's output, clipped; then x at p is a
 * sum of that x_0, x, x_0 of the step before, and noise.  So a step is a handful of coefficients,
 * worked out in f64.  p comes from the list, never from t - T/S; skipped steps make the betas of
 * DDPM larger (Nichol & Dhariwal 2021, section 4).
 */
#include "lib/diffusion/sampler.h"

#include "lib/options.h"

#include <math.h>
#include <stdlib.h>

/* --- which steps ------------------------------------------------------------------------------ */

static int trailing(int k, int S, int T)
{
	return (int)rint((double)(k + 1) * T / S) - 1;
}

static int linspace(int k, int S, int T)
{
	return S > 1 ? (int)rint((double)k * (T - 1) / (S - 1)) : T - 1;
}

static int quad(int k, int S, int T)
{
	double root = S > 1 ? sqrt(0.8 * T) * k / (S - 1) : sqrt(0.8 * T);

	return (int)(root * root);
}

static int place(int k, int S, int T, enum dtn_spacing spacing)
{
	switch (spacing) {
	case DTN_LEADING: return k * (T / S);
	case DTN_LINSPACE: return linspace(k, S, T);
	case DTN_QUAD: return quad(k, S, T);
	default: return trailing(k, S, T);
	}
}

void dtn_spaced(int *t, int S, int T, enum dtn_spacing spacing)
{
	int below = -1;

	for (int k = 0; k < S; k++) {
		int at = place(k, S, T, spacing);
		if (at <= below)        /* many quadratic steps: the first ones fall together */
			at = below + 1;
		t[S - 1 - k] = below = at;
	}
}

/* --- one step --------------------------------------------------------------------------------- */

struct linear { double x, output; };                    /* coefficients */
struct step { double x0, x, noise, x0_before; };        /* of x at p */

/* x_0 as the output sees it (Salimans & Ho 2022, appendix D):
 *      x = sqrt(ab) x_0 + sqrt(1-ab) eps,   v = sqrt(ab) eps - sqrt(1-ab) x_0
 * Where ab is 0, eps says nothing of x_0, and the middle of the range is the best guess. */
static struct linear x0_of(enum dtn_predict predict, double ab)
{
	const double a = sqrt(ab), b = sqrt(1 - ab);

	if (predict == DTN_X0)
		return (struct linear){ 0, 1 };
	if (predict == DTN_V)
		return (struct linear){ a, -b };
	return ab > 0 ? (struct linear){ 1 / a, -b / a } : (struct linear){ 0, 0 };
}

/* The posterior q(x_p | x_t, x_0) of Ho et al. 2020, eq. 7, with the betas of the steps taken. */
static struct step ddpm(const struct dtn_sampler_config *c, double ab, double ab_p)
{
	const double beta = 1 - ab / ab_p;
	const double variance = c->variance_large ? beta : beta * (1 - ab_p) / (1 - ab);

	return (struct step){
		.x0 = beta * sqrt(ab_p) / (1 - ab), .x = (1 - ab_p) * sqrt(1 - beta) / (1 - ab),
		.noise = sqrt(variance)
	};
}

/* Song et al. 2021, eq. 12 and 16, where eps is the one that belongs to the clipped x_0:
 *      x_p = sqrt(ab_p) x_0 + sqrt(1 - ab_p - sigma^2) eps + sigma z,
 *      eps = (x - sqrt(ab) x_0) / sqrt(1-ab) */
static struct step ddim(const struct dtn_sampler_config *c, double ab, double ab_p)
{
	const double sigma = c->eta * sqrt((1 - ab_p) / (1 - ab)) * sqrt(1 - ab / ab_p);
	const double direction = sqrt(fmax(1 - ab_p - sigma * sigma, 0)), b = sqrt(1 - ab);

	return (struct step){
		.x0 = sqrt(ab_p) - direction * sqrt(ab) / b, .x = direction / b, .noise = sigma
	};
}

static int next_t(const struct dtn_sampler *s, int i)
{
	return i + 1 < s->config.steps ? s->t[i + 1] : -1;
}

/* lambda = log(sqrt(ab) / sqrt(1-ab)), half the logarithm of the signal-to-noise ratio. */
static double log_ratio(double ab)
{
	return log(ab / (1 - ab)) / 2;
}

/* Lu et al. 2022b, alg. 2: a step of DDIM, to which x_0 goes on in a straight line over lambda,
 * from the step before (ab_b) to the middle of this one:
 *      x_0 + (x_0 - x_0 before) / 2r,   r = (lambda - lambda before) / (lambda_p - lambda)
 * Where one of these is infinite, at the image and at pure noise, it is DDIM's alone. */
static struct step dpm(const struct dtn_sampler_config *c, double ab_b, double ab, double ab_p)
{
	struct step to = ddim(c, ab, ab_p);
	double onward;

	if (ab_b <= 0 || ab <= 0 || ab_p >= 1)
		return to;
	onward = (log_ratio(ab_p) - log_ratio(ab)) / (log_ratio(ab) - log_ratio(ab_b)) / 2;
	to.x0_before = -onward * to.x0;
	to.x0 -= to.x0_before;
	return to;
}

static struct step step_at(const struct dtn_sampler *s, int i)
{
	const double ab = dtn_alpha_bar(s->schedule, s->t[i]),
		     ab_p = dtn_alpha_bar(s->schedule, next_t(s, i));

	switch (s->config.kind) {
	case DTN_DDPM: return ddpm(&s->config, ab, ab_p);
	case DTN_DPM:
		return dpm(&s->config, i > 0 ? dtn_alpha_bar(s->schedule, s->t[i - 1]) : 0, ab,
			   ab_p);
	default: return ddim(&s->config, ab, ab_p);
	}
}

/* --- what the header promises ----------------------------------------------------------------- */

void dtn_sampler_init(struct dtn_sampler *s, const struct dtn_sampler_config *config,
		      const struct dtn_schedule *schedule, enum dtn_predict predict)
{
	s->config = *config;
	s->schedule = schedule;
	s->predict = predict;
	s->t = dtn_alloc((size_t)config->steps, sizeof(*s->t));
	dtn_spaced(s->t, config->steps, schedule->config.steps, config->spacing);
}

void dtn_sampler_describe(const struct dtn_sampler_config *c, struct dtn_meta *meta)
{
	char *kind = dtn_choice_text(DTN_SAMPLERS, (int)c->kind),
	     *spacing = dtn_choice_text(DTN_SPACINGS, (int)c->spacing);

	dtn_meta_set(meta, "sample.sampler", "%s", kind);
	dtn_meta_set(meta, "sample.steps", "%d", c->steps);
	dtn_meta_set(meta, "sample.spacing", "%s", spacing);
	if (c->kind == DTN_DDIM)
		dtn_meta_set(meta, "sample.eta", "%.9g", c->eta);
	if (c->kind == DTN_DDPM)
		dtn_meta_set(meta, "sample.variance", c->variance_large ? "large" : "small");
	dtn_meta_set(meta, "sample.clip", "%d", c->clip);
	free(kind);
	free(spacing);
}

void dtn_sampler_release(struct dtn_sampler *s)
{
	free(s->t);
	s->t = NULL;
}

void dtn_sampler_begin_at(struct dtn_sampler *s, int t)
{
	const int S = s->config.steps;
	int *all = s->t, kept = 0;

	s->t = dtn_alloc((size_t)S + 1, sizeof(*s->t));
	s->t[kept++] = t;
	for (int i = 0; i < S; i++)
		if (all[i] < t)
			s->t[kept++] = all[i];
	s->config.steps = kept;
	free(all);
}

/* A NaN stays one. */
static inline float clipped(float x, float bound)
{
	return x > bound ? bound : x < -bound ? -bound : x;
}

static inline float x0_at(const struct dtn_coefficients *c, float x, float output)
{
	return clipped(c->cx * x + c->co * output, c->bound);
}

void dtn_sampler_coefficients(const struct dtn_sampler *s, int i, struct dtn_coefficients *c)
{
	const struct linear x0 = x0_of(s->predict, dtn_alpha_bar(s->schedule, s->t[i]));
	const struct step to = step_at(s, i);

	*c = (struct dtn_coefficients){
		.cx = (float)x0.x, .co = (float)x0.output, .bound = s->config.clip ? 1 : INFINITY,
		.x0 = (float)to.x0, .x = (float)to.x, .x0_before = (float)to.x0_before,
		.noise = next_t(s, i) >= 0 ? (float)to.noise : 0, .t = s->t[i]
	};
}

bool dtn_sampler_noisy(const struct dtn_sampler *s, int i)
{
	struct dtn_coefficients c;

	dtn_sampler_coefficients(s, i, &c);
	return c.noise > 0;
}

void dtn_sampler_x0(const struct dtn_sampler *s, int i, float *x0, const float *x,
		    const float *output, size_t n)
{
	struct dtn_coefficients c;

	dtn_sampler_coefficients(s, i, &c);
	for (size_t k = 0; k < n; k++)
		x0[k] = x0_at(&c, x[k], output[k]);
}

/* All of a step but its noise, with the sums in the order of kernels/cuda/sample.cu.  What to do of
 * it is the same for all numbers, so the compiler makes a loop of each case. */
static void move(const struct dtn_coefficients c, float *x, const float *output, float *x0_before,
		 size_t n)
{
	for (size_t k = 0; k < n; k++) {
		const float x0 = x0_at(&c, x[k], output[k]);
		float to = c.x0 * x0 + c.x * x[k];

		if (c.x0_before != 0)
			to += c.x0_before * x0_before[k];
		if (x0_before)
			x0_before[k] = x0;
		x[k] = to;
	}
}

void dtn_sampler_step(const struct dtn_sampler *s, int i, float *x, const float *output,
		      const float *z, float *x0_before, size_t n)
{
	struct dtn_coefficients c;

	dtn_sampler_coefficients(s, i, &c);
	move(c, x, output, x0_before, n);
	if (c.noise > 0)
		for (size_t k = 0; k < n; k++)
			x[k] += c.noise * z[k];
}
