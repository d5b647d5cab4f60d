/* schedule.h -- how much noise at each step [Ho et al. 2020, eq. 2-7; t = 0 .. T-1 is their t-1].
 *
 * alpha_t = 1 - beta_t, alpha_bar_t = product of alpha_s for s <= t, alpha_bar_-1 = 1.  All in f64.
 */
#ifndef DTN_SCHEDULE_H
#define DTN_SCHEDULE_H

#include "lib/base.h"

/* Two names, quadratic (Ho et al.) and scaled-linear (diffusers), are one schedule. */
enum dtn_schedule_kind {
	DTN_LINEAR, DTN_COSINE, DTN_SIGMOID, DTN_QUADRATIC, DTN_CONSTANT, DTN_GEODIFF,
	DTN_SCALED_LINEAR, DTN_JSD, DTN_WARMUP10, DTN_WARMUP50, DTN_EXP, DTN_LAPLACE,
	DTN_SCHEDULE_KINDS
};
#define DTN_SCHEDULES "linear|cosine|sigmoid|quadratic|constant|sigmoid-beta|scaled-linear|" \
	"jsd|warmup10|warmup50|exp|laplace"

/* What every program takes where nothing is said, as it would be typed. */
#define DTN_DEFAULT_STEPS "1000"
#define DTN_DEFAULT_SCHEDULE "cosine"

enum { DTN_MAX_STEPS = 1000000 };
#define DTN_LEAST_BETA 1e-9             /* far below, 1 - alpha_bar_0 would be 0 */

enum dtn_predict { DTN_EPS, DTN_X0, DTN_V };
#define DTN_PREDICTIONS "eps|x0|v"

enum dtn_weight { DTN_WEIGHT_NONE, DTN_MIN_SNR, DTN_P2 };
#define DTN_WEIGHTS "none|min-snr|p2"

struct dtn_schedule_config {
	int steps;                      /* T, 1 .. DTN_MAX_STEPS */
	enum dtn_schedule_kind kind;
	double beta_first, beta_last;   /* 0: the default, 1e-4 and 0.02, scaled by 1000/T */
	bool zero_snr;                  /* rescaled to alpha_bar_T-1 = 0 [Lin et al. 2023] */
};

struct dtn_schedule {
	struct dtn_schedule_config config;
	double *beta, *alpha_bar;       /* [T] */
};

/* NULL, or what is wrong with it. */
const char *dtn_schedule_check(const struct dtn_schedule_config *);

/* Can the ends of the betas be chosen? */
bool dtn_schedule_has_ends(enum dtn_schedule_kind);

/* Is the last alpha_bar 0, so that eps says nothing of the image there? */
bool dtn_schedule_ends_in_noise(const struct dtn_schedule_config *);

/* beta_first and beta_last with the defaults filled in. */
void dtn_schedule_ends(const struct dtn_schedule_config *, double *first, double *last);

void dtn_schedule_init(struct dtn_schedule *, const struct dtn_schedule_config *);
void dtn_schedule_release(struct dtn_schedule *);

/* Are all their betas equal, whatever they are called? */
bool dtn_schedule_same(const struct dtn_schedule_config *, const struct dtn_schedule_config *);

double dtn_alpha_bar(const struct dtn_schedule *, int t);       /* t = -1: 1 */
double dtn_snr(const struct dtn_schedule *, int t);             /* alpha_bar / (1 - alpha_bar) */
double dtn_posterior_variance(const struct dtn_schedule *, int t);      /* eq. 7 */

/* What the loss of step t is multiplied by, for what the network predicts: min-SNR with gamma 5
 * [Hang et al. 2023], P2 with k = 1, gamma = 1 [Choi et al. 2022]. */
double dtn_loss_weight(const struct dtn_schedule *, enum dtn_weight, enum dtn_predict, int t);

/* x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) eps (eq. 4); n numbers, each coefficient
 * rounded once to f32, x_t = fma(a, x0, b * eps). */
void dtn_add_noise(const struct dtn_schedule *, int t, float *xt, const float *x0, const float *eps,
		   size_t n);

/* What the network should say: eps, x_0, or v = sqrt(ab) eps - sqrt(1-ab) x_0 [Salimans & Ho
 * 2022]. */
void dtn_target(const struct dtn_schedule *, int t, enum dtn_predict, float *target,
		const float *x0, const float *eps, size_t n);

#endif
