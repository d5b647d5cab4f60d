/* device.h -- what tests of a device's memory need: a verdict, numbers, arrays there and back. */
#ifndef DTN_TESTS_DEVICE_H
#define DTN_TESTS_DEVICE_H

#include "tests/op/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct dtn_backend *device;
static int failed;

static inline void judge(const char *name, const char *wrong)
{
	printf("%s queue %s, cuda%s%s\n", wrong ? "not ok" : "ok", name, wrong ? ": " : "",
	       wrong ? wrong : "");
	failed |= wrong != NULL;
}

static inline uint32_t bits(void)
{
	static uint64_t state = 5;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33);
}

static inline float number(void)
{
	return (float)(int32_t)bits() * 0x1p-30f - 1;
}

static inline void *sent(const void *host, size_t bytes)
{
	void *p = device->alloc(bytes);

	device->put(p, host, bytes);
	return p;
}

/* To the host, and the device's memory given back. */
static inline void receive(void *host, void *p, size_t bytes)
{
	device->get(host, p, bytes);
	device->free(p);
}

static inline void *garbage(size_t bytes)
{
	void *host = memset(malloc(bytes), 0xff, bytes), *p = sent(host, bytes);

	free(host);
	return p;
}

#endif
