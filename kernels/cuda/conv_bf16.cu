/* conv_bf16.cu -- convolutions, and their gradients by data, in bf16 on tensor cores.
 *
 * The product of conv.h's gather: P positions by K filters, over taps times channels.  Its inner
 * dimension is cut into granules of 8 channels of one tap (16 bytes); 4 of them are one step.  A
 * block of 4 warps computes BM positions by BN filters:
 *
 *                      BN filters                    shared memory, 3 stages of
 *                    +------+------+
 *                  w | warp | warp |                 A  [BM, 4 granules]  gathered pixels
 *                    +------+------+                 B  [BN, 4 granules]  weights
 *      x  . . . . .  +------+------+
 *         . gather   |  0   |  1   |  BM             each filled by cp.async two steps ahead of
 *         . . . . .  +------+------+  positions      its use, one barrier a step
 *                    |  2   |  3   |
 *                    +------+------+
 *
 * A warp holds its quarter, up to 64 x 64 results, in registers and feeds `mma` m16n8k16 by
 * `ldmatrix`.  Granules lie so that the 8 rows of a matrix that ldmatrix reads touch all banks
 * once: granule g of row r at place g ^ (r / 2 % 4).  A position outside the image is copied as
 * zeros, by cp.async itself, so the image needs no margin and no buffer of patches exists.  At the
 * end the residual is copied to shared memory, each thread adds its results and the bias to it in
 * f32, and whole rows of 16-byte granules go out.
 *
 * Operations: 2 P K C k^2.  Bytes: x, y (and the residual) once through memory where the cache
 * holds the k rows that neighbouring taps share, w once; each block reads its part of x 9 K/BN
 * times through the second-level cache.  For 3x3 with C = K = 256 that is 1150 operations a byte,
 * so the tensor cores decide.  A step of a 128 x 128 block costs them 512 cycles (at the 1024
 * multiplications a cycle of compute capability 8.0), in which shared memory delivers 32 KiB to
 * ldmatrix and takes 16 KiB from the copies, 384 cycles at 128 bytes each: it is three quarters
 * busy, and two blocks fit on a multiprocessor.  The estimate is 70 to 80 % of that card's peak for
 * large layers, less where positions * filters give fewer than two blocks a multiprocessor; on 9.0,
 * whose peak only wgmma reaches, 40 to 50 %.  No figure here was measured.
 *
 * As nvcc 13.0 compiles it for 8.0 and 9.0, nothing spilled; on a multiprocessor of 64 warps:
 *
 *      block         registers    shared memory    blocks    warps
 *      128 x 128     237          48.5 KiB         2         8
 *      128 x 64      156, 160     36.5 KiB         3         12
 *      128 x 32      108          30.5 KiB         4         16
 *      64 x 64       98           24.3 KiB         4         16
 */
#include "kernels/cuda/conv_bf16_result.h"

namespace {

enum { STAGES = 3, STEP = 4 };          /* granules of a step */

/* Where granule g of row r lies in a tile of rows of 4 granules. */
DEVICE int place(int r, int g)
{
	return (r * STEP + (g ^ (r >> 1 & 3))) * GRANULE;
}

/* Up to 8 channels, one by one, for rows that begin anywhere. */
DEVICE void copy_slowly(bf16 *to, const bf16 *from, int n)
{
	union { bf16 at[GRANULE]; uint4 all; } v;

	for (int i = 0; i < GRANULE; i++)
		v.at[i] = i < n ? from[i] : bf16{ 0 };
	*reinterpret_cast<uint4 *>(to) = v.all;
}

/* What one thread copies: granule tid % 4 of each step, of the rows tid / 4 + 32 i. */
template <int BM, int BN, bool EVEN> struct copier {
	const bf16 *x[BM / 32];         /* pixel of tap (0,0), which may lie outside */
	unsigned inside[BM / 32];       /* a bit for every tap */
	const bf16 *w[BN / 32];         /* NULL: no such filter */
	const bf16 *any;                /* where one may read, for copies of nothing */
	int tap, c;                     /* of the next granule */
	int C, W, granules, taps;

	__device__ void begin(const gather &g, const phase &p, const bf16 *x0, const bf16 *w0,
			      int m0, int f0)
	{
		const int row = (int)threadIdx.x / STEP, area = p.height * p.width;

		any = w0;
		C = g.C;
		W = g.W;
		granules = (C + GRANULE - 1) / GRANULE;
		taps = p.taps;
		tap = (int)threadIdx.x % STEP / granules;
		c = (int)threadIdx.x % STEP % granules;
		for (int i = 0; i < BM / 32; i++) {
			const int m = m0 + row + 32 * i;

			pixel(g, p, i, m < g.N * area ? m : -1, x0);
		}
		for (int i = 0; i < BN / 32; i++) {
			const int f = f0 + row + 32 * i;

			w[i] = f < g.K ? w0 + (size_t)f * g.row_taps * granules * GRANULE :
					 nullptr;
		}
	}

	__device__ void pixel(const gather &g, const phase &p, int i, int m, const bf16 *x0)
	{
		const spot s = spot_of(p, m < 0 ? 0 : m);
		const int y = s.y * g.step, at = s.x * g.step;

		x[i] = x0 + ((ptrdiff_t)(s.n * g.H + y) * g.W + at) * g.C;
		inside[i] = 0;
		for (int t = 0; t < p.taps; t++)
			if (m >= 0 && (unsigned)(y + p.dy[t]) < (unsigned)g.H &&
			    (unsigned)(at + p.dx[t]) < (unsigned)g.W)
				inside[i] |= 1u << t;
	}

	/* The next step into tiles a and b. */
	__device__ void copy(const phase &p, bf16 *a, bf16 *b)
	{
		const int row = (int)threadIdx.x / STEP, granule = (int)threadIdx.x % STEP;
		const bool more = tap < taps;
		const int t = more ? tap : 0;
		const ptrdiff_t there = (ptrdiff_t)(p.dy[t] * W + p.dx[t]) * C + c * GRANULE;
		const int weight = (p.tap[t] * granules + c) * GRANULE;

		for (int i = 0; i < BM / 32; i++)
			copy_pixel(a + place(row + 32 * i, granule), i, more && inside[i] >> t & 1,
				   there);
		for (int i = 0; i < BN / 32; i++) {
			const bool valid = more && w[i];

			cp_async_16(b + place(row + 32 * i, granule), valid ? w[i] + weight : any,
				    valid);
		}
		for (c += STEP; c >= granules; c -= granules)
			tap++;
	}

	__device__ void copy_pixel(bf16 *to, int i, bool valid, ptrdiff_t there)
	{
		const int left = C - c * GRANULE;

		if (EVEN)
			cp_async_16(to, valid ? x[i] + there : any, valid);
		else
			copy_slowly(to, valid ? x[i] + there : any,
				    !valid ? 0 : left < GRANULE ? left : GRANULE);
	}
};

/* Where a warp's part of the block begins. */
template <int WM, int WN, int ACROSS> struct corner {
	int m, n;

	__device__ corner()
	{
		const int warp = (int)threadIdx.x / WARP;

		m = warp / ACROSS * WM;
		n = warp % ACROSS * WN;
	}
};

/* acc += the products of one step. */
template <int WM, int WN>
DEVICE void multiply(float acc[WM / 16][WN / 8][4], const bf16 *a, const bf16 *b, int m, int n)
{
	const int lane = (int)threadIdx.x % WARP;

#pragma unroll
	for (int k = 0; k < STEP; k += 2) {
		unsigned af[WM / 16][4], bf[WN / 16][4];

#pragma unroll
		for (int i = 0; i < WM / 16; i++)
			ldmatrix_4(af[i], a + place(m + 16 * i + lane % 16, k + lane / 16));
#pragma unroll
		for (int j = 0; j < WN / 16; j++)
			ldmatrix_4(bf[j], b + place(n + 16 * j + lane % 8 + lane / 16 * 8,
						    k + lane / 8 % 2));
#pragma unroll
		for (int i = 0; i < WM / 16; i++)
#pragma unroll
			for (int j = 0; j < WN / 8; j++)
				mma_bf16(acc[i][j], af[i], bf[j / 2] + j % 2 * 2);
	}
}

/* --- the kernel ------------------------------------------------------------------------------- */

/* Shared memory: the stages, later the results; then the pixel of each row. */
template <int BM, int BN> constexpr int stage = (BM + BN) * STEP * GRANULE;     /* of bf16 */
template <int BM, int BN> constexpr int elements =
	STAGES * stage<BM, BN> > BM * BN ? STAGES * stage<BM, BN> : BM * BN;
template <int BM, int BN> constexpr size_t shared_bytes =
	elements<BM, BN> * sizeof(bf16) + BM * sizeof(int);

template <int BM, int BN, int ACROSS, bool EVEN>
__global__ void __launch_bounds__(THREADS, 2)
product(gather g, const bf16 *x, const bf16 *w, const float *bias, const bf16 *residual, bf16 *y)
{
	constexpr int WM = BM / (4 / ACROSS), WN = BN / ACROSS, B = BM * STEP * GRANULE;
	DYNAMIC(bf16, tile);
	int *const pixel = (int *)(tile + elements<BM, BN>);
	const phase &p = g.phase[blockIdx.z];
	const int columns = (g.K + BN - 1) / BN;
	const int f0 = (int)blockIdx.x % columns * BN, m0 = (int)blockIdx.x / columns * BM;
	const int steps = (p.taps * ((g.C + GRANULE - 1) / GRANULE) + STEP - 1) / STEP;
	const corner<WM, WN, ACROSS> at;
	copier<BM, BN, EVEN> from;
	float acc[WM / 16][WN / 8][4] = {};

	if (m0 >= g.N * p.height * p.width)
		return;
	for (int r = (int)threadIdx.x; r < BM; r += THREADS)
		pixel[r] = pixel_of(g, p, m0 + r);
	from.begin(g, p, x, w, m0, f0);
	for (int s = 0; s < STAGES - 1; s++) {
		if (s < steps)
			from.copy(p, tile + s * stage<BM, BN>, tile + s * stage<BM, BN> + B);
		cp_async_commit();
	}
	for (int s = 0; s < steps; s++) {
		bf16 *now = tile + s % STAGES * stage<BM, BN>;
		bf16 *next = tile + (s + STAGES - 1) % STAGES * stage<BM, BN>;

		cp_async_wait<STAGES - 2>();
		__syncthreads();
		if (s + STAGES - 1 < steps)
			from.copy(p, next, next + B);
		cp_async_commit();
		multiply<WM, WN>(acc, now, now + B, at.m, at.n);
	}
	__syncthreads();
	if (g.K % GRANULE == 0)
		write_even<BM, BN, WM, WN>(acc, tile, pixel, at.m, at.n, f0, g.K, bias, residual,
					   y);
	else
		write_odd<WM, WN>(acc, pixel, at.m, at.n, f0, g.K, bias, residual, y);
}

/* --- launches --------------------------------------------------------------------------------- */

/* Positions of the largest phase. */
size_t positions(const gather &g)
{
	size_t most = 0;

	for (int i = 0; i < g.phases; i++) {
		size_t n = (size_t)g.N * g.phase[i].height * g.phase[i].width;

		most = n > most ? n : most;
	}
	return most;
}

template <int BM, int BN, int ACROSS, bool EVEN> void launch(const gather_call *c)
{
	unsigned rows = cuda_blocks(positions(c->g), BM), columns = cuda_blocks(c->g.K, BN);

	LAUNCH((product<BM, BN, ACROSS, EVEN>), dim3(rows * columns, 1, c->g.phases), THREADS,
	       (shared_bytes<BM, BN>), c->g, (const bf16 *)c->x,
	       (const bf16 *)c->w, c->bias, (const bf16 *)c->residual, (bf16 *)c->y);
}

}

enum conv_tile cuda_conv_tile;

/* Large blocks where there are enough of them to fill a card, narrow ones for few filters. */
static enum conv_tile choose(const gather &g)
{
	enum { FULL = 200 };    /* blocks */
	const size_t large = (positions(g) + 127) / 128 * g.phases;

	if (cuda_conv_tile != TILE_AUTO)
		return cuda_conv_tile;
	if (g.K <= 32)
		return TILE_SLIM;
	if (g.K > 64 && large * ((g.K + 127) / 128) >= FULL)
		return TILE_128;
	return large * ((g.K + 63) / 64) >= FULL ? TILE_64_128 : TILE_64;
}

void cuda_gather_bf16(const struct gather_call *c)
{
	const enum conv_tile tile = choose(c->g);

	if (c->g.C % GRANULE != 0)
		launch<64, 64, 2, false>(c);
	else if (tile == TILE_SLIM)
		launch<128, 32, 1, true>(c);
	else if (tile == TILE_128)
		launch<128, 128, 2, true>(c);
	else if (tile == TILE_64_128)
		launch<128, 64, 2, true>(c);
	else
		launch<64, 64, 2, true>(c);
}
