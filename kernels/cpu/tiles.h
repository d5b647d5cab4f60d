/* tiles.h -- the pieces that Winograd's forward pass and gradient of the weights share: tiles of an
 * image, and the transforms of one direction.
 *
 *      Y  = A' [ (G w G') . (B' x B) ] A           forward
 *      dw = G' [ (A dY A') . (B' x B) ] G          by weights: the adjoint of the first line
 *
 * By data it is the first line with w turned and transposed.  x is a tile of 6x6, Y of 4x4; "."
 * multiplies element by element and sums over channels, or over tiles: for each of the 36 elements
 * that is a matrix product.  Everything is vectorised over channels.
 */
#ifndef DTN_CPU_TILES_H
#define DTN_CPU_TILES_H

#include "kernels/cpu/panel.h"
#include "kernels/cpu/winograd.h"

enum { TILE = 4, IN = 6, ALL = IN * IN };

/* Floats from one of the 36 elements to the next, for n tiles: an odd number of cache lines, since
 * all 36 are visited in turn and must not meet in one set of the cache. */
static inline size_t plane(size_t n, size_t channels)
{
	return round_up(n * channels, 32) + 16;
}

static inline int tiles_high(const struct winograd *s)
{
	return (s->H + TILE - 1) / TILE;
}

static inline int tiles_wide(const struct winograd *s)
{
	return (s->W + TILE - 1) / TILE;
}

static inline int tiles(const struct winograd *s)
{
	return s->N * tiles_high(s) * tiles_wide(s);
}

struct place { int image, top, left; };         /* of the tile's 4x4 results */

static inline struct place where(const struct winograd *s, int tile)
{
	int wide = tiles_wide(s), each = wide * tiles_high(s);

	return (struct place){ tile / each, tile % each / wide * TILE, tile % wide * TILE };
}

/* The pixels of a square of `side` from (top, left) of an image with C channels; `zero` where
 * outside. */
static inline void pixels(const float *at[], const struct winograd *s, struct place p, int shift,
			  int side, const float *x, int C, const float *zero)
{
	for (int i = 0; i < side; i++)
		for (int j = 0; j < side; j++) {
			int h = p.top + shift + i, w = p.left + shift + j;
			bool inside = h >= 0 && h < s->H && w >= 0 && w < s->W;

			at[i * side + j] = inside ?
				x + (((size_t)p.image * s->H + h) * s->W + w) * C : zero;
		}
}

/* --- transforms, on one vector of channels; elements are `from` and `to` apart ---------------- */

/* out [6] = B' in [6] */
static inline void by_B(vec out[IN], const vec in[IN])
{
	vec p = in[4] - 4 * in[2], q = in[3] - 4 * in[1], r = in[4] - in[2], s = in[3] - in[1];

	out[0] = 4 * in[0] - 5 * in[2] + in[4];
	out[1] = p + q;
	out[2] = p - q;
	out[3] = r + 2 * s;
	out[4] = r - 2 * s;
	out[5] = 4 * in[1] - 5 * in[3] + in[5];
}

/* out [4] = A' in [6] */
static inline void by_A(vec out[TILE], const vec in[IN])
{
	vec p = in[1] + in[2], q = in[1] - in[2], r = in[3] + in[4], s = in[3] - in[4];

	out[0] = in[0] + p + r;
	out[1] = q + 2 * s;
	out[2] = p + 4 * r;
	out[3] = q + 8 * s + in[5];
}

/* out [6] = A in [4] */
static inline void by_A_turned(vec out[IN], const vec in[TILE])
{
	vec even = in[0] + in[2], odd = in[1] + in[3], even4 = in[0] + 4 * in[2],
	    odd4 = in[1] + 4 * in[3];

	out[0] = in[0];
	out[1] = even + odd;
	out[2] = even - odd;
	out[3] = even4 + 2 * odd4;
	out[4] = even4 - 2 * odd4;
	out[5] = in[3];
}

/* out [6] = G in [3] */
static inline void by_G(vec out[IN], const vec in[3])
{
	vec outer = (in[0] + in[2]) * (-1.0f / 6), inner = in[1] * (-1.0f / 6);
	vec outer4 = (in[0] + 4 * in[2]) * (1.0f / 24), inner4 = in[1] * (1.0f / 12);

	out[0] = in[0] * 0.25f;
	out[1] = outer + inner;
	out[2] = outer - inner;
	out[3] = outer4 + inner4;
	out[4] = outer4 - inner4;
	out[5] = in[2];
}

/* out [3] = G' in [6] */
static inline void by_G_turned(vec out[3], const vec in[IN])
{
	vec p = (in[1] + in[2]) * (-1.0f / 6), q = (in[2] - in[1]) * (1.0f / 6);
	vec r = (in[3] + in[4]) * (1.0f / 24), s = (in[3] - in[4]) * (1.0f / 12);

	out[0] = in[0] * 0.25f + p + r;
	out[1] = q + s;
	out[2] = p + 4 * r + in[5];
}

/* B' x B of a tile's 36 pixels from channel c on, to elements `apart` from each other. */
static inline void tile_in(float *to, size_t apart, const float *const at[ALL], size_t c)
{
	vec column[IN], d[IN], e[IN][IN];

	for (int j = 0; j < IN; j++) {
		for (int i = 0; i < IN; i++)
			d[i] = load(at[IN * i + j] + c);
		by_B(column, d);
		for (int i = 0; i < IN; i++)
			e[i][j] = column[i];
	}
	for (int i = 0; i < IN; i++) {
		by_B(d, e[i]);
		for (int j = 0; j < IN; j++, to += apart)
			store(to, d[j]);
	}
}

#endif
