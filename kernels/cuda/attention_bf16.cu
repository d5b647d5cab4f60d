/* attention_bf16.cu -- the sweeps of attention in bf16 on tensor cores.
 *
 * A block of 4 warps takes 64 rows of X of one image and head and goes over the rows of Y, 64 at a
 * time.  Every factor comes in pieces [64,64], 8 KiB, through a ring of 3 stages that cp.async
 * fills two steps ahead; so any d is taken, and no more shared memory is needed for a wider one:
 *
 *      step      pieces            result in registers, 16 rows a warp
 *      1 .. m    X, Y of chunk i   S  [64,64] += X_i Y_i'                    m = d / 64 chunks
 *      ..        X2, Y2            dP [64,64] += X2_i Y2_i'                  where it is needed
 *                                  P from S: exponentials, sums over rows
 *      .. n      Z of chunk i      out [64,64 of W] += P Z_i                 n <= W / 64 chunks
 *
 *                     keys                        Z
 *              +----+----+- - -+              +----+----+
 *      queries | 64 | 64 |     |   x   keys   |    |    |  =  out [64, W] of a block
 *              +----+----+- - -+              +----+----+
 *
 * The registers in which `mma` leaves S are those in which it takes P, so the table never leaves
 * the warp.  A block makes W columns of the result, W = 64, 128 or 256; a wider d takes several
 * blocks, each of which forms S anew.  Granule g (8 channels) of row r lies at g ^ (r % 8), which
 * keeps ldmatrix free of conflicts.
 *
 * Operations: for each image and head 4 L^2 d forward and 20 L^2 d backward (SUMS 4, BY_Q 6, BY_K
 * 6, BY_V 4), and an exponential for every element of S in each sweep.  Bytes: q, k, v, y once
 * through memory; every block reads Y, Z and its X again L/64 times, from the second-level cache.
 * A step costs the tensor cores 256 cycles (at 1024 multiplications a cycle) and shared memory 450:
 * 16 KiB in, 40 KiB out to ldmatrix at 128 bytes a cycle.  So shared memory decides, and the
 * estimate is 40 to 50 % of the peak of compute capability 8.0, for L of some hundreds and more.
 * No figure here was measured.
 *
 * Registers, as nvcc 13.0 gives them for 8.0, with 48 KiB of shared memory a block; blocks of 4
 * warps on a multiprocessor of 64 warps.  Nothing is spilled, but 12 bytes by the widest BY_K
 * where it is compiled for 9.0:
 *
 *      W         FORWARD  SUMS  BY_Q  BY_K  BY_V       blocks    warps
 *      64          152     144   182   181   146       2 or 3    8 to 12
 *      128         185           214   215   180       2         8
 *      256         247           255   255   242       2         8
 */
#include "kernels/cuda/attention_bf16.h"

namespace {

/* --- the sweep -------------------------------------------------------------------------------- */

/* Of the two rows, what the sweep says beside its result; by what the result is multiplied. */
template <sweep S>
DEVICE void end_rows(const rows &r, const attend &a, float *lse, float2 *sums, int row0,
		     float by[2], bool first)
{
#pragma unroll
	for (int h = 0; h < 2; h++) {
		const int row = row0 + 8 * h;
		const float sum = row_sum(r.sum[h]), dot = row_sum(r.dot[h]);
		const bool mine = threadIdx.x % 4 == 0 && row < a.L && first;

		by[h] = S == FORWARD ? 1 / sum : S == BY_V ? 1 : a.scale;
		if (S == BY_Q && row < a.L)
			by[h] *= sums[row].y;
		if (S == FORWARD && mine && lse)
			lse[row] = fmaf(r.most[h], a.scale, logf(sum));
		if (S == SUMS && mine)
			sums[row] = make_float2(dot / sum, 1 / sum);
	}
}

/* out [L,C]: this thread's rows, from `column` of the head on. */
template <int W>
DEVICE void write(const float out[W / SIDE][8][4], const attend &a, const float by[2], int row0,
		  int column0, size_t head)
{
	bf16 *to = (bf16 *)a.out;

#pragma unroll
	for (int c = 0; c < W / SIDE; c++)
#pragma unroll
		for (int j = 0; j < 8; j++)
#pragma unroll
			for (int e = 0; e < 4; e++) {
				const int row = row0 + e / 2 * 8;
				const int column = column0 + SIDE * c + column_of(j, e);
				const size_t at = head + (size_t)row * a.C + column;
				const float v = out[c][j][e] * by[e / 2];

				if (row < a.L && column < a.d)
					set(to[at], a.add ? value(to[at]) + v : v);
			}
}

template <sweep S, int W, bool EVEN>
__global__ void __launch_bounds__(THREADS, 2) attend_rows(attend a, int blocks, int parts)
{
	DYNAMIC(bf16, pieces);
	const int block = (int)blockIdx.x % blocks, part = (int)blockIdx.x / blocks % parts;
	const int image = (int)blockIdx.x / blocks / parts;     /* and head */
	const size_t head = (size_t)(image / a.heads) * a.L * a.C + image % a.heads * a.d;
	const int row0 = block * SIDE + (int)threadIdx.x / WARP * 16 + (int)threadIdx.x % WARP / 4;
	const int columns = a.d - part * W < W ? a.d - part * W : W;
	float *lse = a.lse ? a.lse + (size_t)image * a.L : nullptr;
	float2 *sums = S != FORWARD ? a.sums + (size_t)image * a.L : nullptr;
	float out[W / SIDE][8][4] = {}, by[2];
	bringer<S, EVEN> from;
	ring pool = { pieces, 0 };
	rows r = { { -INFINITY, -INFINITY }, {}, {} };

	from.begin(a, head, block * SIDE, part * W, columns);
	for (int i = 0; i < STAGES - 1; i++)
		from.bring(a, pieces + i * 2 * PIECE);
	for (int j = 0; j < a.L; j += SIDE) {
		float s[8][4], dp[8][4];
		unsigned p[4][4];

		begin_table<S>(s, a, lse, row0, j);
		for (int c = 0; c < a.d; c += SIDE) {
			const bf16 *now = pool.turn(from, a);

			add_table(s, now, now + PIECE);
		}
		if (S == FORWARD)
			soften<W>(s, r, out, a.scale, a.L - j);
		else
			probabilities<S>(s, sums + j, a.scale, a.L - j);
		begin_slopes<S>(dp, a, sums, row0, j);
		for (int c = 0; forms_dp(S) && c < a.d; c += SIDE) {
			const bf16 *now = pool.turn(from, a);

			add_table(dp, now, now + PIECE);
		}
		if (S == SUMS)
			add_sums(s, dp, r);
		else if (forms_dp(S))
			slopes(s, dp);
		as_factor(p, s);
#pragma unroll
		for (int c = 0; c < W / SIDE; c++)
			if (c < from.out_chunks)
				add_rows(out[c], p, pool.turn(from, a));
	}
	end_rows<S>(r, a, lse, sums, row0, by, part == 0);
	if (S != SUMS)
		write<W>(out, a, by, row0, part * W, head);
}

/* --- launches --------------------------------------------------------------------------------- */

template <sweep S, int W, bool EVEN> void launch(const attend *a)
{
	const unsigned blocks = cuda_blocks(a->L, SIDE);
	const unsigned parts = S == SUMS ? 1 : cuda_blocks(a->d, W);

	LAUNCH((attend_rows<S, W, EVEN>), blocks * parts * a->N * a->heads, THREADS,
	       STAGES * 2 * PIECE * sizeof(bf16), *a, (int)blocks, (int)parts);
}

template <sweep S> void by_width(const attend *a)
{
	if (a->d % GRANULE != 0)
		launch<S, 64, false>(a);
	else if (a->d <= 64 || S == SUMS)
		launch<S, 64, true>(a);
	else if constexpr (S != SUMS) {
		if (a->d <= 128)
			launch<S, 128, true>(a);
		else
			launch<S, 256, true>(a);
	}
}

}

void cuda_attend_bf16(sweep s, const struct attend *a)
{
	switch (s) {
	case FORWARD: by_width<FORWARD>(a); break;
	case SUMS: by_width<SUMS>(a); break;
	case BY_Q: by_width<BY_Q>(a); break;
	case BY_K: by_width<BY_K>(a); break;
	case BY_V: by_width<BY_V>(a); break;
	}
}
