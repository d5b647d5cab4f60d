/* packed.c -- fuzz target: many images in one file, IDX (compressed or not) and CIFAR-10. */
#include "tests/fuzz/harness.h"

#include "lib/image/packed.h"

#include <stdlib.h>
#include <unistd.h>

enum { BLOCK = 64, MOST_PIXELS = 1 << 12 };

static struct dtn_packed *packed;
static uint8_t *pixels;

static void read_images(void)
{
	struct dtn_seen seen = dtn_packed_seen(packed);
	uint32_t count = dtn_packed_count(packed), n = BLOCK, label[BLOCK];
	struct dtn_fault fault;

	fuzz_must(seen.width * seen.height <= MOST_PIXELS, "too large");
	pixels = dtn_alloc(BLOCK, (size_t)(seen.width * seen.height * seen.channels));
	for (uint32_t at = 0; at < count; at += n) {
		n = count - at < BLOCK ? count - at : BLOCK;
		if (dtn_packed_read(packed, at, n, pixels, (int *)label, &fault) < n)
			return fuzz_must(fault.status == DTN_INPUT, fault.text);
	}
}

void target_read(const uint8_t *data, size_t n)
{
	const struct dtn_packed_ask ask = { true, n % 2, MOST_PIXELS };
	struct dtn_fault fault;
	int fd = dup(0);

	(void)data;
	packed = dtn_packed_open(NULL, fd, &ask, &fault);
	if (packed)
		read_images();
	else
		close(fd);
}

void target_clean(void)
{
	if (packed)
		dtn_packed_close(packed);
	packed = NULL;
	free(pixels);
	pixels = NULL;
}
