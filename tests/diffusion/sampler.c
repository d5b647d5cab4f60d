/* tests/diffusion/sampler.c -- DDPM and DDIM against published numbers, and by what they must
 * do. */
#include "lib/diffusion/sampler.h"
#include "lib/rng.h"
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool near(double got, double want, double within)
{
	bool good = fabs(got - want) <= within;

	if (!good)
		printf("# %.9g, wanted %.9g\n", got, want);
	return good;
}

static void test_spacing(void)
{
	static const int known[][10] = {
		[DTN_LINSPACE] = { 999, 888, 777, 666, 555, 444, 333, 222, 111, 0 },
		[DTN_LEADING] = { 900, 800, 700, 600, 500, 400, 300, 200, 100, 0 },
		[DTN_TRAILING] = { 999, 899, 799, 699, 599, 499, 399, 299, 199, 99 },
		[DTN_QUAD] = { 800, 632, 483, 355, 246, 158, 88, 39, 9, 0 }
	};
	static int t[1000];
	bool good = true, sane = true;

	for (int k = DTN_TRAILING; k <= DTN_QUAD; k++) {
		dtn_spaced(t, 10, 1000, (enum dtn_spacing)k);
		good = good && memcmp(t, known[k], sizeof(known[k])) == 0;
		for (int T = 1; T <= 1000; T += T < 40 ? 1 : 137)
			for (int S = 1; S <= T; S++) {
				dtn_spaced(t, S, T, (enum dtn_spacing)k);
				for (int i = 0; i < S; i++)
					sane = sane && t[i] >= 0 && t[i] < T &&
					       (i == 0 || t[i] < t[i - 1]);
				if (k == DTN_TRAILING || k == DTN_LINSPACE)
					sane = sane && t[0] == T - 1;
			}
	}
	dtn_spaced(t, 7, 1000, DTN_LEADING);
	good = good && t[0] == 852 && t[6] == 0;
	check(good, "spacings", "other steps than published");
	check(sane, "any number of steps", "out of range or not descending");
}

/* --- diffusers' own tests: the "network" says x t/(t+1) --------------------------------------- */

enum { Fixture = 768 };

static double fixture(struct dtn_sampler_config config, double beta_first, enum dtn_predict predict)
{
	struct dtn_schedule_config c = {
		.steps = 1000, .beta_first = beta_first, .beta_last = 0.02
	};
	struct dtn_schedule schedule;
	struct dtn_sampler s;
	float x[Fixture], output[Fixture], before[Fixture];
	double sum = 0;

	for (int k = 0; k < Fixture; k++)
		x[k] = (float)k / Fixture;
	dtn_schedule_init(&schedule, &c);
	dtn_sampler_init(&s, &config, &schedule, predict);
	for (int i = 0; i < config.steps; i++) {
		for (int k = 0; k < Fixture; k++)
			output[k] = x[k] * (float)s.t[i] / (float)(s.t[i] + 1);
		dtn_sampler_step(&s, i, x, output, NULL, before, Fixture);
	}
	for (int k = 0; k < Fixture; k++)
		sum += fabs(x[k]);
	dtn_sampler_release(&s);
	dtn_schedule_release(&schedule);
	return sum;
}

static void sum_is(double want, struct dtn_sampler_config c, double beta_first,
		   enum dtn_predict predict, const char *name)
{
	check(near(fixture(c, beta_first, predict), want, 1e-3), name, "not diffusers' sum");
}

static void test_fixtures(void)
{
	struct dtn_sampler_config c = {
		.kind = DTN_DDIM, .steps = 10, .spacing = DTN_LEADING, .clip = true
	};

	sum_is(172.0067, c, 1e-4, DTN_EPS, "DDIM, eps");
	sum_is(52.5302, c, 1e-4, DTN_V, "DDIM, v");
	sum_is(149.8295, c, 0.01, DTN_EPS, "DDIM, other betas");
}

/* DDIMScheduler (diffusers 0.42.1) in f64, with use_clipped_model_output=True, since eps follows
 * x_0 here; the sums of other betas depend on that. */
static void test_clipped_fixtures(void)
{
	struct dtn_sampler_config c = {
		.kind = DTN_DDIM, .steps = 10, .spacing = DTN_TRAILING, .clip = true
	};

	sum_is(170.0350, c, 1e-4, DTN_EPS, "clipped DDIM, eps");
	sum_is(51.0755, c, 1e-4, DTN_V, "clipped DDIM, v");
	sum_is(116.4642, c, 0.01, DTN_EPS, "clipped DDIM, other betas");
	c.clip = false;
	sum_is(116.5088, c, 0.01, DTN_EPS, "DDIM, nothing clipped");
}

/* DPMSolverMultistepScheduler (diffusers 0.42.1) with trailing steps, which end at sigma 0; eps and
 * v of 25 steps go through all that differs from DDIM. */
static void test_dpm_fixtures(void)
{
	struct dtn_sampler_config c = { .kind = DTN_DPM, .steps = 10, .spacing = DTN_TRAILING };

	sum_is(185.2648, c, 1e-4, DTN_EPS, "DPM-Solver++, eps");
	sum_is(727.4620, c, 1e-4, DTN_X0, "DPM-Solver++, x0");
	sum_is(117.9217, c, 0.01, DTN_EPS, "DPM-Solver++, other betas");
	c.steps = 25;
	sum_is(83.0499, c, 1e-4, DTN_V, "DPM-Solver++, v");
}

/* --- the coefficients of a step --------------------------------------------------------------- */

/* What step t -> p makes of x, output and z. */
static double one(enum dtn_predict predict, struct dtn_sampler_config c, int t, int p, float x,
		  float output, float z)
{
	struct dtn_schedule_config linear = { .steps = 1000 };
	struct dtn_schedule schedule;
	struct dtn_sampler s;

	c.steps = 1000;
	dtn_schedule_init(&schedule, &linear);
	dtn_sampler_init(&s, &c, &schedule, predict);
	s.t[0] = t;
	s.t[1] = p;
	dtn_sampler_step(&s, 0, &x, &output, &z, NULL, 1);
	dtn_sampler_release(&s);
	dtn_schedule_release(&schedule);
	return x;
}

static void test_noise(void)
{
	struct dtn_sampler_config c = { .kind = DTN_DDIM, .eta = 1, .clip = true };
	struct dtn_sampler_config small = { .kind = DTN_DDPM },
				  large = { .kind = DTN_DDPM, .variance_large = true };

	check(near(one(DTN_EPS, c, 980, 960, 0, 0, 1), 0.569741, 1e-6) &&
	      near(one(DTN_EPS, c, 520, 500, 0, 0, 1), 0.428531, 1e-6) &&
	      near(one(DTN_EPS, c, 20, 0, 0, 0, 1), 0.009920, 1e-6) &&
	      near(pow(one(DTN_EPS, c, 420, 400, 0, 0, 1), 2), 0.14771, 1e-5),
	      "noise of DDIM", "not as published");
	check(one(DTN_EPS, c, 20, -1, 0, 0, 1) == 0, "no noise at the last step", "there is");
	check(near(pow(one(DTN_EPS, small, 487, 486, 0, 0, 1), 2), 9.79157199e-3, 1e-9) &&
	      near(pow(one(DTN_EPS, small, 1, 0, 0, 0, 1), 2), 5.45318766e-5, 1e-11) &&
	      near(pow(one(DTN_EPS, small, 999, 998, 0, 0, 1), 2), 1.99999835e-2, 1e-8),
	      "small variance", "not the posterior's");
	check(near(pow(one(DTN_EPS, large, 999, 998, 0, 0, 1), 2), 0.02, 1e-8) &&
		      near(pow(one(DTN_EPS, large, 0, -1, 0, 0, 1), 2), 0, 0),
	      "large variance", "not beta");
}

static void test_posterior(void)
{
	struct dtn_sampler_config c = { .kind = DTN_DDPM };

	check(near(one(DTN_X0, c, 0, -1, 0, 1, 0), 1, 0) &&
		      near(one(DTN_X0, c, 0, -1, 1, 0, 0), 0, 0) &&
		      near(one(DTN_X0, c, 1, 0, 0, 1, 0), 0.5452915, 1e-7) &&
		      near(one(DTN_X0, c, 1, 0, 1, 0, 0), 0.4547085, 1e-7) &&
		      near(one(DTN_X0, c, 500, 499, 0, 1, 0), 3.0580571e-3, 1e-9) &&
		      near(one(DTN_X0, c, 500, 499, 1, 0, 0), 0.99410435, 1e-7) &&
		      near(one(DTN_X0, c, 999, 998, 0, 1, 0), 1.2835149e-4, 1e-10) &&
		      near(one(DTN_X0, c, 999, 998, 1, 0, 0), 0.98994868, 1e-7),
	      "posterior", "other coefficients");
}

/* With eta 1 DDIM is DDPM with the small variance, however many steps are skipped. */
static void test_eta(void)
{
	struct dtn_sampler_config one_eta = { .kind = DTN_DDIM, .eta = 1, .clip = true },
				  c = { .kind = DTN_DDPM, .clip = true };
	bool good = true;

	for (int t = 999; t > 0; t -= 71)
		for (int p = t - 1; p >= -1; p -= 53) {
			double a = one(DTN_EPS, one_eta, t, p, 0.7f, 0.4f, -1.3f);
			good = good && near(a, one(DTN_EPS, c, t, p, 0.7f, 0.4f, -1.3f), 2e-6);
		}
	check(good, "eta 1", "is not DDPM");
}

/* eps, x_0 and v that mean the same make the same step. */
static void test_predictions(void)
{
	bool good = true;

	for (int mode = 0; mode < 3; mode++) {
		struct dtn_sampler_config c = {
			.kind = mode == 2 ? DTN_DDPM : DTN_DDIM, .clip = true, .eta = mode == 1
		};
		for (int t = 999; t > 50; t -= 83) {
			struct dtn_schedule_config linear = { .steps = 1000 };
			struct dtn_schedule s;
			float x0 = -0.4f, eps = 1.7f, x, v;
			double by_eps, by_x0, by_v;
			dtn_schedule_init(&s, &linear);
			dtn_add_noise(&s, t, &x, &x0, &eps, 1);
			dtn_target(&s, t, DTN_V, &v, &x0, &eps, 1);
			by_x0 = one(DTN_X0, c, t, t - 50, x, x0, 0.5f);
			by_v = one(DTN_V, c, t, t - 50, x, v, 0.5f);
			by_eps = one(DTN_EPS, c, t, t - 50, x, eps, 0.5f);
			/* At t = 999 f32 leaves x_0 from eps with an error of 160 units of x's
			 * last place. */
			good = good && near(by_v, by_x0, 2e-6) && near(by_eps, by_x0, 4e-5);
			dtn_schedule_release(&s);
		}
	}
	check(good, "eps, x0 and v", "make different steps");
}

static void test_x0(void)
{
	struct dtn_schedule_config zero = { .steps = 100, .zero_snr = true };
	struct dtn_sampler_config c = { .kind = DTN_DDIM, .steps = 10, .clip = true };
	struct dtn_schedule schedule;
	struct dtn_sampler s;
	float x[3] = { 3, -3, 0.5f }, output[3] = { 0.1f, 0.2f, 0.5f }, x0[3];

	dtn_schedule_init(&schedule, &zero);
	dtn_sampler_init(&s, &c, &schedule, DTN_EPS);
	dtn_sampler_x0(&s, 0, x0, x, output, 3);
	check(x0[0] == 0 && x0[1] == 0 && x0[2] == 0, "x0 without signal", "is not the middle");
	dtn_sampler_x0(&s, 9, x0, x, output, 3);
	check(x0[0] == 1 && x0[1] == -1 && fabsf(x0[2]) < 1, "x0", "is not clipped to [-1,1]");
	s.config.clip = false;
	dtn_sampler_x0(&s, 9, x0, x, output, 3);
	check(x0[0] > 2 && x0[1] < -2, "x0", "is clipped without clip");
	dtn_sampler_release(&s);

	dtn_sampler_init(&s, &c, &schedule, DTN_V);
	dtn_sampler_x0(&s, 0, x0, x, output, 3);
	check(x0[0] == -output[0] && x0[1] == -output[1], "x0 of v without signal", "is not -v");
	dtn_sampler_release(&s);
	dtn_schedule_release(&schedule);
}

/* Also where alpha_bar ends at 0 (jsd). */
static void test_schedules(void)
{
	static const int lengths[] = { 1, 2, 10, 1000 };
	bool good = true;

	for (int i = 0; i < 4 * 3 * DTN_SCHEDULE_KINDS * (DTN_DPM + 1); i++) {
		const int T = lengths[i % 4];
		const struct dtn_schedule_config of = {
			.steps = T, .kind = (enum dtn_schedule_kind)(i / 12 % DTN_SCHEDULE_KINDS)
		};
		const struct dtn_sampler_config c = {
			.kind = (enum dtn_sampler_kind)(i / 12 / DTN_SCHEDULE_KINDS),
			.steps = T, .clip = true
		};
		struct dtn_schedule schedule;
		struct dtn_sampler s;

		dtn_schedule_init(&schedule, &of);
		dtn_sampler_init(&s, &c, &schedule, (enum dtn_predict)(i / 4 % 3));
		for (int k = 0; k < c.steps; k++) {
			struct dtn_coefficients to;
			dtn_sampler_coefficients(&s, k, &to);
			good = good && isfinite(to.cx) && isfinite(to.co) && isfinite(to.x0) &&
			       isfinite(to.x) && isfinite(to.x0_before) && isfinite(to.noise);
		}
		dtn_sampler_release(&s);
		dtn_schedule_release(&schedule);
	}
	check(good, "all schedules", "a coefficient is no number");
}

/* --- whole trajectories with a perfect network ------------------------------------------------ */

/* For data N(m, d^2) in every pixel, E[x_0 | x_t] is known, so the right output is. */
static void ideal(enum dtn_predict predict, double ab, double m, double d, float *output,
		  const float *x, int n)
{
	const double gain = sqrt(ab) * d * d / (ab * d * d + 1 - ab);

	for (int k = 0; k < n; k++) {
		double x0 = m + gain * (x[k] - sqrt(ab) * m);
		double eps = (x[k] - sqrt(ab) * x0) / sqrt(1 - ab);
		output[k] = (float)(predict == DTN_X0 ? x0 : predict == DTN_EPS ? eps :
				    sqrt(ab) * eps - sqrt(1 - ab) * x0);
	}
}

static void trajectory(struct dtn_sampler_config c, enum dtn_predict predict,
		       enum dtn_schedule_kind kind, double m, double d, double *mean,
		       double *deviation)
{
	enum { n = 4096 };
	static float x[n], output[n], z[n], before[n];
	struct dtn_schedule_config config = { .steps = 1000, .kind = kind };
	struct dtn_schedule schedule;
	struct dtn_sampler s;
	double m1 = 0, m2 = 0;

	dtn_schedule_init(&schedule, &config);
	dtn_sampler_init(&s, &c, &schedule, predict);
	dtn_rng_normal(dtn_rng(1, DTN_RNG_START, 0, 0), x, n);
	for (int i = 0; i < c.steps; i++) {
		ideal(predict, dtn_alpha_bar(&schedule, s.t[i]), m, d, output, x, n);
		dtn_rng_normal(dtn_rng(1, DTN_RNG_STEP, 0, (uint32_t)i), z, n);
		dtn_sampler_step(&s, i, x, output, dtn_sampler_noisy(&s, i) ? z : NULL, before, n);
	}
	for (int k = 0; k < n; k++) {
		m1 += x[k];
		m2 += x[k] * x[k];
	}
	*mean = m1 / n;
	*deviation = sqrt(fmax(m2 / n - *mean * *mean, 0));
	dtn_sampler_release(&s);
	dtn_schedule_release(&schedule);
}

/* A data set of one image is found exactly, a Gaussian one with its mean and spread: 4096
 * values leave 1.6 % of chance in the spread each way, counted three times, and 250 steps 2 %
 * of bias. */
static void test_trajectories(void)
{
	bool point = true, spread = true;

	for (int mode = 0; mode < 5; mode++)
		for (int p = DTN_EPS; p <= DTN_V; p++)
			for (int spacing = DTN_TRAILING; spacing <= DTN_LINSPACE; spacing++) {
				struct dtn_sampler_config c = {
					.kind = mode < 2 ? DTN_DDIM : mode < 4 ? DTN_DDPM : DTN_DPM,
					.steps = 250,
					.clip = true,
					.spacing = (enum dtn_spacing)spacing,
					.eta = mode == 1 ? 0.5 : 0,
					.variance_large = mode == 3
				};
				enum dtn_schedule_kind kind = p == DTN_V ? DTN_COSINE : DTN_LINEAR;
				double mean, deviation;
				trajectory(c, (enum dtn_predict)p, kind, 0.25, 0, &mean,
					   &deviation);
				point = point && near(mean, 0.25, 1e-5) && near(deviation, 0, 1e-5);
				c.clip = false;
				trajectory(c, (enum dtn_predict)p, kind, -0.25, 0.3, &mean,
					   &deviation);
				spread = spread && near(mean, -0.25, 0.02) &&
					 near(deviation, 0.3, 0.025);
			}
	check(point, "one image", "is not found");
	check(spread, "Gaussian images", "come out otherwise");
}

int main(void)
{
	test_spacing();
	test_fixtures();
	test_clipped_fixtures();
	test_dpm_fixtures();
	test_noise();
	test_posterior();
	test_eta();
	test_predictions();
	test_x0();
	test_schedules();
	test_trajectories();
	return failures != 0;
}
