/* winograd_weights.c -- gradients of the weights of 3x3 convolutions; the formulas stand in
 * tiles.h.
 *
 *      x  ---B'xB---> v [36][C panel][tile][PW] --+
 *                                                 +--> sum [36][K panel][C panel][KB][PW]
 *      dy ---AyA'---> z [36][K panel][tile][KB] --+            |
 *                                                              +---G'sG---> dw
 *
 * Where all tiles together are few, each pair of panels is finished before the next, so that its
 * sums stay in the cache.  Otherwise tiles go in blocks, and each element is done for all panels
 * before the next.
 */
#include "kernels/cpu/tiles.h"

#include <string.h>

enum { KB = 32, FEW = 1536 << 10, BLOCK = 128 };

/* --- sizes ------------------------------------------------------------------------------------ */

struct sizes {
	size_t C, K;            /* in whole panels */
	int block;              /* tiles */
	bool few;               /* all tiles in one block, panels one after another */
	size_t v, z, sum;       /* floats from one element to the next */
};

static struct sizes sizes(const struct winograd *s)
{
	size_t C = round_up((size_t)s->C, PW), K = round_up((size_t)s->K, KB),
	       all = (size_t)tiles(s);
	size_t block = all < BLOCK ? all : BLOCK;
	bool few = all <= BLOCK && ALL * all * (C + K) * sizeof(float) <= FEW;

	return (struct sizes){ C,
			       K,
			       (int)block,
			       few,
			       plane(block, C),
			       plane(block, K),
			       few ? plane(KB, PW) : plane(K, C) };
}

size_t CPU(winograd_weights_scratch)(const struct winograd *s)
{
	struct sizes z = sizes(s);

	return (z.C + z.K + ALL * (z.v + z.z + z.sum)) * sizeof(float);
}

/* --- tiles ------------------------------------------------------------------------------------ */

/* v [36][C panel][n][PW] of tiles first .. first+n-1 of x */
static void tiles_of_x(const struct winograd *s, const struct sizes *z, float *v, const float *x,
		       int first, int n, const float *zero)
{
	for (int t = 0; t < n; t++) {
		const float *at[ALL];

		pixels(at, s, where(s, first + t), -1, IN, x, s->C, zero);
		for (size_t c = 0; c < (size_t)s->C; c += VL)
			tile_in(v + c / PW * PW * (size_t)n + (size_t)t * PW + c % PW, z->v, at, c);
	}
}

/* A dY A' of a tile's 16 pixels from channel k on */
static inline void tile_of_dy(float *to, size_t apart, const float *const at[TILE * TILE], size_t k)
{
	vec d[TILE], column[IN], e[IN][TILE], f[IN];

	for (int j = 0; j < TILE; j++) {
		for (int i = 0; i < TILE; i++)
			d[i] = load(at[TILE * i + j] + k);
		by_A_turned(column, d);
		for (int i = 0; i < IN; i++)
			e[i][j] = column[i];
	}
	for (int i = 0; i < IN; i++) {
		by_A_turned(f, e[i]);
		for (int j = 0; j < IN; j++, to += apart)
			store(to, f[j]);
	}
}

/* z [36][K panel][n][KB] of tiles first .. first+n-1 of dy */
static void tiles_of_dy(const struct winograd *s, const struct sizes *z, float *to, const float *dy,
			int first, int n, const float *zero)
{
	for (int t = 0; t < n; t++) {
		const float *at[TILE * TILE];

		pixels(at, s, where(s, first + t), 0, TILE, dy, s->K, zero);
		for (size_t k = 0; k < (size_t)s->K; k += VL)
			tile_of_dy(to + k / KB * KB * (size_t)n + (size_t)t * KB + k % KB, z->z, at,
				   k);
	}
}

/* db += the sum over all pixels: element (1,1) of A dY A' is the sum over the tile. */
static void add_bias(const struct winograd *s, const struct sizes *z, float *db, const float *of_dy,
		     int n)
{
	const float *from = of_dy + (IN + 1) * z->z;

	for (int k = 0; k < s->K; k += KB, db += KB) {
		int real = s->K - k < KB ? s->K - k : KB;

		for (int t = 0; t < n; t++, from += KB)
			for (int j = 0; j < real; j++)
				db[j] += from[j];
	}
}

/* --- sums ------------------------------------------------------------------------------------- */

struct operands { float *v, *z, *sum; int n; bool add; };

/* One element of one pair of panels; sum [KB][PW]. */
static void panel_sum(const struct winograd *s, const struct sizes *z, const struct operands *o,
		      float *sum, int i, int k, int c)
{
	int rows = s->K - k < KB ? s->K - k : KB;
	const float *of_dy = o->z + (size_t)i * z->z + (size_t)k * o->n;
	const float *of_x = o->v + (size_t)i * z->v + (size_t)c * o->n;

	CPU(products)(rows, o->n, of_dy, 1, KB, of_x, sum, PW, o->add);
}

/* dw of inputs c .. c+VL-1 and one output, from to [9][VL]: [VL][9] */
static void put(float *dw, const float *taps)
{
	for (int j = 0; j < VL; j += 4) {
		float *to = dw + 9 * j;

		transpose(to, 9, taps + j, VL);
		transpose(to + 4, 9, taps + 4 * VL + j, VL);
		for (int i = 0; i < 4; i++)
			to[9 * i + 8] = taps[8 * VL + j + i];
	}
}

/* dw of outputs k .. k+KB-1 and inputs c .. c+PW-1 = G' sum G */
static void finish(const struct winograd *s, const struct sizes *z, float *dw, const float *sum,
		   int k, int c)
{
	for (int a = 0; a < KB && k + a < s->K; a++)
		for (int b = 0; b < PW && c + b < s->C; b += VL) {
			const float *from = sum + a * PW + b;
			vec d[IN], column[3], e[3][IN], f[3];
			float taps[9 * VL];

			for (int j = 0; j < IN; j++) {
				for (int i = 0; i < IN; i++)
					d[i] = load(from + (size_t)(IN * i + j) * z->sum);
				by_G_turned(column, d);
				for (int i = 0; i < 3; i++)
					e[i][j] = column[i];
			}
			for (int i = 0; i < 3; i++) {
				by_G_turned(f, e[i]);
				for (int j = 0; j < 3; j++)
					store(taps + (3 * i + j) * VL, f[j]);
			}
			put(dw + ((size_t)(k + a) * s->C + c + b) * 9, taps);
		}
}

/* Where the sums of a pair of panels begin when all are kept. */
static float *sum_at(const struct sizes *z, float *sum, int k, int c)
{
	return sum + (size_t)k * z->C + (size_t)c * KB;
}

static void few(const struct winograd *s, const struct sizes *z, const struct operands *o,
		float *dw)
{
	for (int k = 0; k < s->K; k += KB)
		for (int c = 0; c < s->C; c += PW) {
			for (int i = 0; i < ALL; i++)
				panel_sum(s, z, o, o->sum + (size_t)i * z->sum, i, k, c);
			finish(s, z, dw, o->sum, k, c);
		}
}

static void many(const struct winograd *s, const struct sizes *z, const struct operands *o)
{
	for (int i = 0; i < ALL; i++)
		for (int k = 0; k < s->K; k += KB)
			for (int c = 0; c < s->C; c += PW)
				panel_sum(s, z, o, sum_at(z, o->sum, k, c) + (size_t)i * z->sum, i,
					  k, c);
}

void CPU(winograd_weights)(const struct winograd *s, float *dw, float *db, const float *x,
			   const float *dy, float *scratch)
{
	struct sizes z = sizes(s);
	size_t widest = z.C > z.K ? z.C : z.K;
	float *zero = scratch;
	struct operands o = { .v = zero + widest };
	int all = tiles(s);

	o.z = o.v + ALL * z.v;
	o.sum = o.z + ALL * z.z;
	memset(zero, 0, widest * sizeof(float));
	memset(db, 0, (size_t)s->K * sizeof(float));
	for (int first = 0; first < all; first += z.block) {
		o.n = all - first < z.block ? all - first : z.block;
		o.add = first > 0;
		tiles_of_x(s, &z, o.v, x, first, o.n, zero);
		tiles_of_dy(s, &z, o.z, dy, first, o.n, zero);
		add_bias(s, &z, db, o.z, o.n);
		if (z.few)
			few(s, &z, &o, dw);
		else
			many(s, &z, &o);
	}
	for (int k = 0; k < s->K && !z.few; k += KB)
		for (int c = 0; c < s->C; c += PW)
			finish(s, &z, dw, sum_at(&z, o.sum, k, c), k, c);
}
