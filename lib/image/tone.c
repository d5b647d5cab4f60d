/* tone.c -- from [-1,1] to 0 .. 255. */
#include "lib/image/tone.h"

size_t dtn_tone_to_u8(uint8_t *to, const float *from, size_t n)
{
	size_t strange = 0;

	for (size_t i = 0; i < n; i++) {
		float x = (from[i] + 1) * 127.5f + 0.5f;
		strange += x != x;
		to[i] = x >= 255 ? 255 : x >= 0 ? (uint8_t)x : 0;       /* not a number: 0 */
	}
	return strange;
}
