/* attention_bf16.h -- what the sweeps of attention_bf16.cu are put together from: pieces of tensors
 * through a ring of stages, products of pieces, and the tables S and dP in a warp's registers. */
#ifndef DTN_CUDA_ATTENTION_BF16_H
#define DTN_CUDA_ATTENTION_BF16_H

#include "kernels/cuda/attention.h"
#include "kernels/cuda/ptx.h"

namespace {

enum { SIDE = 64, THREADS = 128, GRANULE = 8, STAGES = 3, PIECE = SIDE * SIDE };

/* Where granule g of row r lies in a piece. */
DEVICE int place(int r, int g)
{
	return r * SIDE + (g ^ (r & 7)) * GRANULE;
}

/* --- pieces ----------------------------------------------------------------------------------- */

/* n channels, 0 or less to 8 of them. */
template <bool EVEN> DEVICE void copy_granule(bf16 *to, const bf16 *from, int n)
{
	if constexpr (EVEN) {
		cp_async_16(to, from, n > 0);
	} else {
		union { bf16 at[GRANULE]; uint4 all; } v;

		for (int i = 0; i < GRANULE; i++)
			v.at[i] = i < n ? from[i] : bf16{ 0 };
		*reinterpret_cast<uint4 *>(to) = v.all;
	}
}

/* Brings the pieces of one step after the other. */
template <sweep S, bool EVEN> struct bringer {
	int row0, column0;              /* of this block: first row, first column of the result */
	int chunks, out_chunks;
	size_t head;                    /* where the part of this image and head begins */
	int j, step;                    /* the next: first row of Y, number within its turn */

	__device__ void begin(const attend &a, size_t first, int rows0, int columns0, int columns)
	{
		row0 = rows0;
		column0 = columns0;
		head = first;
		chunks = (a.d + SIDE - 1) / SIDE;
		out_chunks = S == SUMS ? 0 : (columns + SIDE - 1) / SIDE;
		j = step = 0;
	}

	/* The [64,64] at (row, channel) of a tensor, zeros beyond its ends. */
	__device__ void piece(const attend &a, bf16 *to, const void *tensor, int row, int channel)
	{
		const int g = (int)threadIdx.x % 8, left = a.d - channel - g * GRANULE;
		const bf16 *from = (const bf16 *)tensor;

#pragma unroll 1        /* several at once take too many registers */
		for (int i = 0; i < SIDE * 8 / THREADS; i++) {
			const int r = (int)threadIdx.x / 8 + THREADS / 8 * i;
			const bool valid = row + r < a.L && left > 0;
			const size_t at = head + (size_t)(row + r) * a.C + channel + g * GRANULE;

			copy_granule<EVEN>(to + place(r, g), valid ? from + at : from,
					   !valid ? 0 : left < GRANULE ? left : GRANULE);
		}
	}

	__device__ void bring(const attend &a, bf16 *stage)
	{
		const int products = forms_dp(S) ? 2 * chunks : chunks;

		if (j < a.L && step < products) {
			const bool second = step >= chunks;
			const int channel = (second ? step - chunks : step) * SIDE;

			piece(a, stage, second ? a.x2 : a.x, row0, channel);
			piece(a, stage + PIECE, second ? a.y2 : a.y, j, channel);
		} else if (j < a.L) {
			piece(a, stage, a.z, j, column0 + (step - products) * SIDE);
		}
		cp_async_commit();
		if (++step == products + out_chunks) {
			step = 0;
			j += SIDE;
		}
	}
};

/* The ring: every turn waits for the pieces of a step and has those of a later one brought. */
struct ring {
	bf16 *pieces;
	int at;

	template <class B> __device__ const bf16 *turn(B &from, const attend &a)
	{
		const bf16 *now = pieces + at * 2 * PIECE;

		cp_async_wait<STAGES - 2>();
		__syncthreads();
		from.bring(a, pieces + (at + STAGES - 1) % STAGES * 2 * PIECE);
		at = (at + 1) % STAGES;
		return now;
	}
};

/* --- products --------------------------------------------------------------------------------- */

/* s [16 of 64, 64] += X Y' of one chunk; this warp's rows. */
DEVICE void add_table(float s[8][4], const bf16 *x, const bf16 *y)
{
	const int lane = (int)threadIdx.x % WARP, row = (int)threadIdx.x / WARP * 16;

#pragma unroll
	for (int k = 0; k < 8; k += 2) {
		unsigned a[4], b[4];

		ldmatrix_4(a, x + place(row + lane % 16, k + lane / 16));
#pragma unroll
		for (int j = 0; j < 4; j++) {
			ldmatrix_4(b, y + place(16 * j + lane % 8 + lane / 16 * 8,
						k + lane / 8 % 2));
			mma_bf16(s[2 * j], a, b);
			mma_bf16(s[2 * j + 1], a, b + 2);
		}
	}
}

/* out [16 of 64, 64] += p [16, 64] Z of one chunk. */
DEVICE void add_rows(float out[8][4], const unsigned p[4][4], const bf16 *z)
{
	const int lane = (int)threadIdx.x % WARP;

#pragma unroll
	for (int k = 0; k < 4; k++)
#pragma unroll
		for (int j = 0; j < 4; j++) {
			unsigned b[4];

			ldmatrix_4t(b, z + place(16 * k + lane % 16, 2 * j + lane / 16));
			mma_bf16(out[2 * j], p[k], b);
			mma_bf16(out[2 * j + 1], p[k], b + 2);
		}
}

/* What mma left becomes what it takes, rounded to bf16. */
DEVICE void as_factor(unsigned p[4][4], const float s[8][4])
{
#pragma unroll
	for (int k = 0; k < 4; k++)
#pragma unroll
		for (int i = 0; i < 4; i++)
			p[k][i] = bf16_pair(s[2 * k + i / 2][i % 2 * 2],
					    s[2 * k + i / 2][i % 2 * 2 + 1]);
}

/* --- tables ----------------------------------------------------------------------------------- */

/* A thread has elements of two rows, lane / 4 and 8 further: s[j][e] is of row e / 2 and column 8 j
 * + 2 (lane % 4) + e % 2.  Four lanes share a row. */
DEVICE int column_of(int j, int e)
{
	return 8 * j + (int)threadIdx.x % 4 * 2 + e % 2;
}

DEVICE float row_max(float x)
{
	x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, 1));
	return fmaxf(x, __shfl_xor_sync(ALL_LANES, x, 2));
}

DEVICE float row_sum(float x)
{
	x += __shfl_xor_sync(ALL_LANES, x, 1);
	return x + __shfl_xor_sync(ALL_LANES, x, 2);
}

constexpr float LOG2E = 1.44269504f;

/* Of the two rows of a thread, until now: largest S, sum of P, sum of P dP. */
struct rows { float most[2], sum[2], dot[2]; };

/* What S is added to: -lse / scale of the row or column, so that P is just the exponential of
 * scale S; lse counts from the first row or column of all. */
template <sweep S>
DEVICE void begin_table(float s[8][4], const attend &a, const float *lse, int row0, int column0)
{
#pragma unroll
	for (int j = 0; j < 8; j++)
#pragma unroll
		for (int e = 0; e < 4; e++) {
			const int i = by_columns(S) ? column0 + column_of(j, e) : row0 + e / 2 * 8;

			s[j][e] = S != FORWARD && i < a.L ? -lse[i] * a.root : 0;
		}
}

/* What dP is added to: -D. */
template <sweep S>
DEVICE void begin_slopes(float dp[8][4], const attend &a, const float2 *sums, int row0,
			 int column0)
{
#pragma unroll
	for (int j = 0; j < 8; j++)
#pragma unroll
		for (int e = 0; e < 4; e++) {
			const int i = by_columns(S) ? column0 + column_of(j, e) : row0 + e / 2 * 8;

			dp[j][e] = (S == BY_Q || S == BY_K) && i < a.L ? -sums[i].x : 0;
		}
}

/* s becomes P, not yet divided by its sum; the sum so far and `out` shrink to a new largest. */
template <int W>
DEVICE void soften(float s[8][4], rows &r, float out[W / SIDE][8][4], float scale, int left)
{
	float most[2] = { r.most[0], r.most[1] }, shrink[2];

#pragma unroll
	for (int j = 0; j < 8; j++)
#pragma unroll
		for (int e = 0; e < 4; e++) {
			s[j][e] = column_of(j, e) < left ? s[j][e] : -INFINITY;
			most[e / 2] = fmaxf(most[e / 2], s[j][e]);
		}
#pragma unroll
	for (int h = 0; h < 2; h++) {
		most[h] = row_max(most[h]);
		shrink[h] = exp2f((r.most[h] - most[h]) * scale * LOG2E);
		r.most[h] = most[h];
		r.sum[h] *= shrink[h];
	}
#pragma unroll
	for (int j = 0; j < 8; j++)
#pragma unroll
		for (int e = 0; e < 4; e++) {
			s[j][e] = exp2f((s[j][e] - most[e / 2]) * (scale * LOG2E));
			r.sum[e / 2] += s[j][e];
		}
#pragma unroll
	for (int c = 0; c < W / SIDE; c++)
#pragma unroll
		for (int j = 0; j < 8; j++)
#pragma unroll
			for (int e = 0; e < 4; e++)
				out[c][j][e] *= shrink[e / 2];
}

DEVICE void add_sums(const float p[8][4], const float dp[8][4], rows &r)
{
#pragma unroll
	for (int j = 0; j < 8; j++)
#pragma unroll
		for (int e = 0; e < 4; e++) {
			r.sum[e / 2] += p[j][e];
			r.dot[e / 2] = fmaf(p[j][e], dp[j][e], r.dot[e / 2]);
		}
}

/* s becomes P; sums are of this turn's first column.  Rows are divided by their z at the end. */
template <sweep S>
DEVICE void probabilities(float s[8][4], const float2 *sums, float scale, int left)
{
#pragma unroll
	for (int j = 0; j < 8; j++)
#pragma unroll
		for (int e = 0; e < 4; e++) {
			const int column = column_of(j, e);

			s[j][e] = column < left ? exp2f(s[j][e] * (scale * LOG2E)) : 0;
			if (by_columns(S) && column < left)
				s[j][e] *= sums[column].y;
		}
}

/* P becomes P (dP - D), D being in dP already. */
DEVICE void slopes(float s[8][4], const float dp[8][4])
{
#pragma unroll
	for (int j = 0; j < 8; j++)
#pragma unroll
		for (int e = 0; e < 4; e++)
			s[j][e] *= dp[j][e];
}

}

#endif
