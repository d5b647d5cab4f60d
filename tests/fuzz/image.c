/* image.c -- fuzz target: a PNG or JPEG, decoded and brought to another size. */
#include "tests/fuzz/harness.h"

#include "lib/image/image.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PIXELS = 1 << 16 };

static struct dtn_decoder *decoder;
static uint8_t *pixels;

/* What is wanted depends on the length alone, so that an input says all. */
void target_read(const uint8_t *data, size_t n)
{
	const struct dtn_wanted wanted = { (int)(1 + n % 37), (int)(1 + n % 23), n % 2 ? 1 : 3,
					   (enum dtn_fit)(n % 3) };
	struct dtn_fault fault;
	struct dtn_seen seen, again;

	(void)data;
	decoder = dtn_decoder_open(MOST_PIXELS);
	pixels = dtn_alloc((size_t)(wanted.width * wanted.height), (size_t)wanted.channels);
	if (!dtn_decode_header(decoder, 0, &seen, &fault))
		fuzz_must(fault.status == DTN_INPUT && *fault.text, fault.text);
	else
		fuzz_must((uint64_t)seen.width * (uint64_t)seen.height <= MOST_PIXELS &&
			  dtn_decode_header(decoder, 0, &again, &fault) &&
			  memcmp(&seen, &again, sizeof(seen)) == 0, "too large, or not as before");
	if (!dtn_decode(decoder, 0, &wanted, pixels, &fault))
		fuzz_must(fault.status == DTN_INPUT && *fault.text, fault.text);
}

void target_clean(void)
{
	dtn_decoder_close(decoder);
	free(pixels);
}
