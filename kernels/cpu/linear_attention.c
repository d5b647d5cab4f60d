/* linear_attention.c -- attention by way of a [d,d] matrix a head, a block of rows at a time.
 *
 * Letters as in the rule.  All sums are in f32.  A block has as many rows [R,C] as stay in the
 * cache; what is done to single numbers is done for all heads at once, because a head may be eight
 * channels wide. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/vec.h"

#include <string.h>

struct sizes {
	int N, L, C, heads, d;          /* d: channels of a head */
	int R;                          /* rows of a block */
	int type;
};

static struct sizes sizes(const struct dtn_node *y)
{
	/* elements of a block; rows that fill a product */
	enum { BLOCK = 32768, LEAST = 32 };
	const int *dim = y->shape.dim;
	struct sizes s = { .N = dim[0], .L = dim[1] * dim[2], .C = dim[3], .type = y->type };

	s.heads = y->attr.attention.heads;
	s.d = s.C / s.heads;
	s.R = BLOCK / s.C > LEAST ? BLOCK / s.C : LEAST;
	s.R = s.R < s.L ? s.R : s.L;
	return s;
}

/* Scratch memory.  a has the features F or E of a block; b and c what the products of it need. */
struct room {
	float *M, *dM;                  /* [heads,d,d] */
	float *z, *dz;                  /* [heads,d] */
	float *a, *b, *c, *e;           /* [R,C] */
};

static size_t scratch(const struct dtn_call *c)
{
	struct sizes s = sizes(c->y);
	size_t C = (size_t)s.C;

	return (2 * C * (size_t)s.d + 2 * C + 4 * C * (size_t)s.R) * sizeof(float);
}

static struct room room(const struct dtn_call *c, struct sizes s)
{
	size_t C = (size_t)s.C, block = C * (size_t)s.R;
	struct room r = { .M = c->scratch };

	r.dM = r.M + C * (size_t)s.d;
	r.z = r.dM + C * (size_t)s.d;
	r.dz = r.z + C;
	r.a = r.dz + C;
	r.b = r.a + block;
	r.c = r.b + block;
	r.e = r.c + block;
	return r;
}

/* --- numbers ---------------------------------------------------------------------------------- */

static const float Least = -30;         /* exp is held below */

/* NaN where x is not finite: vec_exp would hide it. */
static INLINE float feature(float x)
{
	float low = x > 0 ? 0 : x < Least ? Least : x;

	return mad(x, 0, x > 0 ? x + 1 : vec_exp_held(low));
}

static INLINE void features_of(float *restrict to, const void *restrict from, size_t n,
			       const int type)
{
	for (size_t i = 0; i < n; i++)
		to[i] = feature(get(from, i, type));
}

static void features(float *to, const void *from, size_t first, size_t n, int type)
{
	BY_TYPE(type, features_of, to, at(from, first, type), n);
}

/* g *= f'(x), given f = f(x). */
static void by_slope(float *restrict g, const float *restrict f, size_t n)
{
	const float least = feature(Least);

	for (size_t i = 0; i < n; i++)
		g[i] *= f[i] > 1 ? 1 : f[i] > least ? f[i] : 0;
}

/* n elements in f32: where they lie, or copied. */
static const float *plain(const void *from, size_t first, size_t n, int type, float *copy)
{
	if (type == DTN_F32)
		return (const float *)from + first;
	vec_copy(copy, at(from, first, DTN_BF16), n, false, DTN_F32, DTN_BF16);
	return copy;
}

static void store(void *to, size_t first, const float *from, size_t n, int type, bool add)
{
	if (type == DTN_F32)
		vec_copy(at_out(to, first, DTN_F32), from, n, add, DTN_F32, DTN_F32);
	else
		vec_copy(at_out(to, first, DTN_BF16), from, n, add, DTN_BF16, DTN_F32);
}

/* In eight lanes: a head may be no wider. */
static INLINE float dot(const float *x, const float *y, int n)
{
	float lane[8] = { 0 }, rest = 0;
	int i = 0;

	for (; i + 8 <= n; i += 8)
#pragma GCC unroll 1
		for (int j = 0; j < 8; j++)
			lane[j] = mad(x[i + j], y[i + j], lane[j]);
	for (; i < n; i++)
		rest = mad(x[i], y[i], rest);
	for (int half = 4; half > 0; half /= 2)
		for (int j = 0; j < half; j++)
			lane[j] += lane[j + half];
	return lane[0] + rest;
}

/* --- products, head by head ------------------------------------------------------------------- */

/* [heads,d,d] = or += x' y, both [R,C] */
static void squares(struct sizes s, const float *x, const float *y, float *to, int R, bool add)
{
	for (int k = 0; k < s.C; k += s.d)
		CPU(onednn_sgemm)('T', 'N', s.d, s.d, R, x + k, s.C, y + k, s.C, add,
				  to + (size_t)k * (size_t)s.d, s.d);
}

/* [R,C] = x m, or x m' where `turned` is 'T'; x [R,C], m [heads,d,d] */
static void by_squares(struct sizes s, const float *x, const float *m, char turned, float *to,
		       int R)
{
	for (int k = 0; k < s.C; k += s.d)
		CPU(onednn_sgemm)('N', turned, R, s.d, s.d, x + k, s.C,
				  m + (size_t)k * (size_t)s.d, s.d, 0, to + k, s.C);
}

/* --- forward ---------------------------------------------------------------------------------- */

/* Rows i .. i+R of image n begin here in a tensor. */
static size_t begins(struct sizes s, int n, int i)
{
	return ((size_t)n * (size_t)s.L + (size_t)i) * (size_t)s.C;
}

static int rows(struct sizes s, int i)
{
	return s.L - i < s.R ? s.L - i : s.R;
}

static void add_rows(float *restrict sum, const float *restrict x, int rows, int C)
{
	for (int r = 0; r < rows; r++, x += C)
		for (int k = 0; k < C; k++)
			sum[k] += x[k];
}

/* M and z of image n. */
static void keys(const struct dtn_call *c, struct sizes s, struct room m, int n)
{
	memset(m.z, 0, (size_t)s.C * sizeof(*m.z));
	for (int i = 0; i < s.L; i += s.R) {
		size_t first = begins(s, n, i), count = (size_t)rows(s, i) * (size_t)s.C;

		features(m.a, c->x[1], first, count, s.type);
		add_rows(m.z, m.a, rows(s, i), s.C);
		squares(s, m.a, plain(c->x[2], first, count, s.type, m.b), m.M, rows(s, i), i > 0);
	}
}

/* Each head's row of o divided by f.z. */
static void divide(struct sizes s, float *o, const float *f, const float *z, int R)
{
	for (int r = 0; r < R; r++)
		for (int k = 0; k < s.C; k += s.d, f += s.d, o += s.d) {
			float by = 1 / dot(f, z + k, s.d);

			for (int j = 0; j < s.d; j++)
				o[j] *= by;
		}
}

static void forward(const struct dtn_call *c)
{
	const struct sizes s = sizes(c->y);
	struct room m = room(c, s);

	for (int n = 0; n < s.N; n++) {
		keys(c, s, m, n);
		for (int i = 0; i < s.L; i += s.R) {
			size_t first = begins(s, n, i), count = (size_t)rows(s, i) * (size_t)s.C;

			features(m.a, c->x[0], first, count, s.type);
			by_squares(s, m.a, m.M, 'N', m.b, rows(s, i));
			divide(s, m.b, m.a, m.z, rows(s, i));
			store(c->out, first, m.b, count, s.type, false);
		}
	}
}

/* --- backward --------------------------------------------------------------------------------- */

/* One head's row: g becomes dF, e dO / D; dz grows.  f, dout, z, g [d] */
static INLINE void row_slopes(float *restrict g, float *restrict e, float *restrict dz,
			      const float *restrict f, const float *restrict dout,
			      const float *restrict z, int d)
{
	float by = 1 / dot(f, z, d), s = by * dot(f, g, d);

	for (int j = 0; j < d; j++) {
		e[j] = by * dout[j];
		dz[j] -= s * by * f[j];
		g[j] = by * (g[j] - s * z[j]);
	}
}

/* dQ of a block of rows, and their part of dM and dz. */
static void queries_backward(const struct dtn_call *c, struct sizes s, struct room m, int n, int i)
{
	size_t first = begins(s, n, i), count = (size_t)rows(s, i) * (size_t)s.C;
	const float *dout = plain(c->dout, first, count, s.type, m.b);

	features(m.a, c->x[0], first, count, s.type);
	by_squares(s, dout, m.M, 'T', m.c, rows(s, i));
	for (size_t at = 0; at < count; at += (size_t)s.d) {
		size_t k = at % (size_t)s.C;

		row_slopes(m.c + at, m.e + at, m.dz + k, m.a + at, dout + at, m.z + k, s.d);
	}
	if (c->dx[0]) {
		by_slope(m.c, m.a, count);
		store(c->dx[0], first, m.c, count, s.type, c->add[0]);
	}
	if (c->dx[1] || c->dx[2])
		squares(s, m.a, m.e, m.dM, rows(s, i), i > 0);
}

static void add_to_rows(float *restrict x, const float *restrict row, int rows, int C)
{
	for (int r = 0; r < rows; r++, x += C)
		for (int k = 0; k < C; k++)
			x[k] += row[k];
}

/* dK and dV of a block of rows. */
static void keys_backward(const struct dtn_call *c, struct sizes s, struct room m, int n, int i)
{
	size_t first = begins(s, n, i), count = (size_t)rows(s, i) * (size_t)s.C;
	const float *v = plain(c->x[2], first, count, s.type, m.b);

	features(m.a, c->x[1], first, count, s.type);
	if (c->dx[1]) {
		by_squares(s, v, m.dM, 'T', m.c, rows(s, i));
		add_to_rows(m.c, m.dz, rows(s, i), s.C);
		by_slope(m.c, m.a, count);
		store(c->dx[1], first, m.c, count, s.type, c->add[1]);
	}
	if (c->dx[2]) {
		by_squares(s, m.a, m.dM, 'N', m.e, rows(s, i));
		store(c->dx[2], first, m.e, count, s.type, c->add[2]);
	}
}

static void backward(const struct dtn_call *c)
{
	const struct sizes s = sizes(c->y);
	struct room m = room(c, s);

	for (int n = 0; n < s.N; n++) {
		keys(c, s, m, n);
		memset(m.dz, 0, (size_t)s.C * sizeof(*m.dz));
		for (int i = 0; i < s.L; i += s.R)
			queries_backward(c, s, m, n, i);
		for (int i = 0; i < s.L && (c->dx[1] || c->dx[2]); i += s.R)
			keys_backward(c, s, m, n, i);
	}
}

const struct dtn_kernel CPU(linear_attention) = {
	.forward = forward, .backward = backward, .scratch = scratch
};
