/* tone.h -- images as networks have them, [-1,1], as files have them, 0 to 255. */
#ifndef DTN_TONE_H
#define DTN_TONE_H

#include "lib/base.h"

/* 0 becomes -1, 255 becomes 1. */
static inline float dtn_tone(uint8_t value)
{
	return (float)value * (2.0f / 255) - 1;
}

/* -1 becomes 0, 1 becomes 255, what lies beyond is clamped, and what is no number becomes 0.
 * Returns how many were no numbers. */
size_t dtn_tone_to_u8(uint8_t *to, const float *from, size_t n);

#endif
