/* conv_f32.h -- what the two products of f32 convolutions share: 8 x 8 results in each thread. */
#ifndef DTN_CUDA_CONV_F32_H
#define DTN_CUDA_CONV_F32_H

#include "kernels/cuda/conv.h"

namespace {

/* A granule of 4 numbers of which n are there; zeros for the others.  EVEN: all or none are. */
template <bool EVEN> DEVICE float4 read(const float *from, int n)
{
	if (EVEN && n > 0)
		return *reinterpret_cast<const float4 *>(from);
	return { n > 0 ? from[0] : 0, n > 1 ? from[1] : 0, n > 2 ? from[2] : 0,
		 n > 3 ? from[3] : 0 };
}

/* 4 neighbours, and 4 half a tile further: the lanes of a warp then read side by side. */
template <int half> DEVICE void read_eight(float v[8], const float *row, int i)
{
	load<4>(v, row + 4 * i);
	load<4>(v + 4, row + half + 4 * i);
}

/* Element `e` of a thread's eight, of which number i is the first. */
DEVICE int eighth(int i, int e, int half)
{
	return 4 * i + e % 4 + e / 4 * half;
}

/* acc += a' b of two tiles; thread t has row t / (BN/8) and column t % (BN/8) of the 8 x 8s. */
template <int DEPTH, int BM, int BN>
DEVICE void multiply(float acc[8][8], const float (&ta)[DEPTH][BM], const float (&tb)[DEPTH][BN])
{
	const int i = (int)threadIdx.x / (BN / 8), j = (int)threadIdx.x % (BN / 8);

#pragma unroll
	for (int k = 0; k < DEPTH; k++) {
		float a[8], b[8];

		read_eight<BM / 2>(a, ta[k], i);
		read_eight<BN / 2>(b, tb[k], j);
#pragma unroll
		for (int m = 0; m < 8; m++)
#pragma unroll
			for (int n = 0; n < 8; n++)
				acc[m][n] = fmaf(a[m], b[n], acc[m][n]);
	}
}

}

#endif
