/* image.h -- one image, from a file or from memory, brought to the wanted size and colours. */
#ifndef DTN_IMAGE_H
#define DTN_IMAGE_H

#include "lib/image/fault.h"
#include "lib/image/fit.h"

/* What is wanted. */
struct dtn_wanted {
	int width, height;
	int channels;                   /* 1 grey, 3 RGB */
	enum dtn_fit fit;
};

size_t dtn_wanted_bytes(const struct dtn_wanted *);     /* of one image [H,W,C] */

/* What a file's header says. */
struct dtn_seen {
	int width, height;              /* upright */
	int channels;                   /* 1 or 3; alpha does not count */
};

struct dtn_decoder;     /* for one thread; keeps its buffers from image to image */

struct dtn_decoder *dtn_decoder_open(uint64_t max_pixels);      /* refuse larger images */
void dtn_decoder_close(struct dtn_decoder *);

/* PNG or JPEG in the regular file `fd`, read from its beginning; `fd` stays the caller's.  False:
 * not acceptable, and `fault` says why. */
bool dtn_decode_header(struct dtn_decoder *, int fd, struct dtn_seen *, struct dtn_fault *);
bool dtn_decode(struct dtn_decoder *, int fd, const struct dtn_wanted *, uint8_t *out,
		struct dtn_fault *);    /* out: [H,W,C] */

/* The same for pixels in memory [height,width,channels], which cannot fail. */
void dtn_convert(struct dtn_decoder *, const uint8_t *pixels, const struct dtn_seen *,
		 const struct dtn_wanted *, uint8_t *out);

/* What the first bytes of a file say it is: "PNG", "JPEG", "GIF", "WebP", …; NULL: nothing known.
 */
const char *dtn_image_format(const uint8_t *bytes, size_t n);

#endif
