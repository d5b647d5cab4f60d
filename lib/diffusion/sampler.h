/* sampler.h -- from noise to images: DDPM [Ho et al. 2020, alg. 2], DDIM [Song et al. 2021],
 * DPM-Solver++(2M) [Lu et al. 2022b, alg. 2]. */
#ifndef DTN_SAMPLER_H
#define DTN_SAMPLER_H

#include "format/dtn.h"
#include "kernels/backend.h"
#include "lib/diffusion/schedule.h"

enum dtn_sampler_kind { DTN_DDIM, DTN_DDPM, DTN_DPM };
#define DTN_SAMPLERS "ddim|ddpm|dpm++2m"
enum dtn_spacing { DTN_TRAILING, DTN_LEADING, DTN_LINSPACE, DTN_QUAD };
#define DTN_SPACINGS "trailing|leading|linspace|quad"

struct dtn_sampler_config {
	enum dtn_sampler_kind kind;
	int steps;                      /* S, 1 .. T */
	enum dtn_spacing spacing;
	double eta;                     /* DDIM: 0 deterministic, 1 as DDPM */
	bool variance_large;            /* DDPM: beta rather than the posterior's */
	bool clip;                      /* x_0 to [-1,1], and eps to what belongs to it */
};

struct dtn_sampler {
	struct dtn_sampler_config config;
	const struct dtn_schedule *schedule;
	enum dtn_predict predict;
	int *t;                         /* [config.steps], descending; after the last comes -1 */
};

/* The steps: t[0..S-1], each below the one before.  S is 1 .. T. */
void dtn_spaced(int *t, int S, int T, enum dtn_spacing);

void dtn_sampler_init(struct dtn_sampler *, const struct dtn_sampler_config *,
		      const struct dtn_schedule *, enum dtn_predict);
void dtn_sampler_release(struct dtn_sampler *);

/* Into metadata as sample.*, in the words of dtn-sample's options. */
void dtn_sampler_describe(const struct dtn_sampler_config *, struct dtn_meta *);

/* Begin at t, 0 .. T-1, instead of where the list does: of its steps, those below t stay. */
void dtn_sampler_begin_at(struct dtn_sampler *, int t);

/* x_0 as the network's output at step i sees it, clipped if asked; n numbers. */
void dtn_sampler_x0(const struct dtn_sampler *, int i, float *x0, const float *x,
		    const float *output, size_t n);

/* One step: x at t[i] becomes x at t[i+1], through x_0.  z: N(0,1), [n], not read at the last
 * step or where the step has no noise (dtn_sampler_noisy).  x0_before: [n], x_0 of the step before,
 * which becomes that of this one; DTN_DPM wants it, but does not read it at the first step; others
 * take NULL.  And its numbers, for a device that does the same. */
void dtn_sampler_step(const struct dtn_sampler *, int i, float *x, const float *output,
		      const float *z, float *x0_before, size_t n);
void dtn_sampler_coefficients(const struct dtn_sampler *, int i, struct dtn_coefficients *);
bool dtn_sampler_noisy(const struct dtn_sampler *, int i);

#endif
