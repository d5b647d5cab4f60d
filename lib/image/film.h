/* film.h -- an animated PNG: pictures of one size that follow each other.
 *
 * A viewer that knows nothing of animation shows the first.
 */
#ifndef DTN_FILM_H
#define DTN_FILM_H

#include "lib/image/png_write.h"

struct dtn_film;

/* A film of `frames` pictures, which is shown again and again; otherwise as dtn_png_writer_open. */
struct dtn_film *dtn_film_open(struct dtn_output *, uint32_t width, uint32_t height, int channels,
			       uint32_t frames, const struct dtn_png_text *, int texts);

/* The next picture, which stays for `seconds`, 0.001 to 65535; all its rows follow. */
void dtn_film_frame(struct dtn_film *, double seconds);
void dtn_film_row(struct dtn_film *, const uint8_t *row);       /* [W,C] */
void dtn_film_close(struct dtn_film *);                         /* after the last row of all */

#endif
