/* filter.c -- what is done to a chunk's bytes so that zstd finds more in them.
 *
 * Shuffle gathers byte k of every element in plane k: the exponents of floats lie side by side.
 * Delta replaces a byte by its difference from the byte `distance` before it, which in an image is
 * the same channel of the pixel to the left.
 */
#include "format/frame.h"

#include <string.h>

int dtn_filter_for(int type)
{
	return dtn_type_size(type) == 1 ? DTN_DELTA : DTN_SHUFFLE;
}

size_t dtn_filter_distance(const struct dtn_tensor *t)
{
	uint64_t d;

	if (t->rank == 0 || t->dim[t->rank - 1] > 16)
		return 1;
	d = t->dim[t->rank - 1] * dtn_type_size(t->type);
	return d >= 1 && d <= 16 ? (size_t)d : 1;
}

static void shuffle2(uint8_t *restrict to, const uint8_t *restrict from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[i] = from[2 * i];
		to[n + i] = from[2 * i + 1];
	}
}

static void shuffle4(uint8_t *restrict to, const uint8_t *restrict from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[i] = from[4 * i];
		to[n + i] = from[4 * i + 1];
		to[2 * n + i] = from[4 * i + 2];
		to[3 * n + i] = from[4 * i + 3];
	}
}

static void shuffle(uint8_t *to, const uint8_t *from, size_t n, size_t size)
{
	if (size == 2)
		shuffle2(to, from, n);
	else if (size == 4)
		shuffle4(to, from, n);
	else
		for (size_t k = 0; k < size; k++)
			for (size_t i = 0; i < n; i++)
				to[k * n + i] = from[i * size + k];
}

static void unshuffle2(uint8_t *restrict to, const uint8_t *restrict from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[2 * i] = from[i];
		to[2 * i + 1] = from[n + i];
	}
}

static void unshuffle4(uint8_t *restrict to, const uint8_t *restrict from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[4 * i] = from[i];
		to[4 * i + 1] = from[n + i];
		to[4 * i + 2] = from[2 * n + i];
		to[4 * i + 3] = from[3 * n + i];
	}
}

static void unshuffle(uint8_t *to, const uint8_t *from, size_t n, size_t size)
{
	if (size == 2)
		unshuffle2(to, from, n);
	else if (size == 4)
		unshuffle4(to, from, n);
	else
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < size; k++)
				to[i * size + k] = from[k * n + i];
}

static void delta(uint8_t *restrict to, const uint8_t *restrict from, size_t n, size_t distance)
{
	size_t head = n < distance ? n : distance;

	memcpy(to, from, head);
	for (size_t i = head; i < n; i++)
		to[i] = (uint8_t)(from[i] - from[i - distance]);
}

/* In place.  The sums of the last pixel stay in registers for the usual distances: through memory
 * every byte would wait for the store before it. */
static void undelta(uint8_t *to, size_t n, size_t distance)
{
	size_t i = 0;

	if (distance == 1) {
		for (uint8_t a = 0; i < n; i++)
			to[i] = a = (uint8_t)(a + to[i]);
	} else if (distance == 3) {
		uint8_t a = 0, b = 0, c = 0;
		for (; i + 3 <= n; i += 3) {
			to[i] = a = (uint8_t)(a + to[i]);
			to[i + 1] = b = (uint8_t)(b + to[i + 1]);
			to[i + 2] = c = (uint8_t)(c + to[i + 2]);
		}
	}
	for (i = i > distance ? i : distance; i < n; i++)
		to[i] = (uint8_t)(to[i] + to[i - distance]);
}

void dtn_filter(uint8_t *to, const uint8_t *from, size_t n, int filter, size_t size,
		size_t distance)
{
	if (filter == DTN_DELTA)
		delta(to, from, n, distance);
	else if (filter == DTN_SHUFFLE && size > 1)
		shuffle(to, from, n / size, size);
	else
		memcpy(to, from, n);
}

void dtn_unfilter(uint8_t *to, const uint8_t *from, size_t n, int filter, size_t size,
		  size_t distance)
{
	if (filter == DTN_SHUFFLE_DELTA) {
		/* Nobody writes it now, so it may be slow: undo the sums while gathering. */
		size_t elements = n / size;
		uint8_t a = 0;
		for (size_t j = 0; j < n; j++) {
			a = (uint8_t)(a + from[j]);
			to[j % elements * size + j / elements] = a;
		}
	} else if (filter == DTN_SHUFFLE && size > 1) {
		unshuffle(to, from, n / size, size);
	} else {
		if (to != from)
			memcpy(to, from, n);
		if (filter == DTN_DELTA)
			undelta(to, n, distance);
	}
}
