/* winograd.c -- 3x3 convolutions with a quarter of the multiplications [Lavin & Gray 2016, F(4x4,3x3)].
 *
 *      Y  = A' [ (G w G') . (B' x B) ] A           forward; by data the same with w turned and transposed
 *      dw = G' [ (A dY A') . (B' x B) ] G          by weights: the adjoint of the first line
 *
 * x is a tile of 6x6, Y of 4x4; "." multiplies element by element and sums over channels, or over tiles: for
 * each of the 36 elements that is a matrix product.
 *
 *      x ---B'xB---> v [36][tile][C] --+
 *                                      +--> m [36][tile][K] ---A'mA---> y        u [36][panel][C][PW]
 *      w ---GwG'---> u ----------------+
 *
 * Tiles go in blocks, sized for the cache.  Everything is vectorised over channels.
 */
#include "kernels/cpu/winograd.h"

#include <string.h>

/* Columns of a panel: two vectors.  The product of ROWS x 2 vectors stays in registers. */
#if defined(__AVX512F__)
enum { VL = 16, PW = 2 * VL, ROWS = 12 };
#elif defined(__AVX__)
enum { VL = 8, PW = 2 * VL, ROWS = 6 };
#else
enum { VL = 4, PW = 2 * VL, ROWS = 6 };
#endif

enum { TILE = 4, IN = 6, ALL = IN * IN };

typedef float vec __attribute__((vector_size(VL * sizeof(float)), aligned(sizeof(float)), may_alias));

static inline vec load(const float *p)
{
	return *(const vec *)p;
}

static inline void store(float *p, vec v)
{
	*(vec *)p = v;
}

static size_t padded(int channels)
{
	return ((size_t)channels + PW - 1) / PW * PW;
}

static int tiles_high(const struct winograd *s) { return (s->H + TILE - 1) / TILE; }
static int tiles_wide(const struct winograd *s) { return (s->W + TILE - 1) / TILE; }

static int tiles(const struct winograd *s)
{
	return s->N * tiles_high(s) * tiles_wide(s);
}

/* Tiles of a block: as many as keep v and m within `bytes`, but enough rows for the products. */
static int block(const struct winograd *s, size_t bytes)
{
	size_t each = ALL * (padded(s->C) + padded(s->K)) * sizeof(float);
	int most = (int)(bytes / each) / ROWS * ROWS, all = tiles(s);

	if (most < 8 * ROWS)
		most = 8 * ROWS;
	return most < all ? most : all;
}

enum { FORWARD_BYTES = 1 << 20, WEIGHTS_BYTES = 3 << 20 };

bool CPU(winograd_fits)(const struct winograd *s)
{
	return s->C % VL == 0 && s->K % VL == 0;
}

size_t CPU(winograd_packed)(const struct winograd *s)
{
	return ALL * (size_t)s->C * padded(s->K) * sizeof(float);
}

size_t CPU(winograd_scratch)(const struct winograd *s)
{
	size_t n = (size_t)block(s, FORWARD_BYTES);

	return (ALL * n * (padded(s->C) + padded(s->K)) + padded(s->C)) * sizeof(float);
}

/* Of dw: panels of CB channels in and KB out at a time when all tiles are in one block, else all of it. */
enum { KB = 4 * ROWS, CB = 2 * PW };

static bool one_block(const struct winograd *s)
{
	return block(s, WEIGHTS_BYTES) == tiles(s);
}

static size_t sums(const struct winograd *s)
{
	size_t rows = ((size_t)s->K + KB - 1) / KB * KB, columns = (padded(s->C) + CB - 1) / CB * CB;

	return one_block(s) ? (size_t)ALL * KB * CB : ALL * rows * columns;
}

size_t CPU(winograd_weights_scratch)(const struct winograd *s)
{
	size_t n = (size_t)block(s, WEIGHTS_BYTES);
	size_t zero = padded(s->C) > padded(s->K) ? padded(s->C) : padded(s->K);

	return (ALL * n * (padded(s->C) + padded(s->K)) + zero + sums(s)) * sizeof(float);
}

/* --- transforms, on one vector of channels -------------------------------------------------- */

/* out = B' in, along one direction; the elements are `step` apart. */
static inline void by_B(vec *out, const vec *in, int step)
{
	vec a = in[0], b = in[step], c = in[2 * step], d = in[3 * step], e = in[4 * step], f = in[5 * step];

	out[0] = 4 * a - 5 * c + e;
	out[step] = (e - 4 * c) + (d - 4 * b);
	out[2 * step] = (e - 4 * c) - (d - 4 * b);
	out[3 * step] = (e - c) + 2 * (d - b);
	out[4 * step] = (e - c) - 2 * (d - b);
	out[5 * step] = 4 * b - 5 * d + f;
}

/* out [4] = A' in [6] */
static inline void by_A(vec *out, int to, const vec *in, int from)
{
	vec p = in[from] + in[2 * from], q = in[from] - in[2 * from];
	vec r = in[3 * from] + in[4 * from], s = in[3 * from] - in[4 * from];

	out[0] = in[0] + p + r;
	out[to] = q + 2 * s;
	out[2 * to] = p + 4 * r;
	out[3 * to] = q + 8 * s + in[5 * from];
}

/* out [6] = A in [4] */
static inline void by_A_turned(vec *out, int to, const vec *in, int from)
{
	vec a = in[0], b = in[from], c = in[2 * from], d = in[3 * from];

	out[0] = a;
	out[to] = (a + c) + (b + d);
	out[2 * to] = (a + c) - (b + d);
	out[3 * to] = (a + 4 * c) + 2 * (b + 4 * d);
	out[4 * to] = (a + 4 * c) - 2 * (b + 4 * d);
	out[5 * to] = d;
}

/* out [6] = G in [3] */
static inline void by_G(vec *out, int to, const vec *in, int from)
{
	vec a = in[0], b = in[from], c = in[2 * from];

	out[0] = a * 0.25f;
	out[to] = (a + c + b) * (-1.0f / 6);
	out[2 * to] = (a + c - b) * (-1.0f / 6);
	out[3 * to] = (a + 4 * c + 2 * b) * (1.0f / 24);
	out[4 * to] = (a + 4 * c - 2 * b) * (1.0f / 24);
	out[5 * to] = c;
}

/* out [3] = G' in [6] */
static inline void by_G_turned(vec *out, int to, const vec *in, int from)
{
	vec p = (in[from] + in[2 * from]) * (-1.0f / 6), q = (in[2 * from] - in[from]) * (1.0f / 6);
	vec r = (in[3 * from] + in[4 * from]) * (1.0f / 24), s = (in[3 * from] - in[4 * from]) * (1.0f / 12);

	out[0] = in[0] * 0.25f + p + r;
	out[to] = q + s;
	out[2 * to] = p + 4 * r + in[5 * from];
}

/* --- tiles ------------------------------------------------------------------------------------ */

struct place { int image, top, left; };         /* of the tile's 4x4 results */

static struct place where(const struct winograd *s, int tile)
{
	int wide = tiles_wide(s), each = wide * tiles_high(s);

	return (struct place){ tile / each, tile % each / wide * TILE, tile % wide * TILE };
}

/* The pixels of a square of `side` from (top, left) of an image with C channels; `zero` where outside. */
static void pixels(const float *at[], const struct winograd *s, struct place p, int shift, int side,
		   const float *x, int C, const float *zero)
{
	for (int i = 0; i < side; i++)
		for (int j = 0; j < side; j++) {
			int h = p.top + shift + i, w = p.left + shift + j;
			bool inside = h >= 0 && h < s->H && w >= 0 && w < s->W;

			at[i * side + j] = inside ?
				x + (((size_t)p.image * s->H + h) * s->W + w) * C : zero;
		}
}

/* v [36][n][Cp] of tiles first .. first+n-1 of x */
static void tiles_in(const struct winograd *s, float *v, const float *x, int first, int n, const float *zero)
{
	size_t Cp = padded(s->C);

	for (int t = 0; t < n; t++) {
		const float *at[ALL];

		pixels(at, s, where(s, first + t), -1, IN, x, s->C, zero);
		for (size_t c = 0; c < Cp; c += VL) {
			vec d[ALL], e[ALL];

			for (int i = 0; i < ALL; i++)
				d[i] = (int)c < s->C ? load(at[i] + c) : load(zero);
			for (int i = 0; i < IN; i++)
				by_B(e + i, d + i, IN);
			for (int i = 0; i < IN; i++)
				by_B(d + IN * i, e + IN * i, 1);
			for (int i = 0; i < ALL; i++)
				store(v + ((size_t)i * n + t) * Cp + c, d[i]);
		}
	}
}

/* z [36][n][Kp] of tiles of dy: A dY A' */
static void tiles_of_dy(const struct winograd *s, float *z, const float *dy, int first, int n,
			const float *zero)
{
	size_t Kp = padded(s->K);

	for (int t = 0; t < n; t++) {
		const float *at[TILE * TILE];

		pixels(at, s, where(s, first + t), 0, TILE, dy, s->K, zero);
		for (size_t k = 0; k < Kp; k += VL) {
			vec d[TILE * TILE], e[IN * TILE], f[ALL];

			for (int i = 0; i < TILE * TILE; i++)
				d[i] = (int)k < s->K ? load(at[i] + k) : load(zero);
			for (int i = 0; i < TILE; i++)
				by_A_turned(e + i, TILE, d + i, TILE);
			for (int i = 0; i < IN; i++)
				by_A_turned(f + IN * i, 1, e + TILE * i, 1);
			for (int i = 0; i < ALL; i++)
				store(z + ((size_t)i * n + t) * Kp + k, f[i]);
		}
	}
}

/* y of tiles first .. first+n-1 from m [36][n][Kp] */
static void tiles_out(const struct winograd *s, float *y, const float *m, int first, int n,
		      const float *bias, const float *residual)
{
	size_t Kp = padded(s->K);

	for (int t = 0; t < n; t++) {
		struct place p = where(s, first + t);
		int high = s->H - p.top < TILE ? s->H - p.top : TILE;
		int wide = s->W - p.left < TILE ? s->W - p.left : TILE;
		size_t corner = (((size_t)p.image * s->H + p.top) * s->W + p.left) * s->K;

		for (int k = 0; k < s->K; k += VL) {
			vec d[ALL], e[TILE * IN], f[TILE * TILE], b = bias ? load(bias + k) : (vec){ 0 };

			for (int i = 0; i < ALL; i++)
				d[i] = load(m + ((size_t)i * n + t) * Kp + k);
			for (int i = 0; i < IN; i++)
				by_A(e + i, IN, d + i, IN);
			for (int i = 0; i < TILE; i++)
				by_A(f + TILE * i, 1, e + IN * i, 1);
			for (int i = 0; i < high; i++)
				for (int j = 0; j < wide; j++) {
					size_t at = corner + ((size_t)i * s->W + j) * s->K + k;
					vec r = f[TILE * i + j] + b;

					if (residual)
						r += load(residual + at);
					store(y + at, r);
				}
		}
	}
}

/* --- products --------------------------------------------------------------------------------- */

/* out [rows][PW] (+)= sum over i < n of a[r*ar + i*ai] * b[i*bi + 0..PW-1] */
#define PRODUCT static inline __attribute__((always_inline)) void
PRODUCT product(int rows, int n, const float *a, size_t ar, size_t ai, const float *b, size_t bi, float *out,
		size_t step, bool add)
{
	vec left[ROWS], right[ROWS];

#pragma GCC unroll 12
	for (int r = 0; r < rows; r++) {
		left[r] = add ? load(out + r * step) : (vec){ 0 };
		right[r] = add ? load(out + r * step + VL) : (vec){ 0 };
	}
	for (int i = 0; i < n; i++) {
		vec b0 = load(b + i * bi), b1 = load(b + i * bi + VL);

#pragma GCC unroll 12
		for (int r = 0; r < rows; r++) {
			float f = a[r * ar + i * ai];

			left[r] += f * b0;
			right[r] += f * b1;
		}
	}
#pragma GCC unroll 12
	for (int r = 0; r < rows; r++) {
		store(out + r * step, left[r]);
		store(out + r * step + VL, right[r]);
	}
}

static void products(int rows, int n, const float *a, size_t ar, size_t ai, const float *b, size_t bi,
		     float *out, size_t step, bool add)
{
	for (; rows >= ROWS; rows -= ROWS, a += ROWS * ar, out += ROWS * step)
		product(ROWS, n, a, ar, ai, b, bi, out, step, add);
	for (; rows >= 4; rows -= 4, a += 4 * ar, out += 4 * step)
		product(4, n, a, ar, ai, b, bi, out, step, add);
	for (; rows >= 1; rows--, a += ar, out += step)
		product(1, n, a, ar, ai, b, bi, out, step, add);
}

/* --- the convolution ---------------------------------------------------------------------------- */

/* G w G' of VL channels c of one k, into t [36] */
static void transform(vec t[ALL], const float *w, size_t step, bool turned)
{
	vec d[9], e[IN * 3];

	for (int i = 0; i < 9; i++)
		for (int c = 0; c < VL; c++)
			d[i][c] = w[c * step + (turned ? 8 - i : i)];
	for (int i = 0; i < 3; i++)
		by_G(e + i, 3, d + i, 3);
	for (int i = 0; i < IN; i++)
		by_G(t + IN * i, 1, e + 3 * i, 1);
}

void CPU(winograd_pack)(const struct winograd *s, float *packed, const float *w, bool back)
{
	size_t Kp = padded(s->K), C = (size_t)s->C;
	/* w[k][c] forward; backward what is our k is the stored tensor's second index */
	size_t k_step = back ? 9 : 9 * C, c_step = back ? 9 * (size_t)s->K : 9;

	for (size_t panel = 0; panel < Kp / PW; panel++)
		for (size_t c = 0; c < C; c += VL) {
			static const vec nothing[ALL];
			vec t[PW][ALL];

			for (int k = 0; k < PW; k++) {
				size_t at = panel * PW + (size_t)k;

				if (at < (size_t)s->K)
					transform(t[k], w + at * k_step + c * c_step, c_step, back);
				else
					memcpy(t[k], nothing, sizeof(nothing));
			}
			for (int i = 0; i < ALL; i++) {
				float *to = packed + (((size_t)i * (Kp / PW) + panel) * C + c) * PW;

				for (int j = 0; j < VL; j++)
					for (int k = 0; k < PW; k++)
						to[j * PW + k] = ((const float *)&t[k][i])[j];
			}
		}
}

void CPU(winograd_forward)(const struct winograd *s, float *y, const float *x, const float *packed,
			   const float *bias, const float *residual, float *scratch)
{
	size_t Cp = padded(s->C), Kp = padded(s->K);
	int most = block(s, FORWARD_BYTES), all = tiles(s);
	float *zero = scratch, *v = zero + Cp, *m = v + ALL * (size_t)most * Cp;

	memset(zero, 0, Cp * sizeof(float));
	for (int first = 0; first < all; first += most) {
		int n = all - first < most ? all - first : most;

		tiles_in(s, v, x, first, n, zero);
		for (size_t i = 0; i < ALL; i++)
			for (size_t panel = 0; panel < Kp / PW; panel++)
				products(n, s->C, v + i * n * Cp, Cp, 1,
					 packed + (i * (Kp / PW) + panel) * s->C * PW, PW,
					 m + i * n * Kp + panel * PW, Kp, false);
		tiles_out(s, y, m, first, n, bias, residual);
	}
}

/* dw [k0 .. k0+KB-1][c0 .. c0+CB-1][3,3] = G' sum G; sum [36] matrices `apart` from each other, with rows of
 * `step` */
static void finish(const struct winograd *s, float *dw, const float *sum, size_t apart, size_t step, int k0,
		   int c0)
{
	for (int k = 0; k < KB && k0 + k < s->K; k++)
		for (int c = 0; c < CB && c0 + c < s->C; c += VL) {
			vec d[ALL], e[3 * IN], f[9];
			float *to = dw + ((size_t)(k0 + k) * s->C + c0 + c) * 9;

			for (int i = 0; i < ALL; i++)
				d[i] = load(sum + i * apart + k * step + c);
			for (int i = 0; i < IN; i++)
				by_G_turned(e + i, IN, d + i, IN);
			for (int i = 0; i < 3; i++)
				by_G_turned(f + 3 * i, 1, e + IN * i, 1);
			for (int j = 0; j < VL; j++)
				for (int i = 0; i < 9; i++)
					to[9 * j + i] = ((const float *)&f[i])[j];
		}
}

/* sum [36][KB][CB] (+)= z' v over n tiles, for one panel */
static void panel_sums(const struct winograd *s, float *sum, size_t apart, size_t step, const float *z,
		       const float *v, int n, int k0, int c0, bool add)
{
	size_t Cp = padded(s->C), Kp = padded(s->K);
	int rows = s->K - k0 < KB ? s->K - k0 : KB;

	for (size_t i = 0; i < ALL; i++)
		for (size_t c = 0; c < CB && c0 + c < Cp; c += PW)
			products(rows, n, z + i * n * Kp + k0, 1, Kp, v + i * n * Cp + c0 + c, Cp,
				 sum + i * apart + c, step, add);
}

void CPU(winograd_weights)(const struct winograd *s, float *dw, const float *x, const float *dy, float *scratch)
{
	size_t Cp = padded(s->C), Kp = padded(s->K), columns = (Cp + CB - 1) / CB * CB;
	size_t rows = ((size_t)s->K + KB - 1) / KB * KB;
	int most = block(s, WEIGHTS_BYTES), all = tiles(s);
	bool whole = one_block(s);
	size_t step = whole ? (size_t)CB : columns, apart = whole ? (size_t)KB * CB : rows * columns;
	float *zero = scratch, *v = zero + (Cp > Kp ? Cp : Kp), *z = v + ALL * (size_t)most * Cp;
	float *sum = z + ALL * (size_t)most * Kp;

	memset(zero, 0, (Cp > Kp ? Cp : Kp) * sizeof(float));
	for (int first = 0; first < all; first += most) {
		int n = all - first < most ? all - first : most;

		tiles_in(s, v, x, first, n, zero);
		tiles_of_dy(s, z, dy, first, n, zero);
		for (int k = 0; k < s->K; k += KB)
			for (int c = 0; c < s->C; c += CB) {
				float *part = whole ? sum : sum + k * columns + c;

				panel_sums(s, part, apart, step, z, v, n, k, c, first > 0);
				if (first + n == all)
					finish(s, dw, part, apart, step, k, c);
			}
	}
}
