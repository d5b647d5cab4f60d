/* attention_f32.cu -- the sweeps of attention in f32, on the ordinary units.
 *
 * A block of 256 threads takes 64 rows of X of one image and head and goes over the rows of Y, 64
 * at a time:
 *
 *              64 of Y                      64 of W
 *            +--+--+- -+                  +--+--+- -+
 *         64 |4x4  |   |  S and dP     64 |4x4  |   |  out, W / 64 times
 *         of |--+--+- -|               of |--+--+- -|
 *         X  |  16 x 16|               X  |         |     P through shared memory [64,64]
 *            +---------+                  +---------+
 *            16 channels a step           16 rows of Z a step
 *
 * S takes its factors channel by channel: [16,64] of X and of Y, turned while they are stored.  P
 * is stored by columns, so that both products read four rows in one instruction.
 *
 * Operations: 4 L^2 d forward and 20 L^2 d backward for each image and head; bytes as in
 * attention_bf16.cu, twice as wide.  A thread does 16 multiplications and additions for 32 bytes
 * from shared memory, whose speed decides: the estimate is 35 to 45 % of the f32 peak.  No figure
 * here was measured.  Up to 128 registers for W = 64 and 191 for W = 256, 25.5 KiB of shared
 * memory: 2 blocks and 1, 16 and 8 of 64 warps, on a multiprocessor.  As nvcc 13.0 compiles it,
 * nothing is spilled for 8.0, and for 9.0 up to 16 bytes.
 */
#include "kernels/cuda/attention.h"

namespace {

enum { SIDE = 64, THREADS = 256, DEPTH = 16, ROW = SIDE + 4 };

/* Shared memory: two tiles of a step, and P by columns. */
struct alignas(16) tiles { float x[DEPTH][ROW], y[DEPTH][ROW], p[SIDE][ROW]; };

/* One image and head; tensors count from its first element. */
struct part {
	int L, C, d;
	size_t head;
	const float *lse;               /* of its first query */
	const float2 *sums;
};

DEVICE float read(const part &a, const void *tensor, int row, int channel, int end)
{
	if (row >= a.L || channel >= end)
		return 0;
	return ((const float *)tensor)[a.head + (size_t)row * a.C + channel];
}

/* to [16 channels, 64 rows]: 16 neighbouring threads read 16 neighbours. */
DEVICE void bring_turned(float to[DEPTH][ROW], const part &a, const void *tensor, int row,
			 int channel)
{
	const int c = (int)threadIdx.x % DEPTH;

	for (int r = (int)threadIdx.x / DEPTH; r < SIDE; r += THREADS / DEPTH)
		to[c][r] = read(a, tensor, row + r, channel + c, a.d);
}

/* to [16 rows, 64 channels] */
DEVICE void bring(float to[DEPTH][ROW], const part &a, const void *tensor, int row, int channel)
{
	const int c = (int)threadIdx.x % SIDE;

	for (int r = (int)threadIdx.x / SIDE; r < DEPTH; r += THREADS / SIDE)
		to[r][c] = read(a, tensor, row + r, channel + c, a.d);
}

/* This thread's four rows and four columns of a table: 4 down .. and 4 across .. */
DEVICE int down()
{
	return (int)threadIdx.x / 16 * 4;
}

DEVICE int across()
{
	return (int)threadIdx.x % 16 * 4;
}

/* s [4,4] += a [rows,depth] b [depth,columns], both stored by depth. */
DEVICE void multiply(float s[4][4], const float a[][ROW], const float b[][ROW])
{
#pragma unroll
	for (int k = 0; k < DEPTH; k++) {
		float u[4], v[4];

		load<4>(u, a[k] + down());
		load<4>(v, b[k] + across());
#pragma unroll
		for (int i = 0; i < 4; i++)
#pragma unroll
			for (int j = 0; j < 4; j++)
				s[i][j] = fmaf(u[i], v[j], s[i][j]);
	}
}

/* s = X Y' for 64 rows of each. */
DEVICE void table(float s[4][4], tiles &t, const part &a, const void *x, int row, const void *y,
		  int column)
{
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++)
			s[i][j] = 0;
	for (int c = 0; c < a.d; c += DEPTH) {
		__syncthreads();
		bring_turned(t.x, a, x, row, c);
		bring_turned(t.y, a, y, column, c);
		__syncthreads();
		multiply(s, t.x, t.y);
	}
}

/* Over the 16 threads that share four rows. */
DEVICE float row_max(float x)
{
	for (int away = 8; away > 0; away /= 2)
		x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, away));
	return x;
}

DEVICE float row_sum(float x)
{
	for (int away = 8; away > 0; away /= 2)
		x += __shfl_xor_sync(ALL_LANES, x, away);
	return x;
}

/* Of a thread's four rows, until now: largest S, this thread's sums of P and of P dP. */
struct rows { float most[4], sum[4], dot[4]; };

/* s becomes P, not yet divided by its sum; the sum so far and `out` shrink to a new largest. */
template <int W>
DEVICE void soften(float s[4][4], rows &r, float out[W / SIDE][4][4], float scale, int left)
{
	for (int i = 0; i < 4; i++) {
		float most = r.most[i], shrink;

		for (int j = 0; j < 4; j++) {
			s[i][j] = across() + j < left ? s[i][j] : -INFINITY;
			most = fmaxf(most, s[i][j]);
		}
		most = row_max(most);
		shrink = expf((r.most[i] - most) * scale);
		r.most[i] = most;
		r.sum[i] *= shrink;
		for (int j = 0; j < 4; j++) {
			s[i][j] = expf((s[i][j] - most) * scale);
			r.sum[i] += s[i][j];
		}
#pragma unroll
		for (int c = 0; c < W / SIDE; c++)
			for (int j = 0; j < 4; j++)
				out[c][i][j] *= shrink;
	}
}

/* s becomes exp(scale s - lse) with the lse of its query, divided by z but in SUMS; dp loses D. */
template <sweep S>
DEVICE void probabilities(float s[4][4], float dp[4][4], const part &a, float scale, int row,
			  int column)
{
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++) {
			const int down_to = row + down() + i, along = column + across() + j;
			const int query = by_columns(S) ? along : down_to;
			const bool valid = down_to < a.L && along < a.L;
			const float2 sum = S != SUMS && valid ? a.sums[query] : make_float2(0, 1);

			s[i][j] = valid ? expf(fmaf(s[i][j], scale, -a.lse[query])) * sum.y : 0;
			dp[i][j] -= sum.x;
		}
}

DEVICE void add_sums(const float s[4][4], const float dp[4][4], rows &r)
{
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4; j++) {
			r.sum[i] += s[i][j];
			r.dot[i] = fmaf(s[i][j], dp[i][j], r.dot[i]);
		}
}

/* out += P Z for 64 rows of Z, P being in the threads' tables. */
template <int W>
DEVICE void add_rows(float out[W / SIDE][4][4], const float s[4][4], tiles &t, const part &a,
		     const void *z, int row, int column, int end)
{
	__syncthreads();
	for (int j = 0; j < 4; j++) {
		const float v[4] = { s[0][j], s[1][j], s[2][j], s[3][j] };

		store<4>(t.p[across() + j] + down(), v);
	}
#pragma unroll
	for (int c = 0; c < W / SIDE; c++)
		for (int k = 0; k < SIDE && column + c * SIDE < end; k += DEPTH) {
			__syncthreads();
			bring(t.y, a, z, row + k, column + c * SIDE);
			__syncthreads();
			multiply(out[c], t.p + k, t.y);
		}
}

/* What a sweep says of its rows beside its result, and by what the result is multiplied. */
template <sweep S>
DEVICE void end_rows(const rows &r, const attend &a, size_t first, int row, float by[4], bool says)
{
	for (int i = 0; i < 4; i++) {
		const float sum = row_sum(r.sum[i]), dot = row_sum(r.dot[i]);
		const bool mine = says && across() == 0 && row + i < a.L;

		by[i] = S == FORWARD ? 1 / sum : S == BY_V ? 1 : a.scale;
		if (S == FORWARD && mine && a.lse)
			a.lse[first + row + i] = fmaf(r.most[i], a.scale, logf(sum));
		if (S == SUMS && mine)
			a.sums[first + row + i] = make_float2(dot / sum, 1 / sum);
	}
}

template <int W>
DEVICE void write(const float out[W / SIDE][4][4], const attend &a, size_t head, const float by[4],
		  int row, int column)
{
	float *to = (float *)a.out + head;

#pragma unroll
	for (int c = 0; c < W / SIDE; c++)
		for (int i = 0; i < 4; i++)
			for (int j = 0; j < 4; j++) {
				const int channel = column + c * SIDE + j;
				const size_t at = (size_t)(row + i) * a.C + channel;

				if (row + i < a.L && channel < a.d)
					to[at] = out[c][i][j] * by[i] + (a.add ? to[at] : 0);
			}
}

template <sweep S, int W>
__global__ void __launch_bounds__(THREADS) attend_rows(attend a, int blocks, int parts)
{
	SHARED(tiles, tile, [1]);
	const int row0 = (int)blockIdx.x % blocks * SIDE;
	const int column0 = (int)blockIdx.x / blocks % parts * W;
	const int image = (int)blockIdx.x / blocks / parts;     /* and head */
	const size_t first = (size_t)image * a.L;
	const part p = { a.L, a.C, a.d,
			 (size_t)(image / a.heads) * a.L * a.C + image % a.heads * a.d,
			 S != FORWARD ? a.lse + first : nullptr,
			 S != FORWARD ? a.sums + first : nullptr };
	float out[W / SIDE][4][4] = {}, by[4];
	rows r = { { -INFINITY, -INFINITY, -INFINITY, -INFINITY }, {}, {} };

	for (int j = 0; j < a.L; j += SIDE) {
		float s[4][4], dp[4][4] = {};

		table(s, tile[0], p, a.x, row0, a.y, j);
		if (forms_dp(S))
			table(dp, tile[0], p, a.x2, row0, a.y2, j);
		if (S == FORWARD)
			soften<W>(s, r, out, a.scale, a.L - j);
		else
			probabilities<S>(s, dp, p, a.scale, row0, j);
		if (S == SUMS)
			add_sums(s, dp, r);
		for (int i = 0; i < 16 && (S == BY_Q || S == BY_K); i++)
			s[i / 4][i % 4] *= dp[i / 4][i % 4];
		if (S != SUMS)
			add_rows<W>(out, s, tile[0], p, a.z, j, column0, a.d);
	}
	end_rows<S>(r, a, first, row0 + down(), by, column0 == 0);
	if (S != SUMS)
		write<W>(out, a, p.head, by, row0 + down(), column0 + across());
}

template <sweep S, int W> void launch(const attend *a)
{
	const unsigned blocks = cuda_blocks(a->L, SIDE);
	const unsigned parts = S == SUMS ? 1 : cuda_blocks(a->d, W);

	LAUNCH((attend_rows<S, W>), blocks * parts * a->N * a->heads, THREADS, 0, *a, (int)blocks,
	       (int)parts);
}

template <sweep S> void by_width(const attend *a)
{
	if (a->d <= 64 || S == SUMS)
		launch<S, 64>(a);
	else if constexpr (S != SUMS)
		launch<S, 256>(a);
}

}

void cuda_attend_f32(sweep s, const struct attend *a)
{
	switch (s) {
	case FORWARD: by_width<FORWARD>(a); break;
	case SUMS: by_width<SUMS>(a); break;
	case BY_Q: by_width<BY_Q>(a); break;
	case BY_K: by_width<BY_K>(a); break;
	case BY_V: by_width<BY_V>(a); break;
	}
}
