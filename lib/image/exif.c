/* exif.c -- which way up was the camera?
 *
 * EXIF is a small TIFF file: a byte order, the offset of a directory, and entries of twelve bytes
 * (tag 2, type 2, count 4, value or offset 4).  Every offset is checked against what is there: a
 * camera writes them, but so does whoever wants to crash a reader.
 */
#include "lib/image/exif.h"

#include <stdbool.h>
#include <string.h>

enum { ORIENTATION = 0x0112, LONG = 4 };

static unsigned number(const uint8_t *p, int bytes, bool big)
{
	unsigned n = 0;

	for (int i = 0; i < bytes; i++)
		n = n << 8 | p[big ? i : bytes - 1 - i];
	return n;
}

int dtn_exif_orientation(const uint8_t *body, size_t length)
{
	const uint8_t *tiff = body + 6, *entry;
	size_t size, at;
	unsigned entries, value;
	bool big;

	if (length < 6 + 8 || memcmp(body, "Exif\0", 6) != 0)
		return 1;
	size = length - 6;
	big = tiff[0] == 'M';
	if (memcmp(tiff, big ? "MM" : "II", 2) != 0 || number(tiff + 2, 2, big) != 42)
		return 1;
	at = number(tiff + 4, 4, big);
	if (at > size - 2)
		return 1;
	entries = number(tiff + at, 2, big);
	for (at += 2; entries > 0 && size - at >= 12; at += 12, entries--) {
		entry = tiff + at;
		if (number(entry, 2, big) != ORIENTATION || number(entry + 4, 4, big) != 1)
			continue;
		value = number(entry + 2, 2, big) == LONG ? number(entry + 8, 4, big)
							  : number(entry + 8, 2, big);
		return value >= 1 && value <= 8 ? (int)value : 1;
	}
	return 1;
}
