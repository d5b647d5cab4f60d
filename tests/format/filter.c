/* filter.c -- the filters against their definitions in dtn(5), there and back. */
#include "format/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4 * 1024 + 64 };

/* Byte k of element i goes to place k * elements + i. */
static void shuffle(uint8_t *to, const uint8_t *from, size_t n, size_t size)
{
	for (size_t j = 0; j < n; j++)
		to[j % size * (n / size) + j / size] = from[j];
}

static void delta(uint8_t *to, const uint8_t *from, size_t n, size_t d)
{
	for (size_t j = 0; j < n; j++)
		to[j] = (uint8_t)(j < d ? from[j] : from[j] - from[j - d]);
}

static void define(uint8_t *to, const uint8_t *from, size_t n, int filter, size_t size, size_t d)
{
	uint8_t between[MOST];

	memcpy(to, from, n);
	if (filter == DTN_SHUFFLE || filter == DTN_SHUFFLE_DELTA)
		shuffle(to, from, n, size);
	memcpy(between, to, n);
	if (filter == DTN_DELTA)
		delta(to, between, n, d);
	if (filter == DTN_SHUFFLE_DELTA)
		delta(to, between, n, 1);
}

static int check(int filter, size_t size, size_t d)
{
	static const size_t counts[] = {
		0, 1, 2, 3, 5, 15, 16, 17, 31, 32, 33, 255, 256, 257, 511
	};
	uint8_t from[MOST], want[MOST], got[MOST + 1], back[MOST + 1];

	for (size_t k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		size_t n = counts[k] * size;
		for (size_t i = 0; i < n; i++)
			from[i] = (uint8_t)(rand() >> 7);
		define(want, from, n, filter, size, d);
		got[n] = back[n] = 0x5a;
		if (filter != DTN_SHUFFLE_DELTA) {      /* which nothing writes */
			dtn_filter(got, from, n, filter, size, d);
			if (memcmp(got, want, n) != 0 || got[n] != 0x5a)
				return (int)n + 1;
		}
		dtn_unfilter(back, want, n, filter, size, d);
		if (memcmp(back, from, n) != 0 || back[n] != 0x5a)
			return (int)n + 1;
	}
	return 0;
}

static int distance(void)
{
	static const struct { int rank, type; uint64_t dim[2]; size_t want; } cases[] = {
		{ 0, DTN_U8, { 0 }, 1 },
		{ 1, DTN_U8, { 3 }, 3 },
		{ 2, DTN_U8, { 9, 1 }, 1 },
		{ 2, DTN_U8, { 9, 16 }, 16 },
		{ 2, DTN_U8, { 9, 17 }, 1 },
		{ 2, DTN_F32, { 9, 3 }, 12 },
		{ 2, DTN_F32, { 9, 4 }, 16 },
		{ 2, DTN_F32, { 9, 5 }, 1 },
		{ 2, DTN_F64, { 9, 2 }, 16 },
		{ 2, DTN_U8, { 9, 0 }, 1 },
		{ 2, DTN_F64, { 9, (uint64_t)1 << 40 }, 1 },
	};
	int wrong = 0;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dtn_tensor t = { .rank = cases[i].rank, .type = cases[i].type };
		memcpy(t.dim, cases[i].dim, sizeof(cases[i].dim));
		wrong += dtn_filter_distance(&t) != cases[i].want;
	}
	return wrong;
}

static int failed;

static void report(const char *name, int at)
{
	if (at)
		printf("not ok filter %s: wrong for %d bytes\n", name, at - 1);
	else
		printf("ok filter %s\n", name);
	failed |= at != 0;
}

int main(void)
{
	char name[64];

	for (int filter = DTN_PLAIN; filter <= DTN_SHUFFLE_DELTA; filter++)
		for (size_t size = 1; size <= 8; size *= 2) {
			snprintf(name, sizeof(name), "%d of %zu bytes", filter, size);
			report(name, check(filter, size, 1));
		}
	for (size_t d = 2; d <= 16; d++) {
		snprintf(name, sizeof(name), "delta at %zu", d);
		report(name, check(DTN_DELTA, 1, d));
	}
	report("distance", distance());
	return failed;
}
