/* groupnorm.c -- normalise groups of channels, with the time embedding before and SiLU after.
 *
 * One image is worked on at a time, so that the second pass over it finds it in the cache.
 * Everything that differs from channel to channel becomes a vector [C] first; the inner loops run
 * over channels, whatever the groups are.  With u = x + shift, mean m and r = 1/deviation of the
 * group:
 *
 *      h = (u - m) r = x r + k,  k = (shift - m) r,  z = h w + b
 *
 * Sums over positions are taken in blocks, and the blocks added: fewer roundings, and a block stays
 * in the nearest cache when it is read twice. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/vec.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 16, ROWS = 4 };  /* positions of a block; that are taken together */

struct sizes { size_t N, L, C, G; };

static struct sizes sizes(const struct dtn_node *y)
{
	const int *dim = y->shape.dim;

	return (struct sizes){ (size_t)dim[0], (size_t)dim[1] * (size_t)dim[2], (size_t)dim[3],
			       (size_t)y->attr.groupnorm.groups };
}

/* What differs from channel to channel, [C] each. */
struct vectors {
	float *r, *k, *w, *b;                   /* of h and z */
	float *sum, *sum_h, *h;                 /* over the image: of dz, of dz h, of h */
	float *part, *part_h, *part_of_h;       /* the same over a block */
	float *a, *e, *f;                       /* y = x a + f, dx = dz a + x e + f */
	float *mean, *m2, *part_mean, *part_m2; /* moments of x: over the image, over a block */
	/* m and r of each group, where nobody wants them saved: [2C] */
	float *stats;
};
enum { VECTORS = sizeof(struct vectors) / sizeof(float *) + 1 };

static struct vectors vectors(float *v, size_t C)
{
	return (struct vectors){ v,	     v + C,	 v + 2 * C,  v + 3 * C,	 v + 4 * C,
				 v + 5 * C,  v + 6 * C,	 v + 7 * C,  v + 8 * C,	 v + 9 * C,
				 v + 10 * C, v + 11 * C, v + 12 * C, v + 13 * C, v + 14 * C,
				 v + 15 * C, v + 16 * C, v + 17 * C };
}

/* The vectors, and where backward keeps dz [L,C]. */
static size_t scratch(const struct dtn_call *c)
{
	struct sizes s = sizes(c->y);
	size_t dz = c->training && c->y->attr.groupnorm.silu ? s.L * s.C : 0;

	return (VECTORS * s.C + dz) * sizeof(float);
}

/* --- forward ---------------------------------------------------------------------------------- */

/* sum += x, and m2 += (x - mean)^2, of some positions */
static INLINE void add_rows(float *restrict sum, const void *restrict x, size_t C, const int rows,
			    const int type)
{
	for (size_t c = 0; c < C; c++) {
		float total = get(x, c, type);

		for (int i = 1; i < rows; i++)
			total += get(x, (size_t)i * C + c, type);
		sum[c] += total;
	}
}

static INLINE void add_squares(float *restrict m2, const float *restrict mean,
			       const void *restrict x, size_t C, const int rows, const int type)
{
	for (size_t c = 0; c < C; c++) {
		float total = m2[c];

		for (int i = 0; i < rows; i++) {
			float d = get(x, (size_t)i * C + c, type) - mean[c];
			total = mad(d, d, total);
		}
		m2[c] = total;
	}
}

/* Mean and sum of squared deviations of each channel over n positions. */
static INLINE void block_moments(float *restrict mean, float *restrict m2, const void *restrict x,
				 size_t n, size_t C, const int type)
{
	const float share = 1 / (float)n;
	size_t p = 0;

	memset(mean, 0, C * sizeof(float));
	memset(m2, 0, C * sizeof(float));
	for (; p + ROWS <= n; p += ROWS)
		add_rows(mean, at(x, p * C, type), C, ROWS, type);
	for (; p < n; p++)
		add_rows(mean, at(x, p * C, type), C, 1, type);
	for (size_t c = 0; c < C; c++)
		mean[c] *= share;
	for (p = 0; p + ROWS <= n; p += ROWS)
		add_squares(m2, mean, at(x, p * C, type), C, ROWS, type);
	for (; p < n; p++)
		add_squares(m2, mean, at(x, p * C, type), C, 1, type);
}

/* The same over all positions: blocks are joined as in Chan, Golub & LeVeque 1979, eq. 2.1. */
static INLINE void moments(struct vectors v, const void *x, struct sizes s, const int type)
{
	const size_t C = s.C;

	for (size_t p = 0; p < s.L; p += BLOCK) {
		size_t n = s.L - p < BLOCK ? s.L - p : BLOCK;
		float share = (float)n / (float)(p + n), cross = share * (float)p;

		if (p == 0) {
			block_moments(v.mean, v.m2, x, n, C, type);
			continue;
		}
		block_moments(v.part_mean, v.part_m2, at(x, p * C, type), n, C, type);
#pragma GCC ivdep
		for (size_t c = 0; c < C; c++) {
			float d = v.part_mean[c] - v.mean[c];
			v.mean[c] = mad(d, share, v.mean[c]);
			v.m2[c] += mad(d * d, cross, v.part_m2[c]);
		}
	}
}

/* From the channels' moments to the groups' m and r: stats [G,2]. */
static void join(float *stats, struct vectors v, const float *shift, struct sizes s, float eps)
{
	size_t width = s.C / s.G;

	for (size_t g = 0; g < s.G; g++) {
		double sum = 0, m2 = 0, mean;

		for (size_t c = g * width; c < (g + 1) * width; c++)
			sum += (double)v.mean[c] + (shift ? (double)shift[c] : 0);
		mean = sum / (double)width;
		for (size_t c = g * width; c < (g + 1) * width; c++) {
			double d = (double)v.mean[c] + (shift ? (double)shift[c] : 0) - mean;
			m2 += (double)v.m2[c] + (double)s.L * d * d;
		}
		stats[2 * g] = (float)mean;
		stats[2 * g + 1] = (float)(1 / sqrt(m2 / (double)(width * s.L) + (double)eps));
	}
}

/* y = act(x a + f) */
static INLINE void apply(void *restrict y, const void *restrict x, const float *restrict a,
			 const float *restrict f, size_t L, size_t C, const bool silu,
			 const int type)
{
	for (size_t p = 0; p < L; p++)
		for (size_t c = 0; c < C; c++) {
			float z = mad(get(x, p * C + c, type), a[c], f[c]);
			put(y, p * C + c, silu ? z * vec_sigmoid(z) : z, type);
		}
}

static INLINE void up(const struct dtn_call *call, const int type)
{
	const struct sizes s = sizes(call->y);
	const float *w = call->x[1], *b = call->x[2], *shift = call->x[3];
	const struct vectors v = vectors(call->scratch, s.C);
	const size_t width = s.C / s.G;

	for (size_t n = 0; n < s.N; n++) {
		const void *x = at(call->x[0], n * s.L * s.C, type);
		void *y = at_out(call->out, n * s.L * s.C, type);
		float *stats = call->saved ? (float *)call->saved + 2 * s.G * n : v.stats;

		moments(v, x, s, type);
		join(stats, v, shift ? shift + n * s.C : NULL, s, call->y->attr.groupnorm.eps);
		for (size_t c = 0; c < s.C; c++) {
			float m = stats[2 * (c / width)], r = stats[2 * (c / width) + 1];
			v.a[c] = r * w[c];
			v.f[c] = ((shift ? shift[n * s.C + c] : 0) - m) * v.a[c] + b[c];
		}
		if (call->y->attr.groupnorm.silu)
			apply(y, x, v.a, v.f, s.L, s.C, true, type);
		else
			apply(y, x, v.a, v.f, s.L, s.C, false, type);
	}
}

static void forward(const struct dtn_call *c)
{
	BY_TYPE(c->y->type, up, c);
}

/* --- backward --------------------------------------------------------------------------------- */

/* r, k, w, b of each channel, for one image. */
static void factors(struct vectors v, const struct dtn_call *call, struct sizes s, size_t n)
{
	const float *w = call->x[1], *b = call->x[2], *shift = call->x[3];
	const float *stats = (const float *)call->saved + 2 * s.G * n;
	size_t width = s.C / s.G;

	for (size_t c = 0; c < s.C; c++) {
		float m = stats[2 * (c / width)], r = stats[2 * (c / width) + 1];
		v.r[c] = r;
		v.k[c] = ((shift ? shift[n * s.C + c] : 0) - m) * r;
		v.w[c] = w[c];
		v.b[c] = b[c];
	}
}

/* Some positions: dz to dz[] where there is SiLU, and onto the sums of dz, dz h and h.
 *      y = z s(z):  dz = dy s (1 + z (1 - s)) */
static INLINE void positions(struct vectors v, float *dz, const void *x, const void *dy, size_t C,
			     const int rows, const bool silu, const int type)
{
#pragma GCC ivdep
	for (size_t c = 0; c < C; c++) {
		float sum = v.part[c], sum_h = v.part_h[c], sum_of_h = v.part_of_h[c];

		for (int i = 0; i < rows; i++) {
			size_t j = (size_t)i * C + c;
			float h = mad(get(x, j, type), v.r[c], v.k[c]), d = get(dy, j, type);

			if (silu) {
				float z = mad(h, v.w[c], v.b[c]), s = vec_sigmoid(z);
				d *= s * mad(z, 1 - s, 1);
				dz[j] = d;
			}
			sum += d;
			sum_h = mad(d, h, sum_h);
			sum_of_h += h;
		}
		v.part[c] = sum;
		v.part_h[c] = sum_h;
		v.part_of_h[c] = sum_of_h;
	}
}

/* Sums over the image of dz, dz h and h, for each channel. */
static INLINE void sums(struct vectors v, float *dz, const void *x, const void *dy, struct sizes s,
			const bool silu, const int type)
{
	const size_t C = s.C;

	memset(v.sum, 0, 3 * C * sizeof(float));
	for (size_t p = 0; p < s.L;) {
		size_t end = s.L - p < BLOCK ? s.L : p + BLOCK;

		memset(v.part, 0, 3 * C * sizeof(float));
		for (; p + 2 <= end; p += 2)
			positions(v, dz + p * C, at(x, p * C, type), at(dy, p * C, type), C, 2,
				  silu, type);
		for (; p < end; p++)
			positions(v, dz + p * C, at(x, p * C, type), at(dy, p * C, type), C, 1,
				  silu, type);
#pragma GCC ivdep
		for (size_t c = 0; c < 3 * C; c++)
			v.sum[c] += v.part[c];
	}
}

/* dx = r (dh - mean(dh) - h mean(dh h)) with dh = dz w and h = x r + k is linear in dz and x:
 *      dx = dz a + x e + f
 * for each channel.  Its sum over positions is dshift, which may be NULL. */
static void slopes(struct vectors v, float *dshift, bool add, struct sizes s)
{
	const size_t width = s.C / s.G;
	const double L = (double)s.L, M = (double)(s.L * width);

	for (size_t g = 0; g < s.G; g++) {
		double dh = 0, dhh = 0;

		for (size_t c = g * width; c < (g + 1) * width; c++) {
			dh += (double)v.w[c] * (double)v.sum[c] / M;
			dhh += (double)v.w[c] * (double)v.sum_h[c] / M;
		}
		for (size_t c = g * width; c < (g + 1) * width; c++) {
			double r = (double)v.r[c], w = (double)v.w[c];

			v.a[c] = v.r[c] * v.w[c];
			v.e[c] = (float)(-r * r * dhh);
			v.f[c] = (float)(-r * (dh + (double)v.k[c] * dhh));
			if (dshift) {
				double d =
					r * (w * (double)v.sum[c] - L * dh - (double)v.h[c] * dhh);
				dshift[c] = (float)(add ? (double)dshift[c] + d : d);
			}
		}
	}
}

/* dx = d a + x e + f, d being dz [L,C] f32 or dy of the type of x. */
static INLINE void slope(struct vectors v, void *dx, const void *d, const void *x, struct sizes s,
			 const bool add, const int d_type, const int type)
{
	for (size_t p = 0; p < s.L; p++)
#pragma GCC ivdep
		for (size_t c = 0; c < s.C; c++) {
			size_t i = p * s.C + c;
			float t = mad(get(d, i, d_type), v.a[c],
				      mad(get(x, i, type), v.e[c], v.f[c]));
			put(dx, i, add ? get(dx, i, type) + t : t, type);
		}
}

static INLINE void by_input(struct vectors v, void *dx, const void *d, const void *x,
			    struct sizes s, bool add, const int d_type, const int type)
{
	if (add)
		slope(v, dx, d, x, s, true, d_type, type);
	else
		slope(v, dx, d, x, s, false, d_type, type);
}

/* Onto the gradients of w and b, which the first image stores. */
static void by_parameters(struct vectors v, float *dw, float *db, size_t C, bool add)
{
	for (size_t c = 0; dw && c < C; c++)
		dw[c] = add ? dw[c] + v.sum_h[c] : v.sum_h[c];
	for (size_t c = 0; db && c < C; c++)
		db[c] = add ? db[c] + v.sum[c] : v.sum[c];
}

static INLINE void down(const struct dtn_call *call, const int type)
{
	const struct sizes s = sizes(call->y);
	const struct vectors v = vectors(call->scratch, s.C);
	float *dz = (float *)call->scratch + VECTORS * s.C, *dshift = call->dx[3];
	const bool silu = call->y->attr.groupnorm.silu;

	for (size_t n = 0; n < s.N; n++) {
		size_t first = n * s.L * s.C;
		const void *x = at(call->x[0], first, type), *dy = at(call->dout, first, type);
		void *dx = call->dx[0] ? at_out(call->dx[0], first, type) : NULL;

		factors(v, call, s, n);
		if (silu)
			sums(v, dz, x, dy, s, true, type);
		else
			sums(v, dz, x, dy, s, false, type);
		by_parameters(v, call->dx[1], call->dx[2], s.C, n > 0);
		slopes(v, dshift ? dshift + n * s.C : NULL, call->add[3], s);
		if (dx && silu)
			by_input(v, dx, dz, x, s, call->add[0], DTN_F32, type);
		else if (dx)
			by_input(v, dx, dy, x, s, call->add[0], type, type);
	}
}

static void backward(const struct dtn_call *c)
{
	BY_TYPE(c->y->type, down, c);
}

const struct dtn_kernel CPU(groupnorm) = {
	.forward = forward, .backward = backward, .scratch = scratch
};
