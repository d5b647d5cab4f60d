/* tests/rng.c -- is the generator Philox, are its normal numbers normal, and the same
 * everywhere? */
#include "lib/rng.h"
#include "tests/check.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t fnv(const void *data, size_t bytes)
{
	const unsigned char *p = data;
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < bytes; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

/* The published vectors of Random123. */
static void test_vectors(void)
{
	static const struct { uint32_t counter[4], key[2], out[4]; } known[] = {
		{ { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
		{ { ~0u, ~0u, ~0u, ~0u },
		  { ~0u, ~0u },
		  { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
		{ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
		  { 0xa4093822, 0x299f31d0 },
		  { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } }
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct dtn_rng r;
		uint32_t out[4], again[4];
		dtn_philox(out, known[i].counter, known[i].key);
		memcpy(r.counter, known[i].counter, sizeof(r.counter));
		memcpy(r.key, known[i].key, sizeof(r.key));
		dtn_rng_bits(r, again, 4);
		good = good && memcmp(out, known[i].out, sizeof(out)) == 0;
		good = good && memcmp(again, known[i].out, sizeof(out)) == 0;
	}
	check(good, "philox vectors", "differs from Random123");
}

/* Seed, purpose, index and step stand where rng.h says. */
static void test_layout(void)
{
	const uint32_t key[2] = { 0x89abcdef, 0x01234567 };
	const uint32_t counter[4] = { 5, 0x33333333, 0x22222222, DTN_RNG_STEP << 24 | 0xabcdef };
	uint32_t out[4], all[24];

	dtn_philox(out, counter, key);
	dtn_rng_bits(dtn_rng(0x0123456789abcdef, DTN_RNG_STEP, 0x2222222233333333, 0xabcdef), all,
		     24);
	check(memcmp(out, all + 20, sizeof(out)) == 0, "counter and key", "wrong layout");
}

/* However many numbers are asked for, number i is the same, and nothing is written behind the
 * last. */
static void test_prefix(void)
{
	enum { most = 1100 };
	struct dtn_rng r = dtn_rng(1, DTN_RNG_NOISE, 2, 3);
	uint32_t bits[most], b[most + 1];
	float normal[most], uniform[most], f[most + 1];
	bool good = true;

	dtn_rng_bits(r, bits, most);
	dtn_rng_normal(r, normal, most);
	dtn_rng_uniform(r, uniform, most);
	for (size_t n = 0; n < most; n++) {
		b[n] = 77;
		f[n] = 77;
		dtn_rng_bits(r, b, n);
		good = good && b[n] == 77 && memcmp(b, bits, n * sizeof(*b)) == 0;
		dtn_rng_normal(r, f, n);
		good = good && f[n] == 77 && memcmp(f, normal, n * sizeof(*f)) == 0;
		dtn_rng_uniform(r, f, n);
		good = good && f[n] == 77 && memcmp(f, uniform, n * sizeof(*f)) == 0;
	}
	check(good, "any length", "a prefix differs");

	r.counter[0] += 70;
	dtn_rng_normal(r, f, 500);
	check(memcmp(f, normal + 280, 500 * sizeof(*f)) == 0, "any start", "the middle differs");
}

/* A normal number is what double precision makes of the same words, within the stated error. */
static void test_accuracy(void)
{
	enum { n = 1 << 16, rounds = 64 };
	static uint32_t bits[n];
	static float z[n];
	double worst = 0, wild = 0;

	for (int k = 0; k < rounds; k++) {
		struct dtn_rng r = dtn_rng(7, DTN_RNG_START, (uint64_t)k, 0);
		dtn_rng_bits(r, bits, n);
		dtn_rng_normal(r, z, n);
		for (int i = 0; i < n; i += 2) {
			double u = (float)(bits[i] >> 1 | 1) * 0x1p-31;
			double place = (int32_t)(bits[i + 1] << 2 | 2) * 0x1p-31;
			double angle = M_PI / 4 * (place + 2 * (bits[i + 1] >> 30));
			double radius = sqrt(-2 * log(u)), c = radius * cos(angle),
			       s = radius * sin(angle);
			worst = fmax(worst, fabs(z[i] - c) / fmax(1, fabs(c)));
			worst = fmax(worst, fabs(z[i + 1] - s) / fmax(1, fabs(s)));
			wild = fmax(wild,
				    fabs(hypot(z[i], z[i + 1]) - radius) / fmax(radius, 1e-30));
		}
	}
	printf("# error against double precision: %.3g, of the radius %.3g\n", worst, wild);
	check(worst < 3e-7, "accuracy", "far from double precision");
	check(wild < 3e-7, "radius", "far from double precision");
}

/* Moments and tails of 2^24 numbers, within five standard deviations of what chance allows. */
static void test_normal(void)
{
	enum { size = 1 << 14, rounds = 1 << 10 };
	static float z[size];
	const double n = (double)size * rounds;
	double m1 = 0, m2 = 0, m3 = 0, m4 = 0, neighbours = 0, tail[6] = { 0 };
	bool good = true;

	for (int k = 0; k < rounds; k++) {
		dtn_rng_normal(dtn_rng(11, DTN_RNG_NOISE, (uint64_t)k, 0), z, size);
		for (int i = 0; i < size; i++) {
			double x = z[i];
			m1 += x;
			m2 += x * x;
			m3 += x * x * x;
			m4 += x * x * x * x;
			neighbours += x * z[(i + 1) % size];
			for (int t = 1; t < 6; t++)
				tail[t] += fabs(x) > t;
		}
	}
	printf("# mean %.2g, variance %.6f, skewness %.2g, kurtosis %.5f, neighbours %.2g\n",
	       m1 / n, m2 / n, m3 / n, m4 / n, neighbours / n);
	check(fabs(m1 / n) < 5 / sqrt(n), "mean", "not 0");
	check(fabs(m2 / n - 1) < 5 * sqrt(2 / n), "variance", "not 1");
	check(fabs(m3 / n) < 5 * sqrt(15 / n), "third moment", "not 0");
	check(fabs(m4 / n - 3) < 5 * sqrt(96 / n), "fourth moment", "not 3");
	check(fabs(neighbours / n) < 5 / sqrt(n), "neighbours", "correlated");
	for (int t = 1; t < 6; t++) {
		double p = erfc(t / sqrt(2));
		good = good && fabs(tail[t] - n * p) < 5 * sqrt(n * p * (1 - p));
	}
	check(good, "tails", "too light or too heavy");
}

/* The bits are part of what a seed promises: these were computed once and must stay. */
static void test_golden(void)
{
	enum { n = 1 << 20 };
	static const char *const isa[] = { "v2", "v3", "v4" };
	float *z = malloc(n * sizeof(*z));
	bool good = true;

	for (int i = 0; i < 3; i++) {
		dtn_rng_isa = isa[i];
		memset(z, 0, n * sizeof(*z));
		dtn_rng_normal(dtn_rng(0, DTN_RNG_START, 0, 0), z, n);
		printf("# up to %s: %a %a %a %a, hash %016llx\n", isa[i], z[0], z[1], z[2], z[3],
		       (unsigned long long)fnv(z, n * sizeof(*z)));
		good = good && fnv(z, n * sizeof(*z)) == 0x20fe8a558744991a;
	}
	dtn_rng_isa = NULL;
	free(z);
	check(good, "same bits on every processor", "other bits than ever before");
}

static void test_uniform(void)
{
	enum { n = 1 << 20 };
	float *u = malloc(n * sizeof(*u));
	double sum = 0, bin[16] = { 0 }, chi = 0;
	float least = 2, most = 0;

	dtn_rng_uniform(dtn_rng(3, DTN_RNG_INIT, 0, 0), u, n);
	for (int i = 0; i < n; i++) {
		sum += u[i];
		least = fminf(least, u[i]);
		most = fmaxf(most, u[i]);
		bin[(int)(u[i] * 15.99999f)]++;
	}
	free(u);
	for (int i = 0; i < 16; i++)
		chi += (bin[i] - n / 16.0) * (bin[i] - n / 16.0) / (n / 16.0);
	check(least > 0 && most <= 1, "uniform range", "outside (0,1]");
	check(fabs(sum / n - 0.5) < 5 * sqrt(1.0 / 12 / n) && chi < 50, "uniform", "not uniform");
}

/* Chi-squared with 6 degrees of freedom; and every permutation of 4 about equally often. */
static void test_below(void)
{
	const struct dtn_rng r = dtn_rng(5, DTN_RNG_TIME, 9, 0);
	double count[7] = { 0 }, chi = 0, seen[256] = { 0 };
	bool in_range = true, whole = true;
	static uint32_t order[1000];
	static bool used[1000];

	for (size_t i = 0; i < 70000; i++) {
		uint32_t k = dtn_rng_below(r, i, 7);
		in_range = in_range && k < 7 && dtn_rng_below(r, i, 1) == 0 &&
			dtn_rng_below(r, i, 0x7fffffff) < 0x7fffffff;
		count[k % 7]++;
	}
	for (int i = 0; i < 7; i++)
		chi += (count[i] - 10000) * (count[i] - 10000) / 10000;
	check(in_range, "integers in range", "outside");
	check(chi < 30, "integers", "not uniform");

	dtn_rng_order(dtn_rng(5, DTN_RNG_ORDER, 1, 0), order, 1000);
	for (int i = 0; i < 1000; i++) {
		whole = whole && order[i] < 1000 && !used[order[i]];
		used[order[i] % 1000] = true;
	}
	check(whole, "permutation", "not one");
	chi = 0;
	for (uint64_t i = 0; i < 24000; i++) {
		dtn_rng_order(dtn_rng(5, DTN_RNG_ORDER, i, 0), order, 4);
		seen[order[0] | order[1] << 2 | order[2] << 4 | order[3] << 6]++;
	}
	for (int i = 0; i < 256; i++)
		chi += seen[i] > 0 ? (seen[i] - 1000) * (seen[i] - 1000) / 1000 : 0;
	check(chi < 65, "permutations", "not equally likely");
}

int main(void)
{
	test_vectors();
	test_layout();
	test_prefix();
	test_accuracy();
	test_normal();
	test_golden();
	test_uniform();
	test_below();
	return failures != 0;
}
