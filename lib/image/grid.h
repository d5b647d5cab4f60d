/* grid.h -- many images of one size as one picture.
 *
 *      pad | image | pad | image | pad        rows from left to right, in order; the last may be
 *      -------------- pad -------------       short.  Every pixel of an image becomes scale x scale
 *      pad | image | pad                      pixels.  What is no image is black.
 *
 * An image may be several, of one size, that lie side by side, a pad between them, and belong
 * together: x_t and its noise.
 */
#ifndef DTN_GRID_H
#define DTN_GRID_H

#include "lib/image/png_write.h"

struct dtn_grid {
	uint32_t height, width;         /* of an image */
	int channels;
	uint32_t together;              /* how many are one image, 1 or more */
	uint64_t images;
	uint32_t columns;               /* 0: as many as make it square */
	uint32_t scale, pad;
	/* of the picture, after dtn_grid_init */
	uint64_t picture_height, picture_width;
};

/* Fill in columns and the picture's size.  False: larger than a PNG can be. */
bool dtn_grid_init(struct dtn_grid *);

/* Of one image, with all that belong together. */
uint64_t dtn_grid_bytes(const struct dtn_grid *);

/* Row y of the picture, [picture_width,C], from `images` [N,together,H,W,C]. */
void dtn_grid_row(const struct dtn_grid *, const uint8_t *images, uint64_t y, uint8_t *row);

/* The whole picture into `output`, which stays the caller's. */
void dtn_grid_write(const struct dtn_grid *, const uint8_t *images, struct dtn_output *output,
		    const struct dtn_png_text *, int texts);

#endif
