/* stored.c -- frames that store are what zstd itself would check: lengths, blocks and checksum.
 *
 * Every length up to a few turns of the checksum's loop, lengths around a block's, and others.
 */
#include "format/encode.h"
#include "tests/check.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static struct dtn_encoder *encoder;
static uint8_t *frame, *back;

/* The frame of these n bytes, in one piece. */
static size_t stored(const uint8_t *data, uint32_t n)
{
	struct dtn_chunk c = { .data = data, .raw = n };
	const struct dtn_coded *k = dtn_encode_stored(encoder, &c);
	size_t size = 0;

	for (int i = 0; i < k->pieces; i++) {
		memcpy(frame + size, k->piece[i].iov_base, k->piece[i].iov_len);
		size += k->piece[i].iov_len;
	}
	return k->chunk.stored == size ? size : 0;
}

/* zstd reads it, and would have noticed another checksum. */
static bool is_right(const uint8_t *data, uint32_t n)
{
	size_t size = stored(data, n);

	if (ZSTD_decompress(back, n, frame, size) != n || memcmp(back, data, n) != 0)
		return false;
	frame[size - 1] ^= 1;
	return ZSTD_isError(ZSTD_decompress(back, n, frame, size));
}

int main(void)
{
	const uint32_t around[] = { DTN_BLOCK, 2 * DTN_BLOCK, 1 << 20, DTN_CHUNK_MOST };
	uint8_t *data = malloc(DTN_CHUNK_MOST + 8);
	bool small = true, large = true;

	encoder = dtn_encoder_open(0);
	frame = malloc(DTN_CHUNK_MOST + 4096);
	back = malloc(DTN_CHUNK_MOST);
	srand(1);
	for (size_t i = 0; i < DTN_CHUNK_MOST + 8; i++)
		data[i] = (uint8_t)(rand() >> 8);
	for (uint32_t n = 1; n <= 300; n++)
		for (int askew = 0; askew < 8; askew++)
			small = small && is_right(data + askew, n);
	check(small, "frames of 1 to 300 bytes", "zstd reads another");
	for (size_t i = 0; i < sizeof(around) / sizeof(around[0]); i++)
		for (uint32_t less = 0; less < 3; less++)
			large = large && is_right(data + less, around[i] - less);
	for (int i = 0; i < 20; i++)
		large = large && is_right(data + i % 8, 1 + (uint32_t)rand() % (4 << 20));
	check(large, "frames of several blocks", "zstd reads another");
	dtn_encoder_close(encoder);
	free(data);
	free(frame);
	free(back);
	return failures > 0;
}
