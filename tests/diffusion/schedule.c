/* tests/diffusion/schedule.c -- the schedules against published numbers, and what follows from
 * them. */
#include "lib/diffusion/schedule.h"
#include "tests/check.h"

#include <math.h>
#include <stdio.h>

/* To as many digits as the numbers below are given with. */
static bool near(double got, double want, double digits)
{
	bool good = fabs(got - want) <= fabs(want) * 0.51 * pow(10, 1 - digits);

	if (!good)
		printf("# %.12g, wanted %.12g\n", got, want);
	return good;
}

static struct dtn_schedule make(int steps, enum dtn_schedule_kind kind)
{
	struct dtn_schedule_config c = { .steps = steps, .kind = kind };
	struct dtn_schedule s;

	dtn_schedule_init(&s, &c);
	return s;
}

static void test_linear(void)
{
	struct dtn_schedule s = make(1000, DTN_LINEAR);
	bool good;

	good = near(s.beta[0], 1e-4, 12) && near(s.beta[999], 0.02, 12) &&
		near(s.alpha_bar[0], 0.9999, 12) && near(s.alpha_bar[1], 0.999780092, 9) &&
		near(s.alpha_bar[499], 0.0785872429, 9) && near(s.alpha_bar[999], 4.03582977e-5, 9);
	check(good, "linear", "other numbers than published");
	good = dtn_posterior_variance(&s, 0) == 0 &&
		near(dtn_posterior_variance(&s, 1), 5.45318766e-5, 9) &&
		near(dtn_posterior_variance(&s, 487), 9.79157199e-3, 9) &&
		near(dtn_posterior_variance(&s, 999), 1.99999835e-2, 9);
	check(good, "posterior variance", "other numbers than published");
	good = near(dtn_snr(&s, 0), 9999, 8) && near(dtn_snr(&s, 100), 8.53667, 6) &&
		near(dtn_snr(&s, 250), 1.08953, 6) && near(dtn_snr(&s, 500), 0.0843595, 6) &&
		near(dtn_snr(&s, 750), 0.00331109, 6) && near(dtn_snr(&s, 999), 4.03599e-5, 6) &&
		dtn_snr(&s, 129) >= 5 && dtn_snr(&s, 130) < 5;
	check(good, "signal to noise", "other numbers than published");
	dtn_schedule_release(&s);
}

static void test_others(void)
{
	struct dtn_schedule s = make(1000, DTN_COSINE);
	bool good;

	good = near(s.beta[0], 4.12842248e-5, 9) && near(s.beta[1], 4.61417527e-5, 9) &&
		near(s.beta[500], 3.15569144e-3, 9) && near(s.beta[998], 0.749999393, 9) &&
		near(s.beta[999], 0.999, 12) && near(s.alpha_bar[0], 0.999958716, 9) &&
		near(s.alpha_bar[499], 0.493843590, 9) && near(s.alpha_bar[999], 2.42876691e-9, 9);
	check(good, "cosine", "other numbers than published");
	dtn_schedule_release(&s);

	s = make(1000, DTN_QUADRATIC);
	good = near(s.beta[0], 1e-4, 12) && near(s.beta[999], 0.02, 12) &&
		near(s.alpha_bar[499], 0.33318777, 8) && near(s.alpha_bar[999], 7.3341e-4, 5);
	check(good, "quadratic", "other numbers than published");
	dtn_schedule_release(&s);

	s = make(1000, DTN_GEODIFF);
	good = near(s.beta[0], 1.4921e-4, 5) && near(s.beta[499], 0.01002012, 7) &&
		near(s.beta[999], 0.01995079, 7) && near(s.alpha_bar[499], 0.301931057, 9) &&
		near(s.alpha_bar[999], 3.96818199e-5, 9);
	check(good, "sigmoid-beta", "other numbers than published");
	dtn_schedule_release(&s);

	s = make(1000, DTN_SIGMOID);
	good = near(s.beta[0], 3.002792e-4, 7) && near(s.beta[499], 3.30341551e-3, 9) &&
		near(s.beta[998], 0.501356903, 9) && near(s.beta[999], 0.999, 12) &&
		near(s.alpha_bar[499], 0.5, 9) && near(s.alpha_bar[999], 3.002792e-7, 7);
	check(good, "sigmoid", "other numbers than published");
	dtn_schedule_release(&s);

	s = make(10, DTN_CONSTANT);
	check(s.beta[0] == s.beta[9], "constant", "is not");
	dtn_schedule_release(&s);
}

/* jsd and warmup by the formulas of the code of Ho et al. 2020 (get_beta_schedule, with numpy in
 * f64 and ends of 1e-4 and 0.02 times 1000/T); exp and laplace by betas_for_alpha_bar of diffusers
 * 0.42.1, in f64. */
static void test_of_code(void)
{
	static const struct {
		enum dtn_schedule_kind kind;
		int T, t;
		double beta, alpha_bar;
	} known[] = {
		{ DTN_JSD, 1000, 0, 0.001, 0.999 },
		{ DTN_JSD, 1000, 50, 0.001052631579, 0.949 },
		{ DTN_JSD, 1000, 500, 0.002, 0.499 },
		{ DTN_JSD, 1000, 998, 0.5, 0.001 },
		{ DTN_JSD, 1000, 999, 1, 0 },
		{ DTN_WARMUP10, 1000, 0, 0.0001, 0.9999 },
		{ DTN_WARMUP10, 1000, 50, 0.01015050505, 0.7692913123 },
		{ DTN_WARMUP10, 1000, 500, 0.02, 0.0001102138891 },
		{ DTN_WARMUP10, 1000, 998, 0.02, 4.707843553e-09 },
		{ DTN_WARMUP10, 1000, 999, 0.02, 4.613686682e-09 },
		{ DTN_WARMUP50, 1000, 0, 0.0001, 0.9999 },
		{ DTN_WARMUP50, 1000, 50, 0.002093987976, 0.9455521762 },
		{ DTN_WARMUP50, 1000, 500, 0.02, 0.006225656581 },
		{ DTN_WARMUP50, 1000, 998, 0.02, 2.659321565e-07 },
		{ DTN_WARMUP50, 1000, 999, 0.02, 2.606135134e-07 },
		{ DTN_EXP, 1000, 0, 0.01192828714, 0.9880717129 },
		{ DTN_EXP, 1000, 50, 0.01192828714, 0.5422652533 },
		{ DTN_EXP, 1000, 500, 0.01192828714, 0.002449184909 },
		{ DTN_EXP, 1000, 998, 0.01192828714, 6.21838706e-06 },
		{ DTN_EXP, 1000, 999, 0.01192828714, 6.144212353e-06 },
		{ DTN_LAPLACE, 1000, 0, 0.0211537572, 0.9788462428 },
		{ DTN_LAPLACE, 1000, 50, 0.001193172117, 0.8710292843 },
		{ DTN_LAPLACE, 1000, 500, 0.0002500313829, 0.7072832706 },
		{ DTN_LAPLACE, 1000, 998, 0.1516296618, 0.2070266479 },
		{ DTN_LAPLACE, 1000, 999, 0.8472526271, 0.0316227766 },
		{ DTN_JSD, 300, 0, 0.003333333333, 0.9966666667 },
		{ DTN_JSD, 300, 15, 0.00350877193, 0.9466666667 },
		{ DTN_JSD, 300, 150, 0.006666666667, 0.4966666667 },
		{ DTN_JSD, 300, 298, 0.5, 0.003333333333 },
		{ DTN_JSD, 300, 299, 1, 0 },
		{ DTN_WARMUP10, 300, 0, 0.0003333333333, 0.9996666667 },
		{ DTN_WARMUP10, 300, 15, 0.03464367816, 0.7533591082 },
		{ DTN_WARMUP10, 300, 150, 0.06666666667, 8.467811817e-05 },
		{ DTN_WARMUP10, 300, 298, 0.06666666667, 3.113251013e-09 },
		{ DTN_WARMUP10, 300, 299, 0.06666666667, 2.905700946e-09 },
		{ DTN_WARMUP50, 300, 0, 0.0003333333333, 0.9996666667 },
		{ DTN_WARMUP50, 300, 15, 0.007011185682, 0.9428027012 },
		{ DTN_WARMUP50, 300, 150, 0.06666666667, 0.005462023664 },
		{ DTN_WARMUP50, 300, 298, 0.06666666667, 2.008151701e-07 },
		{ DTN_WARMUP50, 300, 299, 0.06666666667, 1.874274921e-07 },
		{ DTN_EXP, 300, 0, 0.03921056085, 0.9607894392 },
		{ DTN_EXP, 300, 15, 0.03921056085, 0.527292424 },
		{ DTN_EXP, 300, 150, 0.03921056085, 0.002381558914 },
		{ DTN_EXP, 300, 298, 0.03921056085, 6.394962416e-06 },
		{ DTN_EXP, 300, 299, 0.03921056085, 6.144212353e-06 },
		{ DTN_LAPLACE, 300, 0, 0.03800569561, 0.9619943044 },
		{ DTN_LAPLACE, 300, 15, 0.003916464338, 0.8686543834 },
		{ DTN_LAPLACE, 300, 150, 0.0008362217434, 0.7068685642 },
		{ DTN_LAPLACE, 300, 298, 0.1460431906, 0.2748944494 },
		{ DTN_LAPLACE, 300, 299, 0.8849639319, 0.0316227766 }
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct dtn_schedule s = make(known[i].T, known[i].kind);
		good = good && near(s.beta[known[i].t], known[i].beta, 9) &&
		       near(s.alpha_bar[known[i].t], known[i].alpha_bar, 9);
		dtn_schedule_release(&s);
	}
	check(good, "jsd, warmup, exp, laplace", "other numbers than their sources");
}

/* The ends of the linear schedule are scaled by 1000/T unless they are given. */
static void test_lengths(void)
{
	static const struct { int T; double plain; int digits; double scaled; } known[] = {
		{ 100, 0.3636, 4, 2.04e-5 },   { 200, 0.1322, 4, 3.03e-5 },
		{ 250, 0.0797, 3, 3.26e-5 }, { 300, 0.0481, 3, 3.43e-5 },
		{ 500, 0.00635, 3, 3.77e-5 }, { 512, 0.00563, 3, 3.78e-5 },
		{ 1000, 4.04e-5, 3, 4.04e-5 }, { 4000, 2.65e-18, 3, 4.25e-5 }
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct dtn_schedule_config c = {
			.steps = known[i].T, .beta_first = 1e-4, .beta_last = 0.02
		};
		struct dtn_schedule plain, scaled = make(known[i].T, DTN_LINEAR);
		dtn_schedule_init(&plain, &c);
		good = good &&
		       near(plain.alpha_bar[c.steps - 1], known[i].plain, known[i].digits) &&
		       near(scaled.alpha_bar[c.steps - 1], known[i].scaled, 3);
		dtn_schedule_release(&plain);
		dtn_schedule_release(&scaled);
	}
	check(good, "other lengths", "wrong alpha_bar at the end");
}

/* Any length of any kind gives betas in range, a decreasing alpha_bar and no nonsense. */
static void test_sane(void)
{
	static const int lengths[] = { 1, 2, 3, 10, 27, 1000, 65536, 999999, DTN_MAX_STEPS };
	bool good = true;

	for (int kind = DTN_LINEAR; kind < DTN_SCHEDULE_KINDS; kind++)
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
			for (int zero = 0; zero < 2; zero++) {
				struct dtn_schedule_config c = {
					.steps = lengths[i],
					.kind = (enum dtn_schedule_kind)kind,
					.zero_snr = zero
				};
				struct dtn_schedule s;
				const bool ends = zero || kind == DTN_JSD;
				const double least = (zero ? 0.9 : 1) * DTN_LEAST_BETA;
				good = good && !dtn_schedule_check(&c) &&
				       dtn_schedule_ends_in_noise(&c) == ends;
				dtn_schedule_init(&s, &c);
				for (int t = 0; t < c.steps; t++)
					good = good && s.beta[t] >= least &&
					       s.beta[t] <= (ends ? 1 : 0.999) &&
					       s.alpha_bar[t] < dtn_alpha_bar(&s, t - 1) &&
					       dtn_snr(&s, t) >= 0 &&
					       isfinite(dtn_posterior_variance(&s, t));
				good = good && (s.alpha_bar[c.steps - 1] == 0) == ends;
				dtn_schedule_release(&s);
			}
	check(good, "all kinds and lengths", "a beta out of range");
}

static void test_check(void)
{
	static const struct dtn_schedule_config bad[] = {
		{ .steps = 0 }, { .steps = DTN_MAX_STEPS + 1 }, { .steps = -1 }, { .steps = 10,
		  .kind = DTN_SCHEDULE_KINDS },
		{ .steps = 10, .beta_first = -1e-4 }, { .steps = 10, .beta_last = 1 },
		{ .steps = 10, .beta_last = NAN }, { .steps = 10, .beta_first = INFINITY },
		{ .steps = 10, .beta_first = 1e-300 }, { .steps = 10, .beta_last = 1e-17 }
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		good = good && dtn_schedule_check(&bad[i]) != NULL;
	check(good, "bad configurations", "one is accepted");
}

/* Names may differ where the numbers do not. */
static void test_same(void)
{
	const struct dtn_schedule_config plain = { .steps = 1000 },
		given = { .steps = 1000, .beta_first = 1e-4, .beta_last = 0.02 },
		other = { .steps = 1000, .beta_first = 1e-4, .beta_last = 0.03 },
		shorter = { .steps = 999 }, zero = { .steps = 1000, .zero_snr = true },
		quadratic = { .steps = 1000, .kind = DTN_QUADRATIC },
		scaled = { .steps = 1000, .kind = DTN_SCALED_LINEAR };

	check(dtn_schedule_same(&plain, &given) && dtn_schedule_same(&quadratic, &scaled) &&
	      !dtn_schedule_same(&plain, &other) && !dtn_schedule_same(&plain, &shorter) &&
	      !dtn_schedule_same(&plain, &zero) && !dtn_schedule_same(&plain, &quadratic),
	      "equal schedules", "wrong answer");
}

static void test_zero_snr(void)
{
	struct dtn_schedule_config c = { .steps = 1000, .zero_snr = true };
	struct dtn_schedule s;
	bool good;

	dtn_schedule_init(&s, &c);
	good = near(s.beta[0], 1e-4, 9) && near(s.beta[1], 1.20686636e-4, 9) &&
		near(s.beta[500], 0.0102926174, 9) && near(s.beta[998], 0.752267231, 9) &&
		s.beta[999] == 1 && s.alpha_bar[999] == 0;
	check(good, "zero terminal SNR", "other numbers than published");
	dtn_schedule_release(&s);
}

static void test_weights(void)
{
	static const struct { int t; double x0, eps, v, p2; } known[] = {
		{ 0, 5, 5.0005e-4, 5e-4, 1e-4 }, { 100, 5, 0.58571, 0.52429, 0.10486 },
		{ 250, 1.0895, 1, 0.52142, 0.47858 }, { 500, 0.08436, 1, 0.077797, 0.92220 },
		{ 999, 4.036e-5, 1, 4.0358e-5, 0.99996 }
	};
	struct dtn_schedule s = make(1000, DTN_LINEAR);
	bool good = true, same = true;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		int t = known[i].t;
		good = good && near(dtn_loss_weight(&s, DTN_MIN_SNR, DTN_X0, t), known[i].x0, 4) &&
			near(dtn_loss_weight(&s, DTN_MIN_SNR, DTN_EPS, t), known[i].eps, 4) &&
			near(dtn_loss_weight(&s, DTN_MIN_SNR, DTN_V, t), known[i].v, 4) &&
			near(dtn_loss_weight(&s, DTN_P2, DTN_EPS, t), known[i].p2, 4) &&
			dtn_loss_weight(&s, DTN_WEIGHT_NONE, DTN_V, t) == 1;
	}
	check(good, "loss weights", "other numbers than published");

	/* Errors of one and the same prediction cost the same, whatever is predicted. */
	for (int t = 0; t < 1000; t++)
		for (int w = DTN_MIN_SNR; w <= DTN_P2; w++) {
			double snr = dtn_snr(&s, t),
			       x0 = dtn_loss_weight(&s, (enum dtn_weight)w, DTN_X0, t);
			same = same &&
			       near(dtn_loss_weight(&s, (enum dtn_weight)w, DTN_EPS, t) * snr, x0,
				    9) &&
			       near(dtn_loss_weight(&s, (enum dtn_weight)w, DTN_V, t) * (snr + 1),
				    x0, 9);
		}
	check(same, "one objective", "eps, x0 and v disagree");
	dtn_schedule_release(&s);
}

/* eq. 4 to the last bit, and targets that turn back into x_0 and eps. */
static void test_images(void)
{
	enum { n = 37 };
	struct dtn_schedule s = make(1000, DTN_COSINE);
	float x0[n], eps[n], xt[n], target[n];
	bool exact = true, same = true, turned = true;

	for (int i = 0; i < n; i++) {
		x0[i] = (float)sin(i);
		eps[i] = (float)(2 * cos(7 * i));
	}
	for (int t = 0; t < 1000; t += 37) {
		double ab = s.alpha_bar[t], a = sqrt(ab), b = sqrt(1 - ab);
		dtn_add_noise(&s, t, xt, x0, eps, n);
		for (int i = 0; i < n; i++)
			exact = exact && xt[i] == fmaf((float)a, x0[i], (float)b * eps[i]);
		dtn_target(&s, t, DTN_EPS, target, x0, eps, n);
		for (int i = 0; i < n; i++)
			same = same && target[i] == eps[i];
		dtn_target(&s, t, DTN_X0, target, x0, eps, n);
		for (int i = 0; i < n; i++)
			same = same && target[i] == x0[i];
		dtn_target(&s, t, DTN_V, target, x0, eps, n);
		for (int i = 0; i < n; i++)
			turned = turned && fabs(a * xt[i] - b * target[i] - x0[i]) < 1e-6 &&
				fabs(a * target[i] + b * xt[i] - eps[i]) < 1e-6;
	}
	check(exact, "adding noise", "not as the header says");
	check(same, "targets eps and x0", "not copied");
	check(turned, "target v", "does not turn back into x0 and eps");
	dtn_schedule_release(&s);
}

int main(void)
{
	test_linear();
	test_others();
	test_of_code();
	test_lengths();
	test_sane();
	test_check();
	test_same();
	test_zero_snr();
	test_weights();
	test_images();
	return failures != 0;
}
