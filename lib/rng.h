/* rng.h -- random numbers by counting: Philox 4x32-10 [Salmon et al. 2011].
 *
 * A number depends on (seed, purpose, index, position) and on nothing else, so an image has the
 * same noise whatever its batch, thread or device.  Counter and key are laid out as
 *
 *      key     = seed low, seed high
 *      counter = position / 4, index low, index high, purpose << 24 | step
 */
#ifndef DTN_RNG_H
#define DTN_RNG_H

#include <stddef.h>
#include <stdint.h>

enum dtn_purpose {
	DTN_RNG_INIT = 1,       /* initial weights; index: parameter */
	DTN_RNG_ORDER,          /* shuffling; index: epoch */
	DTN_RNG_TIME,           /* where the sequence of a training's timesteps begins; index 0 */
	DTN_RNG_NOISE,          /* eps of a training sample; index: sample position */
	DTN_RNG_FLIP,           /* flips; index: sample position */
	DTN_RNG_DROPOUT,        /* index: slice's first sample position; step: node */
	DTN_RNG_START,          /* x_T of a sample; index: image */
	DTN_RNG_STEP,           /* the noise of sampling step `step`; index: image */
	DTN_RNG_LABEL,          /* label dropout; index: sample position */
	DTN_RNG_VALIDATION      /* t and eps of validation; index: image */
};

struct dtn_rng { uint32_t key[2], counter[4]; };

void dtn_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* The generator of (seed, purpose, index, step); step is below 2^24. */
struct dtn_rng dtn_rng(uint64_t seed, enum dtn_purpose, uint64_t index, uint32_t step);

/* n numbers from position 0: bits; uniform in (0,1]; N(0,1) by Box-Muller with log, sin and cos
 * of our own, written with explicit fma so that every processor and GPU gives the same bits.
 * To begin at position 4*k, add k to counter[0]. */
void dtn_rng_bits(struct dtn_rng, uint32_t *out, size_t n);
void dtn_rng_uniform(struct dtn_rng, float *out, size_t n);
void dtn_rng_normal(struct dtn_rng, float *out, size_t n);

/* Integer number `at`, of 0 .. n-1; n below 2^31.  It takes positions 2*at and 2*at+1. */
uint32_t dtn_rng_below(struct dtn_rng, size_t at, uint32_t n);

/* A permutation of 0 .. n-1 (Fisher-Yates). */
void dtn_rng_order(struct dtn_rng, uint32_t *order, uint32_t n);

/* "v2" or "v3": use at most the instructions of that kind of x86-64, which changes no bit;
 * NULL: all. */
extern const char *dtn_rng_isa;

#endif
