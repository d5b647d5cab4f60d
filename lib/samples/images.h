/* images.h -- records of images and of their classes, as dtn-load and dtn-sample write them. */
#ifndef DTN_IMAGES_H
#define DTN_IMAGES_H

#include "format/dtn.h"

/* How many images of so many bytes a record has at most: 4 MiB, but one image at least. */
uint32_t dtn_images_most(size_t bytes);

/* One record: the tensor image [n,H,W,C] of this type, side = { H, W, C }, and label [n], or none
 * where it is NULL. */
void dtn_images_write(struct dtn_writer *, int type, const int side[3], uint32_t n,
		      const void *images, const int32_t *label);

#endif
