/* pixel.h -- rows of pixels as files have them, turned into grey or RGB; pictures turned upright.
 */
#ifndef DTN_PIXEL_H
#define DTN_PIXEL_H

#include <stdint.h>

/* What a row of a decoded file holds, one byte a value.  Inks: 0 is none, 255 full; Adobe's files
 * store them the other way round. */
enum dtn_pixel { DTN_GREY, DTN_GREY_ALPHA, DTN_RGB, DTN_RGB_ALPHA, DTN_CMYK, DTN_CMYK_INVERTED };

int dtn_pixel_bytes(enum dtn_pixel);            /* 1 to 4 */

/* `width` pixels as `channels` (1 grey, 3 RGB) values each.  What is transparent shows white; grey
 * is the luma of JPEG, 0.299 R + 0.587 G + 0.114 B. */
void dtn_pixel_row(uint8_t *to, int channels, const uint8_t *from, enum dtn_pixel, uint32_t width);

/* `to` [H,W,C]: the picture that lies in `from` under EXIF orientation 1 to 8, turned upright; from
 * 5 on, `from` is [W,H,C]. */
void dtn_pixel_upright(uint8_t *to, const uint8_t *from, int orientation, int width, int height,
		       int channels);

#endif
