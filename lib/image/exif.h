/* exif.h -- which way up was the camera? */
#ifndef DTN_EXIF_H
#define DTN_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* The orientation, 1 to 8, in the body of a JPEG's APP1 marker, which begins with "Exif", two zeros
 * and a TIFF header; 1 (upright) where there is none or it makes no sense. */
int dtn_exif_orientation(const uint8_t *body, size_t length);

#endif
