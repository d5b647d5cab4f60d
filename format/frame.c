/* frame.c -- integers, checksums and the envelope of a frame. */
#include "format/frame.h"

#include <stdio.h>
#include <zlib.h>

void dtn_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

void dtn_put32(uint8_t *p, uint32_t v)
{
	dtn_put16(p, v);
	dtn_put16(p + 2, v >> 16);
}

void dtn_put64(uint8_t *p, uint64_t v)
{
	dtn_put32(p, (uint32_t)v);
	dtn_put32(p + 4, (uint32_t)(v >> 32));
}

const char *dtn_bytes_text(uint64_t n)
{
	static const char *const unit[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	static char text[32];
	int k = 0;

	for (; k < 4 && n > 0 && n % 1024 == 0; k++)
		n /= 1024;
	snprintf(text, sizeof(text), "%llu %s", (unsigned long long)n, unit[k]);
	return text;
}

uint32_t dtn_crc(uint32_t crc, const void *data, size_t n)
{
	return (uint32_t)crc32_z(crc, data, n);
}

size_t dtn_frame_close(uint8_t *frame, uint32_t tag, uint32_t flags, size_t n)
{
	dtn_put32(frame, DTN_MAGIC);
	dtn_put32(frame + 4, (uint32_t)n + 12);
	dtn_put32(frame + 8, tag);
	dtn_put32(frame + 12, flags);
	dtn_put32(frame + 16 + n, dtn_crc(0, frame, 16 + n));
	return n + DTN_FRAME_EXTRA;
}
