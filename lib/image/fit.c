/* fit.c -- which part of a picture is shown, and where, when it is brought to another size?
 *
 * The part is kept in fractions of a pixel, so that a crop is centred exactly whatever the sizes;
 * only where nothing is scaled does it begin at a whole pixel, because half a pixel would blur.
 */
#include "lib/image/fit.h"

#include <math.h>

static void middle(double *begin, double *end, double whole, double part, int target)
{
	*begin = (whole - part) / 2;
	if (part == target)
		*begin = floor(*begin);
	*end = *begin + part;
}

static int rounded(double side, int most)
{
	int n = (int)lround(side);

	return n < 1 ? 1 : n > most ? most : n;
}

struct dtn_view dtn_fit_view(enum dtn_fit fit, int source_width, int source_height, int width,
			     int height)
{
	double w = source_width, h = source_height;
	struct dtn_view v = { 0, 0, w, h, 0, 0, width, height };

	/* Products of two sides are exact in double, so equal proportions compare as equal. */
	if (fit == DTN_CROP && w * height > h * width) {
		middle(&v.x0, &v.x1, w, h * width / height, width);
	} else if (fit == DTN_CROP && w * height < h * width) {
		middle(&v.y0, &v.y1, h, w * height / width, height);
	} else if (fit == DTN_PAD && w * height > h * width) {
		v.height = rounded(h * width / w, height);
		v.y = (height - v.height) / 2;
	} else if (fit == DTN_PAD) {
		v.width = rounded(w * height / h, width);
		v.x = (width - v.width) / 2;
	}
	return v;
}
