/* philox.h -- the numbers of dtn_rng_bits, for kernels that need one for every element.
 *
 * The compiler makes shuffles of the products of Philox, so they are written with intrinsics: a
 * number in the lower half of each 64 bits, the upper half ignored by every multiplication. [Salmon
 * et al. 2011] */
#ifndef DTN_PHILOX_H
#define DTN_PHILOX_H

#include "kernels/cpu/vec.h"
#include "lib/rng.h"

#ifdef __AVX2__
#include <immintrin.h>

/* The 16 numbers of counters first .. first+3. */
static INLINE void philox_16(uint32_t *out, const struct dtn_rng *g, uint32_t first)
{
	const __m256i m0 = _mm256_set1_epi64x(0xd2511f53), m1 = _mm256_set1_epi64x(0xcd9e8d57);
	__m256i a = _mm256_set_epi64x(first + 3, first + 2, first + 1, first);
	__m256i b = _mm256_set1_epi64x(g->counter[1]), c = _mm256_set1_epi64x(g->counter[2]);
	__m256i d = _mm256_set1_epi64x(g->counter[3]), ab, cd;
	uint32_t k0 = g->key[0], k1 = g->key[1];

	for (int round = 0; round < 10; round++, k0 += 0x9e3779b9, k1 += 0xbb67ae85) {
		__m256i p = _mm256_mul_epu32(m0, a), q = _mm256_mul_epu32(m1, c);

		a = _mm256_xor_si256(_mm256_srli_epi64(q, 32),
				     _mm256_xor_si256(b, _mm256_set1_epi64x(k0)));
		b = q;
		c = _mm256_xor_si256(_mm256_srli_epi64(p, 32),
				     _mm256_xor_si256(d, _mm256_set1_epi64x(k1)));
		d = p;
	}
	ab = _mm256_blend_epi32(a, _mm256_slli_epi64(b, 32), 0xaa);
	cd = _mm256_blend_epi32(c, _mm256_slli_epi64(d, 32), 0xaa);
	a = _mm256_unpacklo_epi64(ab, cd);              /* of counters 0 and 2 */
	b = _mm256_unpackhi_epi64(ab, cd);              /* of counters 1 and 3 */
	_mm256_storeu_si256((__m256i *)out, _mm256_permute2x128_si256(a, b, 0x20));
	_mm256_storeu_si256((__m256i *)(out + 8), _mm256_permute2x128_si256(a, b, 0x31));
}

/* Numbers 4 first .. 4 first + n-1, n a multiple of 16. */
static INLINE void philox(uint32_t *out, const struct dtn_rng *g, uint32_t first, size_t n)
{
	for (size_t i = 0; i < n; i += 16)
		philox_16(out + i, g, first + (uint32_t)(i / 4));
}

#else

static INLINE void philox(uint32_t *out, const struct dtn_rng *g, uint32_t first, size_t n)
{
	struct dtn_rng from = *g;

	from.counter[0] = first;
	dtn_rng_bits(from, out, n);
}

#endif
#endif
