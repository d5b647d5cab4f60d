/* conv_bf16_weights.cu -- gradients of convolutions by weights, in bf16 on tensor cores.
 *
 *      dw[f, tap t, c] = sum over pixels p of dy[p,f] x[pixel of p and t, c]
 *
 * A product of K filters by k*k*C columns over all pixels of y.  Both factors lie with the pixels
 * outside, so tiles are copied as they lie and `ldmatrix` transposes:
 *
 *              p                       columns (t, c)
 *            +---+---+               +------+------+
 *      f     |dy'| . |           dy' | warp | warp |       shared memory, 3 stages of
 *            +---+---+               +------+------+
 *                                    |  0   |  1   |       [32 pixels, BM filters]   dy
 *      the pixels of one part        +------+------+       [32 pixels, BN columns]   x, gathered
 *      of the batch, 32 a step       |  2   |  3   |
 *                                    +------+------+       granule g of row r at g ^ (r % 8)
 *
 * There are few blocks of results and many pixels, so the pixels are divided into parts of a fixed
 * length; every part's sum goes to memory and another kernel adds them in order.  Nothing depends
 * on which block ends first, and nothing is added atomically.
 *
 * Operations: 2 P K C k^2.  Bytes: dy read k^2 C / BN times and x 9 K / BM times, mostly through
 * the second-level cache; 4 K C k^2 for each part, written and read once.  Tensor cores decide, as
 * in the forward pass; the estimate is 65 to 75 % of the peak of compute capability 8.0, the parts
 * costing about 5 %.  No figure here was measured.
 *
 * As nvcc 13.0 compiles it for 8.0 and 9.0, nothing spilled: blocks of 128 x 128 take 237 and 240
 * registers and 48 KiB of shared memory, so 2 fit on a multiprocessor (8 of 64 warps); 64 x 128
 * 172 and 174 and 36 KiB, so 2 (8 warps); 64 x 64, for odd channels, up to 112 and 24 KiB, so 4.
 */
#include "kernels/cuda/conv.h"
#include "kernels/cuda/ptx.h"

namespace {

enum { THREADS = 128, STAGES = 3, ROWS = 32, GRANULE = 8 };

/* Where granule g of row r lies in a tile of rows of `width` elements. */
template <int width> DEVICE int place(int r, int g)
{
	return r * width + (g ^ (r & 7)) * GRANULE;
}

DEVICE void copy_slowly(bf16 *to, const bf16 *from, int n)
{
	union { bf16 at[GRANULE]; uint4 all; } v;

	for (int i = 0; i < GRANULE; i++)
		v.at[i] = i < n ? from[i] : bf16{ 0 };
	*reinterpret_cast<uint4 *>(to) = v.all;
}

/* n channels, 0 to 8 of them, from an aligned place if EVEN. */
template <bool EVEN> DEVICE void copy_granule(bf16 *to, const bf16 *from, int n)
{
	if (EVEN)
		cp_async_16(to, from, n > 0);
	else
		copy_slowly(to, from, n < GRANULE ? n : GRANULE);
}

/* What one thread copies: of row tid / 4 of each step, the granules tid % 4 + 4 i. */
template <int BM, int BN, bool EVEN_X, bool EVEN_Y> struct copier {
	const bf16 *x0, *dy0;
	int p, end;                     /* pixel of the next step; past the last of the part */
	int n, y, at;                   /* the same as image, row and column */
	int skip_n, skip_y, skip_at;    /* ROWS pixels further */
	int f, K;
	/* of each column: elements from tap (0,0), how many channels are left, the tap's place */
	int away[BN / 32], left[BN / 32], dy[BN / 32], dx[BN / 32];

	__device__ void begin(const gather &g, const bf16 *x, const bf16 *dout, int f0, int column0,
			      int first, int last)
	{
		const int granules = (g.C + GRANULE - 1) / GRANULE, own = (int)threadIdx.x % 4;

		x0 = x;
		dy0 = dout;
		p = first + (int)threadIdx.x / 4;
		end = last;
		n = p / (g.Ho * g.Wo);
		y = p / g.Wo % g.Ho;
		at = p % g.Wo;
		skip_n = ROWS / (g.Ho * g.Wo);
		skip_y = ROWS / g.Wo % g.Ho;
		skip_at = ROWS % g.Wo;
		f = f0 + own * GRANULE;
		K = g.K;
		for (int i = 0; i < BN / 32; i++) {
			const int column = column0 / GRANULE + own + 4 * i, t = column / granules;
			const int c = column % granules * GRANULE;
			const phase &of = g.phase[0];

			left[i] = t < of.taps ? g.C - c : 0;
			dy[i] = t < of.taps ? of.dy[t] : 0;
			dx[i] = t < of.taps ? of.dx[t] : 0;
			away[i] = (dy[i] * g.W + dx[i]) * g.C + c;
		}
	}

	/* The next step into tiles a [ROWS,BM] and b [ROWS,BN]. */
	__device__ void copy(const gather &g, bf16 *a, bf16 *b)
	{
		const int row = (int)threadIdx.x / 4, own = (int)threadIdx.x % 4;
		const int v = y * g.step, u = at * g.step;
		const bool any = p < end;
		const bf16 *const from = dy0 + (any ? (size_t)p * K : 0);
		const bf16 *const pixel = x0 + ((ptrdiff_t)(n * g.H + v) * g.W + u) * g.C;

		for (int i = 0; i < BM / 32; i++) {
			const int first = f + 4 * i * GRANULE, more = any ? K - first : 0;

			copy_granule<EVEN_Y>(a + place<BM>(row, own + 4 * i),
					     more > 0 ? from + first : dy0, more);
		}
		for (int i = 0; i < BN / 32; i++) {
			const bool valid = any && left[i] > 0 &&
					   (unsigned)(v + dy[i]) < (unsigned)g.H &&
					   (unsigned)(u + dx[i]) < (unsigned)g.W;

			copy_granule<EVEN_X>(b + place<BN>(row, own + 4 * i),
					     valid ? pixel + away[i] : x0, valid ? left[i] : 0);
		}
		advance(g);
	}

	__device__ void advance(const gather &g)
	{
		p += ROWS;
		at += skip_at;
		y += skip_y + (at >= g.Wo);
		at -= at >= g.Wo ? g.Wo : 0;
		n += skip_n + (y >= g.Ho);
		y -= y >= g.Ho ? g.Ho : 0;
	}
};

/* acc += the products of one step; both tiles are read transposed. */
template <int BM, int BN>
DEVICE void multiply(float acc[BM / 32][BN / 16][4], const bf16 *a, const bf16 *b, int m, int n)
{
	const int lane = (int)threadIdx.x % WARP;

#pragma unroll
	for (int k = 0; k < ROWS; k += 16) {
		unsigned af[BM / 32][4], bf[BN / 32][4];

#pragma unroll
		for (int i = 0; i < BM / 32; i++)
			ldmatrix_4t(af[i], a + place<BM>(k + lane % 8 + lane / 16 * 8,
							 m / GRANULE + 2 * i + lane / 8 % 2));
#pragma unroll
		for (int j = 0; j < BN / 32; j++)
			ldmatrix_4t(bf[j], b + place<BN>(k + lane % 16,
							 n / GRANULE + 2 * j + lane / 16));
#pragma unroll
		for (int i = 0; i < BM / 32; i++)
#pragma unroll
			for (int j = 0; j < BN / 16; j++)
				mma_bf16(acc[i][j], af[i], bf[j / 2] + j % 2 * 2);
	}
}

/* part [K,columns] = acc; columns is even. */
template <int BM, int BN>
DEVICE void write(float acc[BM / 32][BN / 16][4], float *part, int f0, int column0, int K,
		  int columns)
{
	const int lane = (int)threadIdx.x % WARP;

#pragma unroll
	for (int i = 0; i < BM / 32; i++)
#pragma unroll
		for (int j = 0; j < BN / 16; j++)
#pragma unroll
			for (int h = 0; h < 2; h++) {
				const int f = f0 + 16 * i + lane / 4 + 8 * h;
				const int column = column0 + 8 * j + lane % 4 * 2;

				if (f < K && column < columns)
					store<2>(part + (size_t)f * columns + column,
						 acc[i][j] + 2 * h);
			}
}

template <int BM, int BN, bool EVEN_X, bool EVEN_Y>
__global__ void __launch_bounds__(THREADS, 2)
product(gather g, const bf16 *x, const bf16 *dy, float *part, int rows)
{
	constexpr int stage = ROWS * (BM + BN), B = ROWS * BM;
	DYNAMIC(bf16, tile);
	const int columns = g.row_taps * ((g.C + GRANULE - 1) / GRANULE) * GRANULE;
	const int across = (columns + BN - 1) / BN, warp = (int)threadIdx.x / WARP;
	const int f0 = (int)blockIdx.x / across * BM, c0 = (int)blockIdx.x % across * BN;
	const int m = warp / 2 * (BM / 2), n = warp % 2 * (BN / 2);
	const int first = (int)blockIdx.y * rows, pixels = g.N * g.Ho * g.Wo;
	const int last = pixels - first < rows ? pixels : first + rows;
	const int steps = (last - first + ROWS - 1) / ROWS;
	copier<BM, BN, EVEN_X, EVEN_Y> from;
	float acc[BM / 32][BN / 16][4] = {};

	from.begin(g, x, dy, f0, c0, first, last);
	for (int s = 0; s < STAGES - 1; s++) {
		if (s < steps)
			from.copy(g, tile + s * stage, tile + s * stage + B);
		cp_async_commit();
	}
	for (int s = 0; s < steps; s++) {
		bf16 *now = tile + s % STAGES * stage;
		bf16 *next = tile + (s + STAGES - 1) % STAGES * stage;

		cp_async_wait<STAGES - 2>();
		__syncthreads();
		if (s + STAGES - 1 < steps)
			from.copy(g, next, next + B);
		cp_async_commit();
		multiply<BM, BN>(acc, now, now + B, m, n);
	}
	write<BM, BN>(acc, part + (size_t)blockIdx.y * g.K * columns, f0 + m, c0 + n, g.K, columns);
}

template <int BM, int BN, bool EVEN_X, bool EVEN_Y> void launch(const weights_call *c)
{
	int columns = c->g.row_taps * cuda_conv_padded(c->g.C, DTN_BF16);

	LAUNCH((product<BM, BN, EVEN_X, EVEN_Y>),
	       dim3(cuda_blocks(c->g.K, BM) * cuda_blocks(columns, BN), c->splits), THREADS,
	       STAGES * ROWS * (BM + BN) * sizeof(bf16), c->g, (const bf16 *)c->x,
	       (const bf16 *)c->dy, c->part, c->rows);
}

}

void cuda_conv_weights_bf16(const struct weights_call *c)
{
	const bool x = c->g.C % GRANULE == 0, y = c->g.K % GRANULE == 0;
	const bool large = cuda_conv_tile == TILE_AUTO ? c->g.K > 64 : cuda_conv_tile == TILE_128;

	if (x && y && large)
		launch<128, 128, true, true>(c);
	else if (x && y)
		launch<64, 128, true, true>(c);
	else if (x)
		launch<64, 64, true, false>(c);
	else if (y)
		launch<64, 64, false, true>(c);
	else
		launch<64, 64, false, false>(c);
}
