/* schedule.c -- the noise of every step, and what follows from it.
 *
 * A schedule is defined by its betas (linear, quadratic, constant, sigmoid-beta, jsd, warmup) or by
 * a curve alpha_bar(u), u = (t+1)/T, from which betas are taken (cosine, sigmoid, exp, laplace).
 * Betas are clipped to MaxBeta, since the cosine's last one would be 1, but for jsd, which means
 * to end so; and to DTN_LEAST_BETA, since laplace's are nearly 0 half way.  alpha_bar is the
 * product of the clipped ones: the two always agree.
 */
#include "lib/diffusion/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double MaxBeta = 0.999;

static double logistic(double x)
{
	return 1 / (1 + exp(-x));
}

/* From a to b in n steps; the first where there is only one. */
static double between(double a, double b, int i, int n)
{
	return n > 1 ? a + (b - a) * i / (n - 1) : a;
}

/* Nichol & Dhariwal 2021, eq. 17. */
static double cosine_curve(double u)
{
	const double s = 0.008, c = cos((u + s) / (1 + s) * M_PI / 2);

	return c * c;
}

/* Jabri et al. 2022, with start -3, end 3, tau 1. */
static double sigmoid_curve(double u)
{
	const double start = -3, end = 3;

	return (logistic(end) - logistic(u * (end - start) + start)) /
	       (logistic(end) - logistic(start));
}

/* betas_for_alpha_bar of diffusers, and so the next. */
static double exp_curve(double u)
{
	return exp(-12 * u);
}

/* The logarithm of the signal to noise ratio is the quantile of a Laplace distribution; a curve of
 * its square root, as there.  The offset bounds it at both ends. */
static double laplace_curve(double u)
{
	const double half = log(1 - 2 * fabs(0.5 - u) + 1e-6) / 2;
	const double snr = exp(u > 0.5 ? half : -half);

	return sqrt(snr / (1 + snr));
}

/* NULL: defined by its betas. */
static double (*curve_of(enum dtn_schedule_kind kind))(double)
{
	switch (kind) {
	case DTN_COSINE: return cosine_curve;
	case DTN_SIGMOID: return sigmoid_curve;
	case DTN_EXP: return exp_curve;
	case DTN_LAPLACE: return laplace_curve;
	default: return NULL;
	}
}

/* jsd and warmup are of the code of Ho et al. 2020. */
static double beta_at(const struct dtn_schedule_config *c, double first, double last, int t)
{
	double (*curve)(double) = curve_of(c->kind), root;
	const int T = c->steps, warm = c->kind == DTN_WARMUP10 ? T / 10 : T / 2;

	if (curve)
		return 1 - curve((t + 1.0) / T) / curve((double)t / T);
	switch (c->kind) {
	case DTN_QUADRATIC:
	case DTN_SCALED_LINEAR:
		root = between(sqrt(first), sqrt(last), t, T);
		return root * root;
	case DTN_CONSTANT:
		return last;
	case DTN_GEODIFF:
		return logistic(between(-6, 6, t, T)) * (last - first) + first;
	case DTN_JSD:
		return 1.0 / (T - t);
	case DTN_WARMUP10:
	case DTN_WARMUP50:
		return t < warm ? between(first, last, t, warm) : last;
	default:
		return between(first, last, t, T);
	}
}

/* sqrt(alpha_bar), shifted and stretched so that the last is 0 and the first stays
 * [Lin et al. 2023, alg. 1]. */
static void rescale(struct dtn_schedule *s, int T)
{
	const double first = sqrt(s->alpha_bar[0]), last = sqrt(s->alpha_bar[T - 1]);

	for (int t = 0; t < T; t++) {
		double a = T > 1 ? (sqrt(s->alpha_bar[t]) - last) * first / (first - last) : 0;
		s->alpha_bar[t] = a * a;
		s->beta[t] = 1 - s->alpha_bar[t] / dtn_alpha_bar(s, t - 1);
	}
}

const char *dtn_schedule_check(const struct dtn_schedule_config *c)
{
	double first, last;

	if (c->steps < 1 || c->steps > DTN_MAX_STEPS)
		return "steps wants 1 to 1000000";
	if (c->kind < DTN_LINEAR || c->kind >= DTN_SCHEDULE_KINDS)
		return "schedule is not known";
	dtn_schedule_ends(c, &first, &last);
	if (!(first >= DTN_LEAST_BETA && first < 1 && last >= DTN_LEAST_BETA && last < 1))
		return "beta wants two numbers from 1e-9 to below 1";
	return NULL;
}

bool dtn_schedule_has_ends(enum dtn_schedule_kind kind)
{
	return !curve_of(kind) && kind != DTN_JSD;
}

bool dtn_schedule_ends_in_noise(const struct dtn_schedule_config *c)
{
	return c->zero_snr || c->kind == DTN_JSD;
}

void dtn_schedule_ends(const struct dtn_schedule_config *c, double *first, double *last)
{
	*first = c->beta_first != 0 ? c->beta_first : fmin(1e-4 * 1000 / c->steps, MaxBeta);
	*last = c->beta_last != 0 ? c->beta_last : fmin(0.02 * 1000 / c->steps, MaxBeta);
}

void dtn_schedule_init(struct dtn_schedule *s, const struct dtn_schedule_config *config)
{
	const int T = config->steps;
	const double most = config->kind == DTN_JSD ? 1 : MaxBeta;
	double first, last, product = 1;

	s->config = *config;
	s->beta = dtn_alloc((size_t)T, sizeof(*s->beta));
	s->alpha_bar = dtn_alloc((size_t)T, sizeof(*s->alpha_bar));
	dtn_schedule_ends(config, &first, &last);
	for (int t = 0; t < T; t++) {
		s->beta[t] = fmin(fmax(beta_at(config, first, last, t), DTN_LEAST_BETA), most);
		product *= 1 - s->beta[t];
		s->alpha_bar[t] = product;
	}
	if (config->zero_snr && s->alpha_bar[T - 1] > 0)
		rescale(s, T);
}

void dtn_schedule_release(struct dtn_schedule *s)
{
	free(s->beta);
	free(s->alpha_bar);
	s->beta = s->alpha_bar = NULL;
}

bool dtn_schedule_same(const struct dtn_schedule_config *a, const struct dtn_schedule_config *b)
{
	struct dtn_schedule x, y;
	bool same;

	if (a->steps != b->steps)
		return false;
	dtn_schedule_init(&x, a);
	dtn_schedule_init(&y, b);
	same = !memcmp(x.beta, y.beta, (size_t)a->steps * sizeof(*x.beta));
	dtn_schedule_release(&x);
	dtn_schedule_release(&y);
	return same;
}

double dtn_alpha_bar(const struct dtn_schedule *s, int t)
{
	return t < 0 ? 1 : s->alpha_bar[t];
}

double dtn_snr(const struct dtn_schedule *s, int t)
{
	return dtn_alpha_bar(s, t) / (1 - dtn_alpha_bar(s, t));
}

double dtn_posterior_variance(const struct dtn_schedule *s, int t)
{
	return s->beta[t] * (1 - dtn_alpha_bar(s, t - 1)) / (1 - dtn_alpha_bar(s, t));
}

/* The weight of the squared error of x_0, then of what is predicted: with the errors of one
 * prediction, |eps|^2 = SNR |x_0|^2 and |v|^2 = (SNR + 1) |x_0|^2, so all three are the same
 * objective.  Where the SNR is 0, so is the weight of x_0, and that of eps is the limit. */
double dtn_loss_weight(const struct dtn_schedule *s, enum dtn_weight weight,
		       enum dtn_predict predict, int t)
{
	const double snr = dtn_snr(s, t);
	double eps, of_x0;

	switch (weight) {
	case DTN_MIN_SNR:
		of_x0 = fmin(snr, 5);
		eps = snr > 5 ? 5 / snr : 1;
		break;
	case DTN_P2:
		of_x0 = snr / (1 + snr);
		eps = 1 / (1 + snr);
		break;
	default:
		return 1;
	}
	return predict == DTN_EPS ? eps : predict == DTN_X0 ? of_x0 : of_x0 / (snr + 1);
}

/* --- on images -------------------------------------------------------------------------------- */

/* y = a x + b z.  Every training sample comes by here, so it is compiled with fma instructions
 * too; the C library's fmaf, used elsewhere, is as exact. */
static inline __attribute__((always_inline))
void blend_body(float *y, float a, const float *x, float b, const float *z, size_t n)
{
	for (size_t i = 0; i < n; i++)
		y[i] = fmaf(a, x[i], b * z[i]);
}

#ifdef __x86_64__
__attribute__((target("avx2,fma")))
static void blend_fma(float *y, float a, const float *x, float b, const float *z, size_t n)
{
	blend_body(y, a, x, b, z, n);
}
#endif

static void blend(float *y, float a, const float *x, float b, const float *z, size_t n)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
		blend_fma(y, a, x, b, z, n);
		return;
	}
#endif
	blend_body(y, a, x, b, z, n);
}

void dtn_add_noise(const struct dtn_schedule *s, int t, float *xt, const float *x0,
		   const float *eps, size_t n)
{
	const double ab = dtn_alpha_bar(s, t);

	blend(xt, (float)sqrt(ab), x0, (float)sqrt(1 - ab), eps, n);
}

void dtn_target(const struct dtn_schedule *s, int t, enum dtn_predict predict, float *target,
		const float *x0, const float *eps, size_t n)
{
	const double ab = dtn_alpha_bar(s, t);

	if (predict == DTN_V)
		blend(target, (float)sqrt(ab), eps, -(float)sqrt(1 - ab), x0, n);
	else
		memcpy(target, predict == DTN_X0 ? x0 : eps, n * sizeof(*target));
}
