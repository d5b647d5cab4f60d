/* fit.h -- which part of a picture is shown, and where, when it is brought to another size? */
#ifndef DTN_FIT_H
#define DTN_FIT_H

enum dtn_fit { DTN_CROP, DTN_STRETCH, DTN_PAD };

struct dtn_view {
	double x0, y0, x1, y1;          /* the part of the source, in pixels from its edge */
	int x, y, width, height;        /* where it goes, in pixels of the target */
};

/* crop: the largest part in the middle that has the target's proportions; stretch: everything,
 * whatever the proportions; pad: everything, in the middle of the target. */
struct dtn_view dtn_fit_view(enum dtn_fit, int source_width, int source_height, int width,
			     int height);

#endif
