/* attention.c -- softmax attention, a block of rows at a time.
 *
 * Only a block [R,L] of the L x L table of one image and head exists at any time, in scratch
 * memory, sized for the cache.  All products are in f32: tensors in f32 are read and written where
 * they lie, those in bf16 go through copies [L,d] in scratch memory. */
#include "kernels/cpu/cpu.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/vec.h"

#include <math.h>

struct sizes {
	int N, L, C, heads, d;          /* d: channels of a head */
	int R;                          /* rows of a block */
	float scale;
	int type;
};

static struct sizes sizes(const struct dtn_node *y)
{
	/* elements that stay in the cache; rows that fill a product */
	enum { BLOCK = 32768, LEAST = 32 };
	const int *dim = y->shape.dim;
	struct sizes s = { .N = dim[0], .L = dim[1] * dim[2], .C = dim[3], .type = y->type };

	s.heads = y->attr.attention.heads;
	s.d = s.C / s.heads;
	s.R = BLOCK / s.L > LEAST ? BLOCK / s.L / 8 * 8 : LEAST;
	s.R = s.R < s.L ? s.R : s.L;
	s.scale = 1 / sqrtf((float)s.d);
	return s;
}

/* One head's part [L,d] of a tensor [L,C], in f32: row i begins at p + i * step. */
struct part { float *p; int step; };

/* Scratch memory: S and dS [R,L], and copies [L,d] where the tensors are in bf16. */
enum { COPIES = 7 };

static size_t scratch(const struct dtn_call *c)
{
	struct sizes s = sizes(c->y);
	size_t L = (size_t)s.L, copies = s.type == DTN_F32 ? 0 : COPIES * L * (size_t)s.d;

	return (2 * L * (size_t)s.R + copies) * sizeof(float);
}

static float *copy_at(const struct dtn_call *c, struct sizes s, int i)
{
	return (float *)c->scratch + 2 * (size_t)s.L * (size_t)s.R +
	       (size_t)i * (size_t)s.L * (size_t)s.d;
}

/* Where head `head` of image n begins in a tensor of this shape. */
static size_t begins(struct sizes s, int n, int head)
{
	return (size_t)n * (size_t)s.L * (size_t)s.C + (size_t)head * (size_t)s.d;
}

/* The part itself, or room for a copy of it. */
static struct part place(const struct dtn_call *c, struct sizes s, const void *tensor, size_t first,
			 int copy)
{
	if (s.type == DTN_F32)
		return (struct part){ (float *)tensor + first, s.C };
	return (struct part){ copy_at(c, s, copy), s.d };
}

static struct part read(const struct dtn_call *c, struct sizes s, const void *tensor, size_t first,
			int copy)
{
	struct part to = place(c, s, tensor, first, copy);

	for (int i = 0; s.type != DTN_F32 && i < s.L; i++)
		vec_copy(to.p + i * to.step, at(tensor, first + (size_t)i * (size_t)s.C, DTN_BF16),
			 (size_t)s.d, false, DTN_F32, DTN_BF16);
	return to;
}

/* From a copy back to the tensor; a part that lies in the tensor is there already. */
static void write(struct sizes s, void *tensor, size_t first, struct part from, bool add)
{
	for (int i = 0; s.type != DTN_F32 && i < s.L; i++)
		vec_copy(at_out(tensor, first + (size_t)i * (size_t)s.C, DTN_BF16),
			 from.p + i * from.step, (size_t)s.d, add, DTN_BF16, DTN_F32);
}

static float *row(struct part a, int i)
{
	return a.p + (size_t)i * (size_t)a.step;
}

/* --- rows ------------------------------------------------------------------------------------- */

/* s = exp(scale s - shift), NaN where that is not finite: vec_exp would hide it. */
static void exponentials(float *s, size_t n, float scale, float shift)
{
	for (size_t i = 0; i < n; i++) {
		float x = mad(s[i], scale, -shift);
		s[i] = mad(x, 0, vec_exp(x));
	}
}

static void multiply(float *x, size_t n, float by)
{
	for (size_t i = 0; i < n; i++)
		x[i] *= by;
}

/* s becomes P = softmax of scale s, whose logarithm of the sum is returned. */
static float softmax(float *s, size_t n, float scale)
{
	float most = scale * vec_max(s, n), sum;

	exponentials(s, n, scale, most);
	sum = vec_sum(s, n);
	multiply(s, n, 1 / sum);
	return most + logf(sum);
}

/* s becomes P, given lse, and dp becomes scale P (dp - D) with D = sum P dp.
 *
 * D is also the product of the result and its gradient, but the result may be rounded to bf16, and
 * where one P is almost 1 dp - D almost cancels.  For the same reason the rounding of lse is
 * divided out. */
static void slopes(float *restrict s, float *restrict dp, size_t n, float scale, float lse)
{
	float sum, D;

	exponentials(s, n, scale, lse);
	sum = 1 / vec_sum(s, n);
	D = sum * vec_dot(s, dp, n);
	for (size_t i = 0; i < n; i++) {
		s[i] *= sum;
		dp[i] = scale * s[i] * (dp[i] - D);
	}
}

/* --- forward ---------------------------------------------------------------------------------- */

/* Rows i .. i+R of O; lse may be NULL. */
static void block_forward(struct sizes s, struct part q, struct part k, struct part v,
			  struct part o, float *S, float *lse, int i, int R)
{
	CPU(onednn_sgemm)('N', 'T', R, s.L, s.d, row(q, i), q.step, k.p, k.step, 0, S, s.L);
	for (int r = 0; r < R; r++) {
		float sum = softmax(S + (size_t)r * (size_t)s.L, (size_t)s.L, s.scale);

		if (lse)
			lse[i + r] = sum;
	}
	CPU(onednn_sgemm)('N', 'N', R, s.d, s.L, S, s.L, v.p, v.step, 0, row(o, i), o.step);
}

static void forward(const struct dtn_call *c)
{
	const struct sizes s = sizes(c->y);
	float *lse = c->saved;

	for (int n = 0; n < s.N; n++)
		for (int head = 0; head < s.heads; head++) {
			size_t first = begins(s, n, head);
			struct part q = read(c, s, c->x[0], first, 0),
				    k = read(c, s, c->x[1], first, 1);
			struct part v = read(c, s, c->x[2], first, 2),
				    o = place(c, s, c->out, first, 3);

			for (int i = 0; i < s.L; i += s.R)
				block_forward(s, q, k, v, o, c->scratch, lse, i,
					      s.L - i < s.R ? s.L - i : s.R);
			write(s, c->out, first, o, false);
			if (lse)
				lse += s.L;
		}
}

/* --- backward --------------------------------------------------------------------------------- */

/* One head of one image: S = Q K' and so on as in the rule's formulas; NULL where a gradient is
 * unwanted. */
struct head {
	struct part q, k, v, dout, dq, dk, dv;
	const float *lse;
	bool add[3];
};

/* Rows i .. i+R: dQ of these rows, and their part of dK and dV. */
static void block_backward(struct sizes s, const struct head *h, float *S, float *dS, int i, int R)
{
	int L = s.L, d = s.d;

	CPU(onednn_sgemm)('N', 'T', R, L, d, row(h->q, i), h->q.step, h->k.p, h->k.step, 0, S, L);
	CPU(onednn_sgemm)('N', 'T', R, L, d, row(h->dout, i), h->dout.step, h->v.p, h->v.step, 0,
			  dS, L);
	for (int r = 0; r < R; r++)
		slopes(S + (size_t)r * (size_t)L, dS + (size_t)r * (size_t)L, (size_t)L, s.scale,
		       h->lse[i + r]);
	if (h->dv.p)
		CPU(onednn_sgemm)('T', 'N', L, d, R, S, L, row(h->dout, i), h->dout.step,
				  i > 0 || h->add[2], h->dv.p, h->dv.step);
	if (h->dk.p)
		CPU(onednn_sgemm)('T', 'N', L, d, R, dS, L, row(h->q, i), h->q.step,
				  i > 0 || h->add[1], h->dk.p, h->dk.step);
	if (h->dq.p)
		CPU(onednn_sgemm)('N', 'N', R, d, L, dS, L, h->k.p, h->k.step, h->add[0],
				  row(h->dq, i), h->dq.step);
}

static void head_backward(const struct dtn_call *c, struct sizes s, size_t first, const float *lse)
{
	float *S = c->scratch, *dS = S + (size_t)s.R * (size_t)s.L;
	struct head h = { .lse = lse };
	struct part *const dx[] = { &h.dq, &h.dk, &h.dv };

	h.q = read(c, s, c->x[0], first, 0);
	h.k = read(c, s, c->x[1], first, 1);
	h.v = read(c, s, c->x[2], first, 2);
	h.dout = read(c, s, c->dout, first, 3);
	for (int k = 0; k < 3; k++)
		if (c->dx[k]) {
			*dx[k] = place(c, s, c->dx[k], first, 4 + k);
			h.add[k] = s.type == DTN_F32 && c->add[k];
		}
	for (int i = 0; i < s.L; i += s.R)
		block_backward(s, &h, S, dS, i, s.L - i < s.R ? s.L - i : s.R);
	for (int k = 0; k < 3; k++)
		if (c->dx[k])
			write(s, c->dx[k], first, *dx[k], c->add[k]);
}

static void backward(const struct dtn_call *c)
{
	const struct sizes s = sizes(c->y);
	const float *lse = c->saved;

	for (int n = 0; n < s.N; n++)
		for (int head = 0; head < s.heads; head++, lse += s.L)
			head_backward(c, s, begins(s, n, head), lse);
}

const struct dtn_kernel CPU(attention) = {
	.forward = forward, .backward = backward, .scratch = scratch
};
