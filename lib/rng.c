/* rng.c -- Philox 4x32-10 [Salmon et al. 2011] and normal numbers from it [Box & Muller 1958].
 *
 * The arithmetic is in lib/normal.h, for GPUs too.  Here every block of numbers is computed in
 * plain loops over `Lanes`, which the compiler turns into vector code, three times over: for any
 * x86-64, for AVX2 and for AVX-512. Where there is no fma instruction the C library computes it
 * exactly, slowly.
 *
 * A normal number z differs from double precision by at most 3e-7 max(1, |z|), as tests/rng.c
 * measures; the largest magnitude that can occur is 6.56.
 */
#include "lib/rng.h"

#include "lib/normal.h"

#include <string.h>

enum { Lanes = 64, Block = 4 * Lanes };         /* counters, numbers */

/* --- bits ------------------------------------------------------------------------------------- */

void dtn_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
	uint32_t a = counter[0], b = counter[1], c = counter[2], d = counter[3];

	philox(&a, &b, &c, &d, key[0], key[1]);
	out[0] = a;
	out[1] = b;
	out[2] = c;
	out[3] = d;
}

struct dtn_rng dtn_rng(uint64_t seed, enum dtn_purpose purpose, uint64_t index, uint32_t step)
{
	struct dtn_rng r = {
		{ (uint32_t)seed, (uint32_t)(seed >> 32) },
		{ 0, (uint32_t)index, (uint32_t)(index >> 32),
		  (uint32_t)purpose << 24 | (step & 0xffffff) }
	};
	return r;
}

/* Word w of counter i is number 4*i + w. */
static inline __attribute__((always_inline))
void block_bits(uint32_t word[4][Lanes], const struct dtn_rng *r, uint32_t first)
{
	const uint32_t k0 = r->key[0], k1 = r->key[1];
	const uint32_t c0 = r->counter[0] + first, c1 = r->counter[1], c2 = r->counter[2],
		       c3 = r->counter[3];

	for (uint32_t i = 0; i < Lanes; i++) {
		uint32_t a = c0 + i, b = c1, c = c2, d = c3;
		philox(&a, &b, &c, &d, k0, k1);
		word[0][i] = a;
		word[1][i] = b;
		word[2][i] = c;
		word[3][i] = d;
	}
}

/* --- normal numbers --------------------------------------------------------------------------- */

static inline __attribute__((always_inline))
void block_normal(float number[Block], const struct dtn_rng *r, uint32_t first)
{
	uint32_t word[4][Lanes];
	float z[4][Lanes];

	block_bits(word, r, first);
	for (int i = 0; i < Lanes; i++)
		box_muller(&z[0][i], &z[1][i], word[0][i], word[1][i]);
	for (int i = 0; i < Lanes; i++)
		box_muller(&z[2][i], &z[3][i], word[2][i], word[3][i]);
	for (int i = 0; i < Lanes; i++)
		for (int w = 0; w < 4; w++)
			number[4 * i + w] = z[w][i];
}

static inline __attribute__((always_inline))
void block_words(uint32_t number[Block], const struct dtn_rng *r, uint32_t first)
{
	uint32_t word[4][Lanes];

	block_bits(word, r, first);
	for (int i = 0; i < Lanes; i++)
		for (int w = 0; w < 4; w++)
			number[4 * i + w] = word[w][i];
}

/* --- the same for three kinds of processor ---------------------------------------------------- */

struct maker {
	/* number [Block], of the counters from `first` on */
	void (*words)(uint32_t *number, const struct dtn_rng *, uint32_t first);
	void (*normal)(float *number, const struct dtn_rng *, uint32_t first);
};

#define MAKER(name, attribute) \
attribute static void words_##name(uint32_t *number, const struct dtn_rng *r, uint32_t first) \
{ \
	block_words(number, r, first); \
} \
attribute static void normal_##name(float *number, const struct dtn_rng *r, uint32_t first) \
{ \
	block_normal(number, r, first); \
} \
static const struct maker maker_##name = { words_##name, normal_##name };

MAKER(any, )
#ifdef __x86_64__
MAKER(v3, __attribute__((target("arch=x86-64-v3"))))
MAKER(v4, __attribute__((target("arch=x86-64-v4"))))
#endif

const char *dtn_rng_isa;

static const struct maker *choose(void)
{
#ifdef __x86_64__
	char most = dtn_rng_isa ? dtn_rng_isa[1] : '4';

	if (most >= '4' && __builtin_cpu_supports("avx512f") &&
	    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
	    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("fma"))
		return &maker_v4;
	if (most >= '3' && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
	    __builtin_cpu_supports("bmi2"))
		return &maker_v3;
#endif
	return &maker_any;
}

/* --- what the header promises ----------------------------------------------------------------- */

void dtn_rng_bits(struct dtn_rng r, uint32_t *out, size_t n)
{
	const struct maker *make = choose();
	uint32_t rest[Block], first = 0;

	for (; n >= Block; n -= Block, out += Block, first += Lanes)
		make->words(out, &r, first);
	if (n > 0) {
		make->words(rest, &r, first);
		memcpy(out, rest, n * sizeof(*out));
	}
}

void dtn_rng_normal(struct dtn_rng r, float *out, size_t n)
{
	const struct maker *make = choose();
	float rest[Block];
	uint32_t first = 0;

	for (; n >= Block; n -= Block, out += Block, first += Lanes)
		make->normal(out, &r, first);
	if (n > 0) {
		make->normal(rest, &r, first);
		memcpy(out, rest, n * sizeof(*out));
	}
}

void dtn_rng_uniform(struct dtn_rng r, float *out, size_t n)
{
	uint32_t word[Block];

	while (n > 0) {
		size_t now = n < Block ? n : Block;
		dtn_rng_bits(r, word, now);
		for (size_t i = 0; i < now; i++)
			out[i] = (float)(int32_t)((word[i] >> 8) + 1) * 0x1p-24f;
		r.counter[0] += Lanes;
		out += now;
		n -= now;
	}
}

/* 64 bits as a fraction, times n: no integer is likelier than another by more than n in 2^64. */
uint32_t dtn_rng_below(struct dtn_rng r, size_t at, uint32_t n)
{
	uint32_t word[4];
	uint64_t low, high;

	r.counter[0] += (uint32_t)(at / 2);
	dtn_philox(word, r.counter, r.key);
	low = word[at % 2 * 2];
	high = word[at % 2 * 2 + 1];
	return (uint32_t)((high * n + (low * n >> 32)) >> 32);
}

void dtn_rng_order(struct dtn_rng r, uint32_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t j = dtn_rng_below(r, i, i), swap = order[i - 1];
		order[i - 1] = order[j];
		order[j] = swap;
	}
}
