/* noise.h -- the timestep and the noise of a sample, which follow from the seed and its position.
 *
 * Training draws them, and dtn-noise does for its images: position p of one seed is the same
 * everywhere.
 */
#ifndef DTN_NOISE_H
#define DTN_NOISE_H

#include <stddef.h>
#include <stdint.h>

/* The timestep 0 .. T-1 of the sample at this position: the Kronecker sequence of the golden ratio
 * from a random beginning. Each is uniform, and any run of samples is spread evenly over the steps,
 * which takes noise out of the gradient [Kingma et al. 2021, appendix I.1 for the idea]. */
int dtn_timestep_of(uint64_t seed, uint64_t position, int T);

/* Its noise, n numbers from N(0,1). */
void dtn_noise_of(uint64_t seed, uint64_t position, float *eps, size_t n);

/* Where image number i begins when it is sampled: x_T, likewise. */
void dtn_start_of(uint64_t seed, uint64_t i, float *x, size_t n);

#endif
