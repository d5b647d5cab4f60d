/* png_write.h -- a PNG file, written row by row. */
#ifndef DTN_PNG_WRITE_H
#define DTN_PNG_WRITE_H

#include "lib/output.h"

/* What a picture says about itself.  Keys: 1 to 79 printable ASCII characters. */
struct dtn_png_text { const char *key, *value; };

struct dtn_png_writer;

/* A picture of 8 bits a channel (1 grey, 3 RGB, sRGB) into `output`, which stays the caller's and
 * must outlive it.  Width and height are below 2^31. */
struct dtn_png_writer *dtn_png_writer_open(struct dtn_output *output, uint32_t width,
					   uint32_t height, int channels,
					   const struct dtn_png_text *, int texts);
void dtn_png_write_row(struct dtn_png_writer *, const uint8_t *row);    /* [W,C] */
void dtn_png_writer_close(struct dtn_png_writer *);     /* after the last row */

#endif
