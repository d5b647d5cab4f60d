/* conv_bf16_result.h -- how conv_bf16.cu writes its results: from a warp's registers, with bias and
 * residual, to rows of y. */
#ifndef DTN_CUDA_CONV_BF16_RESULT_H
#define DTN_CUDA_CONV_BF16_RESULT_H

#include "kernels/cuda/conv.h"
#include "kernels/cuda/ptx.h"

namespace {

enum { THREADS = 128, GRANULE = 8 };    /* of a block; bf16 in 16 bytes */

/* Position m of a phase: image and place in the grid. */
struct spot { int n, y, x; };

DEVICE spot spot_of(const phase &p, int m)
{
	const int area = p.height * p.width, rest = m % area;

	return { m / area, rest / p.width, rest % p.width };
}

/* Where element (r, f) lies in the tile [BM,BN] of results. */
template <int BN> DEVICE int result_place(int r, int f)
{
	constexpr int mask = BN / GRANULE < 8 ? BN / GRANULE - 1 : 7;

	return r * BN + (((f / GRANULE) ^ (r & mask)) * GRANULE) + f % GRANULE;
}

/* Pixel of y that row r of the block computes; -1: none. */
DEVICE int pixel_of(const gather &g, const phase &p, int m)
{
	const spot s = spot_of(p, m);

	if (m >= g.N * p.height * p.width)
		return -1;
	return (s.n * g.Ho + s.y * g.ostep + p.y0) * g.Wo + s.x * g.ostep + p.x0;
}

/* Copies whole granules between the tile and y or the residual. */
template <int BM, int BN, bool OUT>
DEVICE void copy_results(bf16 *tile, const int *pixel, const bf16 *from, bf16 *to, int f0, int K)
{
	constexpr int granules = BN / GRANULE;
	const int g = (int)threadIdx.x % granules, f = f0 + g * GRANULE;

	for (int r = (int)threadIdx.x / granules; r < BM; r += THREADS / granules) {
		uint4 *here = reinterpret_cast<uint4 *>(tile + result_place<BN>(r, g * GRANULE));
		const size_t there = (size_t)pixel[r] * K + f;

		if (pixel[r] < 0 || f >= K)
			continue;
		if (OUT)
			*reinterpret_cast<uint4 *>(to + there) = *here;
		else
			*here = *reinterpret_cast<const uint4 *>(from + there);
	}
}

/* Two neighbours of a row: acc, bias and what the tile holds, or `first` says it holds nothing. */
DEVICE void add_pair(bf16 *at, float lower, float upper, bool first)
{
	unsigned *both = reinterpret_cast<unsigned *>(at);

	if (!first) {
		lower += value(at[0]);
		upper += value(at[1]);
	}
	*both = bf16_pair(lower, upper);
}

template <int BM, int BN, int WM, int WN>
DEVICE void write_even(float acc[WM / 16][WN / 8][4], bf16 *tile, const int *pixel, int m, int n,
		       int f0, int K, const float *bias, const bf16 *residual, bf16 *y)
{
	const int lane = (int)threadIdx.x % WARP, row = m + lane / 4, column = n + lane % 4 * 2;

	if (residual)
		copy_results<BM, BN, false>(tile, pixel, residual, nullptr, f0, K);
	__syncthreads();
#pragma unroll
	for (int j = 0; j < WN / 8; j++) {
		const int f = column + 8 * j, known = bias && f0 + f < K;
		const float b0 = known ? bias[f0 + f] : 0, b1 = known ? bias[f0 + f + 1] : 0;

#pragma unroll
		for (int i = 0; i < WM / 16; i++)
#pragma unroll
			for (int h = 0; h < 2; h++)
				add_pair(tile + result_place<BN>(row + 16 * i + 8 * h, f),
					 acc[i][j][2 * h] + b0, acc[i][j][2 * h + 1] + b1,
					 !residual || f0 + f >= K ||
					 pixel[row + 16 * i + 8 * h] < 0);
	}
	__syncthreads();
	copy_results<BM, BN, true>(tile, pixel, nullptr, y, f0, K);
}

/* One by one, for results whose rows begin anywhere. */
template <int WM, int WN>
DEVICE void write_odd(float acc[WM / 16][WN / 8][4], const int *pixel, int m, int n, int f0, int K,
		      const float *bias, const bf16 *residual, bf16 *y)
{
	const int lane = (int)threadIdx.x % WARP;

#pragma unroll
	for (int i = 0; i < WM / 16; i++)
#pragma unroll
		for (int j = 0; j < WN / 8; j++)
#pragma unroll
			for (int e = 0; e < 4; e++) {
				const int at = pixel[m + 16 * i + lane / 4 + e / 2 * 8];
				const int f = f0 + n + 8 * j + lane % 4 * 2 + e % 2;
				const size_t to = (size_t)at * K + f;

				if (at >= 0 && f < K)
					set(y[to], acc[i][j][e] + (bias ? bias[f] : 0) +
						   (residual ? value(residual[to]) : 0));
			}
}

}

#endif
