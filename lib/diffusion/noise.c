/* noise.c -- the timestep and the noise of a sample: what the seed and its position make of
 * them. */
#include "lib/diffusion/noise.h"

#include "lib/rng.h"

int dtn_timestep_of(uint64_t seed, uint64_t position, int T)
{
	uint32_t begin;

	dtn_rng_bits(dtn_rng(seed, DTN_RNG_TIME, 0, 0), &begin, 1);
	/* 2^32 / golden ratio, made odd: all 2^32 values come before one comes again */
	begin += (uint32_t)position * 0x9e3779b9u;
	return (int)((uint64_t)begin * (uint64_t)T >> 32);
}

void dtn_noise_of(uint64_t seed, uint64_t position, float *eps, size_t n)
{
	dtn_rng_normal(dtn_rng(seed, DTN_RNG_NOISE, position, 0), eps, n);
}

void dtn_start_of(uint64_t seed, uint64_t i, float *x, size_t n)
{
	dtn_rng_normal(dtn_rng(seed, DTN_RNG_START, i, 0), x, n);
}
