/* picture.h -- what the decoders of PNG and JPEG have in common.
 *
 * A decoder reads a file's header into a dtn_picture, is told how it may shrink, and then hands the
 * rows over one by one.  It returns false, and says in `fault` why, at the first thing that is
 * wrong with the file; then, and after the last row, it waits for the next file.
 */
#ifndef DTN_PICTURE_H
#define DTN_PICTURE_H

#include "lib/image/bytes.h"
#include "lib/image/fault.h"
#include "lib/image/pixel.h"

struct dtn_picture {
	uint32_t width, height;         /* as stored */
	enum dtn_pixel pixel;           /* of the rows that will come */
	bool colour;
	int orientation;                /* EXIF, 1 to 8 */
};

/* libjpeg-turbo stores rows that begin at a multiple of 32 bytes past the caches, and whoever reads
 * them next waits for memory.  Buffers for rows begin so many bytes beside such a place. */
enum { DTN_ASKEW = 8 };

/* Where the rows go: all of them in a row to `whole`, or else each to `row`, valid during the call.
 */
struct dtn_rows {
	void (*row)(void *arg, const uint8_t *row);
	void *arg;
	uint8_t *whole;
};

struct dtn_png;         /* one thread's decoder, used for file after file */

struct dtn_png *dtn_png_open(void);
void dtn_png_close(struct dtn_png *);
bool dtn_png_header(struct dtn_png *, struct dtn_bytes *, struct dtn_picture *,
		    struct dtn_fault *);
bool dtn_png_rows(struct dtn_png *, struct dtn_rows);
void dtn_png_abandon(struct dtn_png *);         /* after a header whose rows nobody wants */

struct dtn_jpeg;

struct dtn_jpeg *dtn_jpeg_open(void);
void dtn_jpeg_close(struct dtn_jpeg *);
bool dtn_jpeg_header(struct dtn_jpeg *, struct dtn_bytes *, struct dtn_picture *,
		     struct dtn_fault *);

/* Deliver rows of ceil(W/by) pixels, ceil(H/by) of them, by = 1, 2, 4 or 8; `grey`: luma only where
 * the file has it apart.  `pixel` of the picture may change. */
void dtn_jpeg_shrink(struct dtn_jpeg *, struct dtn_picture *, int by, bool grey);
bool dtn_jpeg_rows(struct dtn_jpeg *, struct dtn_rows);
void dtn_jpeg_abandon(struct dtn_jpeg *);

#endif
