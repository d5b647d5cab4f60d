/* vec.h -- arithmetic that the compiler turns into vector code: bf16, exp, sigmoid.
 *
 * Plain C over single numbers; a loop over them becomes vectors of the instruction set the file is
 * compiled for.  Kernels are written once for both element types: `static INLINE void f(..., const
 * int type)` is called with a constant type, and each call becomes its own loop. */
#ifndef DTN_VEC_H
#define DTN_VEC_H

#include "lib/base.h"

#define INLINE inline __attribute__((always_inline))

/* f(..., type) with the type as a constant. */
#define BY_TYPE(type, f, ...) \
	((type) == DTN_F32 ? f(__VA_ARGS__, DTN_F32) : f(__VA_ARGS__, DTN_BF16))

union vec_bits { uint32_t u; float f; };

static INLINE float vec_float(uint32_t u)
{
	return (union vec_bits){ .u = u }.f;
}

static INLINE uint32_t vec_word(float f)
{
	return (union vec_bits){ .f = f }.u;
}

static INLINE float bf16_to_f32(uint16_t h)
{
	return vec_float((uint32_t)h << 16);
}

/* The upper half, rounded to nearest, ties to even; a quiet NaN stays one. */
static INLINE uint16_t f32_to_bf16(float f)
{
	uint32_t u = vec_word(f);

	return (uint16_t)((u + (f == f ? 0x7fff + (u >> 16 & 1) : 0)) >> 16);
}

static INLINE float get(const void *p, size_t i, const int type)
{
	return type == DTN_F32 ? ((const float *)p)[i] : bf16_to_f32(((const uint16_t *)p)[i]);
}

static INLINE void put(void *p, size_t i, float value, const int type)
{
	if (type == DTN_F32)
		((float *)p)[i] = value;
	else
		((uint16_t *)p)[i] = f32_to_bf16(value);
}

/* Element i of an array of this type. */
static INLINE const void *at(const void *p, size_t i, const int type)
{
	return (const char *)p + i * (type == DTN_F32 ? 4 : 2);
}

static INLINE void *at_out(void *p, size_t i, const int type)
{
	return (char *)p + i * (type == DTN_F32 ? 4 : 2);
}

/* to = from, or to += from, n elements of either type. */
static INLINE void vec_copy_(void *restrict to, const void *restrict from, size_t n, const bool add,
			     const int to_type, const int from_type)
{
	for (size_t i = 0; i < n; i++) {
		float v = get(from, i, from_type);
		put(to, i, add ? v + get(to, i, to_type) : v, to_type);
	}
}

static INLINE void vec_copy(void *restrict to, const void *restrict from, size_t n, bool add,
			    const int to_type, const int from_type)
{
	if (add)
		vec_copy_(to, from, n, true, to_type, from_type);
	else
		vec_copy_(to, from, n, false, to_type, from_type);
}

/* a*b + c, in one rounding where the processor does that in one instruction. */
static INLINE float mad(float a, float b, float c)
{
#ifdef __FMA__
	return __builtin_fmaf(a, b, c);
#else
	return a * b + c;
#endif
}

/* `x` held to -limit .. limit.  As words, because numbers compared as numbers become blends; NaN
 * becomes limit or -limit. */
static INLINE float vec_hold(float x, float limit)
{
	uint32_t sign = vec_word(x) & 0x80000000, size = vec_word(x) ^ sign, most = vec_word(limit);

	return vec_float((size < most ? size : most) | sign);
}

/* exp(x) with a relative error of 3e-7, for x in -87 .. 87.  2^n p(r) with r in +-ln(2)/2 and a
 * polynomial that fits there; adding 1.5 * 2^23 rounds to an integer, which is then found in the
 * lowest bits. */
static INLINE float vec_exp_held(float x)
{
	const float magic = 12582912.0f;
	float shifted = mad(x, 1.44269504f, magic), n = shifted - magic;
	float r = mad(n, 2.12194440e-4f, mad(n, -0.693359375f, x));
	float p = mad(0.00836317308f, r, 0.0418756445f);

	p = mad(p, r, 0.16666577f);
	p = mad(p, r, 0.499993721f);
	p = mad(p, r, 1.0f);
	p = mad(p, r, 1.0f);
	return vec_float(vec_word(p) + (vec_word(shifted) << 23));
}

/* exp(x); where x is outside, that of the nearer end, and of either where x is NaN. */
static INLINE float vec_exp(float x)
{
	return vec_exp_held(vec_hold(x, 87.0f));
}

static INLINE float vec_sigmoid(float x)
{
	return 1 / (1 + vec_exp_held(-vec_hold(x, 87.0f)));
}

/* --- sums over a vector ----------------------------------------------------------------------- */

/* In lanes, since the compiler may not reorder additions by itself.  The loops over lanes must not
 * be unrolled before they become vectors: the compiler then vectorises over i instead, with
 * shuffles. */
enum { VEC_LANES = 32 };
#define VEC_EACH_LANE _Pragma("GCC unroll 1") for (int j = 0; j < VEC_LANES; j++)

/* The sum of all lanes, halving them; in lane[0]. */
static INLINE float vec_fold(float *lane)
{
	for (int half = VEC_LANES / 2; half > 0; half /= 2)
		for (int j = 0; j < half; j++)
			lane[j] += lane[j + half];
	return lane[0];
}

static inline float vec_sum(const float *x, size_t n)
{
	float lane[VEC_LANES] = { 0 }, rest = 0;
	size_t i = 0;

	for (; i + VEC_LANES <= n; i += VEC_LANES)
		VEC_EACH_LANE
			lane[j] += x[i + (size_t)j];
	for (; i < n; i++)
		rest += x[i];
	return vec_fold(lane) + rest;
}

static inline float vec_dot(const float *x, const float *y, size_t n)
{
	float lane[VEC_LANES] = { 0 }, rest = 0;
	size_t i = 0;

	for (; i + VEC_LANES <= n; i += VEC_LANES)
		VEC_EACH_LANE
			lane[j] = mad(x[i + (size_t)j], y[i + (size_t)j], lane[j]);
	for (; i < n; i++)
		rest = mad(x[i], y[i], rest);
	return vec_fold(lane) + rest;
}

/* n at least 1.  NaN may be passed over. */
static inline float vec_max(const float *x, size_t n)
{
	float lane[VEC_LANES], most = x[0];
	size_t i = 0;

	for (int j = 0; j < VEC_LANES; j++)
		lane[j] = most;
	for (; i + VEC_LANES <= n; i += VEC_LANES)
		VEC_EACH_LANE
			lane[j] = x[i + (size_t)j] > lane[j] ? x[i + (size_t)j] : lane[j];
	for (; i < n; i++)
		most = x[i] > most ? x[i] : most;
	for (int half = VEC_LANES / 2; half > 0; half /= 2)
		for (int j = 0; j < half; j++)
			lane[j] = lane[j + half] > lane[j] ? lane[j + half] : lane[j];
	return lane[0] > most ? lane[0] : most;
}

#endif
