/* normal.h -- the arithmetic of lib/rng.c, the same for processors and GPUs.
 *
 * The same seed must give the same bits on every processor and on a GPU.  So a normal number is
 * made with integer operations, +, *, fma, int to float and sqrt alone, all of which IEEE 754
 * rounds in one way; log, sin and cos are polynomials, and no product stands beside a sum that a
 * compiler could fuse with it.  It may be included by C and by CUDA: DTN_INLINE is what makes a
 * function of either.
 */
#ifndef DTN_NORMAL_H
#define DTN_NORMAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef DTN_INLINE
#define DTN_INLINE static inline __attribute__((always_inline))
#endif

/* --- bits ------------------------------------------------------------------------------------- */

DTN_INLINE void philox_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d, uint32_t k0,
			     uint32_t k1)
{
	uint64_t p = (uint64_t)0xd2511f53u * *a, q = (uint64_t)0xcd9e8d57u * *c;

	*a = (uint32_t)(q >> 32) ^ *b ^ k0;
	*b = (uint32_t)q;
	*c = (uint32_t)(p >> 32) ^ *d ^ k1;
	*d = (uint32_t)p;
}

/* a, b, c, d: in, the counter; out, four random words. */
DTN_INLINE void philox(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d, uint32_t k0, uint32_t k1)
{
#define ROUND(n) philox_round(a, b, c, d, k0 + (n) * 0x9e3779b9u, k1 + (n) * 0xbb67ae85u)
	ROUND(0u); ROUND(1u); ROUND(2u); ROUND(3u); ROUND(4u);
	ROUND(5u); ROUND(6u); ROUND(7u); ROUND(8u); ROUND(9u);
#undef ROUND
}

/* --- normal numbers --------------------------------------------------------------------------- */

DTN_INLINE float normal_float(uint32_t u)
{
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

DTN_INLINE uint32_t normal_word(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

/* log x for x > 0: x = 2^e (1+f) with 1+f in [sqrt(1/2), sqrt 2), log(1+f) = f + f^2 P(f).  P
 * is the minimax polynomial of the relative error of log(1+f), which is 8e-9 with these
 * coefficients. */
DTN_INLINE float natural_log(float x)
{
	uint32_t u = normal_word(x) + (0x3f800000u - 0x3f3504f3u);
	float e = (float)((int32_t)(u >> 23) - 127);
	float f = normal_float((u & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
	float p = -0x1.412be4p-4f;

	p = fmaf(p, f, 0x1.0a062cp-3f);
	p = fmaf(p, f, -0x1.0e330cp-3f);
	p = fmaf(p, f, 0x1.221bc2p-3f);
	p = fmaf(p, f, -0x1.543e88p-3f);
	p = fmaf(p, f, 0x1.99a910p-3f);
	p = fmaf(p, f, -0x1.0003aep-2f);
	p = fmaf(p, f, 0x1.555544p-2f);
	p = fmaf(p, f, -0x1.fffffap-2f);
	p = fmaf(f * f, p, f);
	return fmaf(e, 0x1.62e430p-1f, fmaf(e, -0x1.05c610p-29f, p));   /* log 2 in two parts */
}

/* sin and cos of y pi/4 for y in [-1,1]; relative errors 4e-8 and 2e-8. */
DTN_INLINE void sine_cosine(float *sine, float *cosine, float y)
{
	float u = y * y, s = -0x1.2d9302p-15f, c = 0x1.d9e1eap-19f;

	s = fmaf(s, u, 0x1.465e92p-9f);
	s = fmaf(s, u, -0x1.4abbbap-4f);
	s = fmaf(s, u, 0x1.921fb6p-1f);
	*sine = s * y;
	c = fmaf(c, u, -0x1.55c614p-12f);
	c = fmaf(c, u, 0x1.03c1dep-6f);
	c = fmaf(c, u, -0x1.3bd3ccp-2f);
	*cosine = fmaf(c, u, 1.0f);
}

/* Two words make two numbers: radius sqrt(-2 log u) with u in (0,1] from the first; the angle
 * from the second, whose two highest bits are the quadrant and whose others the place in it,
 * half a turn of the quadrant either way. */
DTN_INLINE void box_muller(float *z0, float *z1, uint32_t a, uint32_t b)
{
	float radius = sqrtf(-2.0f * natural_log((float)(int32_t)(a >> 1 | 1) * 0x1p-31f));
	uint32_t quadrant = b >> 30, odd = 0u - (quadrant & 1);
	float s, c;
	uint32_t is, ic, x, y;

	sine_cosine(&s, &c, (float)(int32_t)(b << 2 | 2) * 0x1p-31f);
	is = normal_word(s);
	ic = normal_word(c);
	x = (ic & ~odd) | (is & odd);
	y = (is & ~odd) | (ic & odd);
	x ^= ((quadrant + 1) & 2) << 30;        /* cos: minus in quadrants 1 and 2 */
	y ^= (quadrant & 2) << 30;              /* sin: minus in 2 and 3 */
	*z0 = radius * normal_float(x);
	*z1 = radius * normal_float(y);
}

#endif
