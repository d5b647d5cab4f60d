/* rng.h -- the generator of lib/rng.h on the device: one counter, four numbers.
 *
 * The arithmetic is that of lib/normal.h, compiled once more.  nvcc fuses a product and a sum that
 * follows it into one instruction with one rounding, which would change bits; so wherever a product
 * meets a sum either fma is written out, or the product is __fmul_rn, which is never fused. */
#ifndef DTN_CUDA_RNG_H
#define DTN_CUDA_RNG_H

#include "kernels/cuda/cuda.h"

#define DTN_INLINE DEVICE
#include "lib/normal.h"

/* Numbers 4*at .. 4*at+3 of the generator (seed, purpose, index, step). */
DEVICE void rng_bits(uint32_t word[4], uint64_t seed, int purpose, uint64_t index, uint32_t step,
		     uint32_t at)
{
	word[0] = at;
	word[1] = (uint32_t)index;
	word[2] = (uint32_t)(index >> 32);
	word[3] = (uint32_t)purpose << 24 | (step & 0xffffff);
	philox(&word[0], &word[1], &word[2], &word[3], (uint32_t)seed, (uint32_t)(seed >> 32));
}

DEVICE void rng_normal(float z[4], uint64_t seed, int purpose, uint64_t index, uint32_t step,
		       uint32_t at)
{
	uint32_t word[4];

	rng_bits(word, seed, purpose, index, step, at);
	box_muller(&z[0], &z[1], word[0], word[1]);
	box_muller(&z[2], &z[3], word[2], word[3]);
}

#endif
