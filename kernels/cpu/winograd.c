/* winograd.c -- 3x3 convolutions by Winograd's algorithm; the formulas stand in tiles.h.
 *
 *      x ---B'xB---> v [36][tile][C] --+
 *                                      +--> m [36][tile][P] ---A'mA---> y of P channels
 *      w ---GwG'---> u [36][panel][C][PW]
 *
 * Tiles go in blocks, so that v and m stay in the core's own cache.  Where there are many tiles, u
 * holds the weights of all channels, and every block runs against it; where there are few, u holds
 * a part of the channels at a time, and v of all tiles is kept instead.
 */
#include "kernels/cpu/tiles.h"

#include <string.h>

/* --- sizes ------------------------------------------------------------------------------------ */

struct sizes {
	int P;                  /* channels of a part, a multiple of PW */
	int block, blocks;      /* tiles; and how many blocks of v are kept */
	size_t u, v, m;         /* floats; v: of one block */
};

enum { CACHE = 448 << 10, PART = 32, LEAST = 2 * ROWS };

static int at_most(int n, int most)
{
	return n < most ? n : most;
}

static struct sizes sizes(const struct winograd *s)
{
	int all = tiles(s), K = (int)round_up((size_t)s->K, PW);
	bool keep = all < K;
	int P = keep ? at_most(PART, K) : K;
	int fit = CACHE / (ALL * (int)sizeof(float) * (s->C + P)) / ROWS * ROWS;
	int block = at_most(fit < LEAST ? LEAST : fit, all);

	return (struct sizes){
		P, block, keep ? (all + block - 1) / block : 1,
		ALL * plane((size_t)P, (size_t)s->C), ALL * plane((size_t)block, (size_t)s->C),
		ALL * plane((size_t)block, (size_t)P)
	};
}

bool CPU(winograd_fits)(const struct winograd *s)
{
	return s->C % VL == 0 && s->K % VL == 0;
}

size_t CPU(winograd_scratch)(const struct winograd *s)
{
	struct sizes z = sizes(s);

	return ((size_t)s->C + z.u + z.v * (size_t)z.blocks + z.m) * sizeof(float);
}

/* --- weights ---------------------------------------------------------------------------------- */

enum { GROUP = 16 };    /* channels whose weights are sorted at a time */

/* Weights of outputs k .. k+3 and inputs c .. c+n-1, n a multiple of 4, as to [n][9][PW], four
 * columns of it. */
static void sort_forth(const struct winograd *s, float *to, const float *w, int k, int c, int n)
{
	const float *from = w + ((size_t)k * s->C + c) * 9;

	for (int i = 0; i < 9 * n; i += 4)
		transpose(to + i * PW, PW, from + i, 9 * (size_t)s->C);
}

/* The same of w [C,K,3,3], turned by half a circle. */
static void sort_back(const struct winograd *s, float *to, const float *w, int k, int c, int n)
{
	for (int i = 0; i < n; i++, to += 9 * PW) {
		const float *from = w + ((size_t)(c + i) * s->K + k) * 9;
		float turned[8 * 4];

		transpose(turned, 4, from, 9);
		transpose(turned + 16, 4, from + 4, 9);
		for (int tap = 0; tap < 8; tap++)
			*(quad *)(to + (8 - tap) * PW) = *(quad *)(turned + 4 * tap);
		*(quad *)to = (quad){ from[8], from[17], from[26], from[35] };
	}
}

/* G w G' of one vector of outputs; taps and elements are `from` and `to_step` apart. */
static void weights_in(float *to, size_t to_step, const float *taps, size_t from)
{
	vec d[3], e[3][IN], f[IN], g[IN][3];

	for (int j = 0; j < 3; j++) {
		for (int i = 0; i < 3; i++)
			d[i] = load(taps + (size_t)(3 * i + j) * from);
		by_G(e[j], d);
		for (int i = 0; i < IN; i++)
			g[i][j] = e[j][i];
	}
	for (int i = 0; i < IN; i++) {
		by_G(f, g[i]);
		for (int j = 0; j < IN; j++, to += to_step)
			store(to, f[j]);
	}
}

/* u [36][P / PW][C][PW] of outputs k .. k+P-1; zero where there are none. */
static void transform(const struct winograd *s, float *u, size_t apart, const float *w, bool back,
		      int k, int P)
{
	float sorted[GROUP * 9 * PW];

	memset(sorted, 0, sizeof(sorted));
	for (int p = 0; p < P; p += PW) {
		int real = s->K - k - p < PW ? s->K - k - p : PW;

		if (real < PW)
			memset(sorted, 0, sizeof(sorted));
		for (int c = 0; c < s->C; c += GROUP) {
			int n = at_most(s->C - c, GROUP);

			for (int j = 0; j < real; j += 4)
				(back ? sort_back : sort_forth)(s, sorted + j, w, k + p + j, c, n);
			for (int i = 0; i < n; i++) {
				float *to = u + (size_t)p * s->C + (size_t)(c + i) * PW;

				weights_in(to, apart, sorted + i * 9 * PW, PW);
				weights_in(to + VL, apart, sorted + i * 9 * PW + VL, PW);
			}
		}
	}
}

/* --- tiles ------------------------------------------------------------------------------------ */

/* v [36][n][C] of tiles first .. first+n-1 of x */
static void tiles_in(const struct winograd *s, float *v, size_t apart, const float *x, int first,
		     int n, const float *zero)
{
	for (int t = 0; t < n; t++, v += s->C) {
		const float *at[ALL];

		pixels(at, s, where(s, first + t), -1, IN, x, s->C, zero);
		for (size_t c = 0; c < (size_t)s->C; c += VL)
			tile_in(v + c, apart, at, c);
	}
}

/* A' m A */
static inline void tile_out(vec y[TILE][TILE], const float *m, size_t apart)
{
	vec d[IN], column[TILE], e[TILE][IN];

	for (int j = 0; j < IN; j++) {
		for (int i = 0; i < IN; i++)
			d[i] = load(m + (size_t)(IN * i + j) * apart);
		by_A(column, d);
		for (int i = 0; i < TILE; i++)
			e[i][j] = column[i];
	}
	for (int i = 0; i < TILE; i++)
		by_A(y[i], e[i]);
}

struct out { float *y; const float *bias, *residual; };

static inline void put_tile(const struct winograd *s, const struct out *o, vec y[TILE][TILE],
			    size_t at, vec bias, int high, int wide)
{
	for (int i = 0; i < high; i++)
		for (int j = 0; j < wide; j++) {
			size_t pixel = at + ((size_t)i * s->W + j) * s->K;
			vec sum = y[i][j] + bias;

			if (o->residual)
				sum += load(o->residual + pixel);
			store(o->y + pixel, sum);
		}
}

/* Channels k .. k+P-1 of tiles first .. first+n-1 of y, from m [36][n][P]. */
static void tiles_out(const struct winograd *s, const struct out *o, const float *m, size_t apart,
		      int first, int n, int k, int P)
{
	int real = at_most(s->K - k, P);

	for (int t = 0; t < n; t++, m += P) {
		struct place p = where(s, first + t);
		int high = at_most(s->H - p.top, TILE), wide = at_most(s->W - p.left, TILE);
		size_t at = (((size_t)p.image * s->H + p.top) * s->W + p.left) * s->K + k;

		for (int i = 0; i < real; i += VL) {
			vec y[TILE][TILE], bias = o->bias ? load(o->bias + k + i) : (vec){ 0 };

			tile_out(y, m + i, apart);
			if (high == TILE && wide == TILE)
				put_tile(s, o, y, at + i, bias, TILE, TILE);
			else
				put_tile(s, o, y, at + i, bias, high, wide);
		}
	}
}

/* --- the convolution -------------------------------------------------------------------------- */

/* m [36][n][P] = v [36][n][C] u [36][C][P] */
static void multiply(const struct winograd *s, float *m, const float *v, const float *u, int n,
		     int P)
{
	size_t C = (size_t)s->C, m_apart = plane((size_t)n, (size_t)P),
	       v_apart = plane((size_t)n, C);
	size_t u_apart = plane((size_t)P, C);

	for (int i = 0; i < ALL; i++, m += m_apart, v += v_apart, u += u_apart)
		for (int p = 0; p < P; p += PW)
			CPU(products)(n, s->C, v, C, 1, u + p * C, m + p, (size_t)P, false);
}

void CPU(winograd_forward)(const struct winograd *s, float *y, const float *x, const float *w,
			   bool back, const float *bias, const float *residual, float *scratch)
{
	struct sizes z = sizes(s);
	struct out out = { y, bias, residual };
	float *zero = scratch, *u = zero + s->C, *m = u + z.u, *all_v = m + z.m;
	int all = tiles(s);

	memset(zero, 0, (size_t)s->C * sizeof(float));
	for (int k = 0; k < s->K; k += z.P) {
		int P = at_most((int)round_up((size_t)(s->K - k), PW), z.P);

		transform(s, u, plane((size_t)P, (size_t)s->C), w, back, k, P);
		for (int first = 0, b = 0; first < all; first += z.block, b++) {
			int n = at_most(all - first, z.block);
			float *v = z.blocks > 1 ? all_v + (size_t)b * z.v : all_v;

			if (k == 0)
				tiles_in(s, v, plane((size_t)n, (size_t)s->C), x, first, n, zero);
			multiply(s, m, v, u, n, P);
			tiles_out(s, &out, m, plane((size_t)n, (size_t)P), first, n, k, P);
		}
	}
}
