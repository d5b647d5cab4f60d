/* conv_f32_weights.cu -- gradients of convolutions by weights in f32, on the ordinary units.
 *
 *      dw[f, tap t, c] = sum over pixels p of dy[p,f] x[pixel of p and t, c]
 *
 * Tiling, parts and their sum are those of conv_bf16_weights.cu.  A block of 128 threads computes
 * 64 filters by 128 columns (t, c), 8 x 8 in each thread, 16 pixels a step:
 *
 *      16 pixels                       128 columns
 *      +-------+ dy [16,64]            +--+--+- - -+--+
 *      +-------+                       |8x8  |     |  |  64 filters
 *      +---------------+ x [16,128]    +--+- - - - - -+
 *      +---------------+ gathered      +--+--+- - -+--+
 *
 * Both tiles are used as they lie, so granules of 4 channels go there as they come; the next step
 * waits in registers.  Operations: 2 P K C k^2; arithmetic decides, with an estimate of 60 to 70 %
 * of the f32 peak.  No figure here was measured.  Up to 167 registers and 24 KiB of shared memory:
 * 3 blocks, 12 of 64 warps, on a multiprocessor; nothing spilled.
 */
#include "kernels/cuda/conv_f32.h"

namespace {

enum { BM = 64, BN = 128, THREADS = 128, ROWS = 16, GRANULE = 4, ABREAST = THREADS / ROWS };
enum { A = BM / GRANULE / ABREAST, B = BN / GRANULE / ABREAST };      /* granules of a thread */

struct alignas(16) tiles { float a[ROWS][BM], b[ROWS][BN]; };

/* What one thread brings: of row tid / 8 of each step, the granules tid % 8 + 8 i. */
template <bool EVEN_X, bool EVEN_Y> struct bringer {
	int p, end;                     /* pixel of the next step; past the last of the part */
	int n, y, at;                   /* the same as image, row and column */
	int f;
	int c[B], left[B], dy[B], dx[B];        /* of each column: channel, more, the tap's place */
	float4 a[A], b[B];

	__device__ void begin(const gather &g, int f0, int column0, int first, int last)
	{
		const int granules = (g.C + GRANULE - 1) / GRANULE;
		const int own = (int)threadIdx.x % ABREAST;

		p = first + (int)threadIdx.x / ABREAST;
		end = last;
		n = p / (g.Ho * g.Wo);
		y = p / g.Wo % g.Ho;
		at = p % g.Wo;
		f = f0 + own * GRANULE;
		for (int i = 0; i < B; i++) {
			const int column = column0 / GRANULE + own + ABREAST * i;
			const int t = column / granules;
			const phase &of = g.phase[0];

			c[i] = column % granules * GRANULE;
			left[i] = t < of.taps ? g.C - c[i] : 0;
			dy[i] = t < of.taps ? of.dy[t] : 0;
			dx[i] = t < of.taps ? of.dx[t] : 0;
		}
	}

	/* The next step into registers. */
	__device__ void bring(const gather &g, const float *x, const float *dout)
	{
		const bool any = p < end;

#pragma unroll
		for (int i = 0; i < A; i++) {
			const int first = f + ABREAST * i * GRANULE, more = any ? g.K - first : 0;

			a[i] = read<EVEN_Y>(more > 0 ? dout + (size_t)p * g.K + first : dout,
					    more);
		}
#pragma unroll
		for (int i = 0; i < B; i++) {
			const int v = y * g.step + dy[i], u = at * g.step + dx[i];
			const bool valid = any && left[i] > 0 && (unsigned)v < (unsigned)g.H &&
					   (unsigned)u < (unsigned)g.W;
			const size_t pixel = (size_t)(n * g.H + v) * g.W + u;

			b[i] = read<EVEN_X>(valid ? x + pixel * g.C + c[i] : x,
					    valid ? left[i] : 0);
		}
		advance(g);
	}

	__device__ void advance(const gather &g)
	{
		p += ROWS;
		at += ROWS % g.Wo;
		y += ROWS / g.Wo % g.Ho + (at >= g.Wo);
		at -= at >= g.Wo ? g.Wo : 0;
		n += ROWS / (g.Ho * g.Wo) + (y >= g.Ho);
		y -= y >= g.Ho ? g.Ho : 0;
	}

	__device__ void put(tiles &to) const
	{
		const int row = (int)threadIdx.x / ABREAST, own = (int)threadIdx.x % ABREAST;

#pragma unroll
		for (int i = 0; i < A; i++)
			put_granule(&to.a[row][(own + ABREAST * i) * GRANULE], a[i]);
#pragma unroll
		for (int i = 0; i < B; i++)
			put_granule(&to.b[row][(own + ABREAST * i) * GRANULE], b[i]);
	}

	static __device__ void put_granule(float *to, float4 v)
	{
		*reinterpret_cast<float4 *>(to) = v;
	}
};

/* part [K,columns] = acc; columns is a multiple of 4. */
DEVICE void write(const float acc[8][8], float *part, int f0, int column0, int K, int columns)
{
	const int i = (int)threadIdx.x / 16, j = (int)threadIdx.x % 16;

#pragma unroll
	for (int e = 0; e < 8; e++)
#pragma unroll
		for (int h = 0; h < 2; h++) {
			const int f = f0 + eighth(i, e, BM / 2);
			const int column = column0 + 4 * j + h * (BN / 2);

			if (f < K && column < columns)
				store<4>(part + (size_t)f * columns + column, acc[e] + 4 * h);
		}
}

template <bool EVEN_X, bool EVEN_Y>
__global__ void __launch_bounds__(THREADS)
product(gather g, const float *x, const float *dy, float *part, int rows)
{
	SHARED(tiles, tile, [2]);
	const int columns = g.row_taps * ((g.C + GRANULE - 1) / GRANULE) * GRANULE;
	const int across = (columns + BN - 1) / BN;
	const int f0 = (int)blockIdx.x / across * BM, c0 = (int)blockIdx.x % across * BN;
	const int first = (int)blockIdx.y * rows, pixels = g.N * g.Ho * g.Wo;
	const int last = pixels - first < rows ? pixels : first + rows;
	const int steps = (last - first + ROWS - 1) / ROWS;
	bringer<EVEN_X, EVEN_Y> from;
	float acc[8][8] = {};

	from.begin(g, f0, c0, first, last);
	from.bring(g, x, dy);
	from.put(tile[0]);
	for (int s = 0; s < steps; s++) {
		__syncthreads();
		if (s + 1 < steps)
			from.bring(g, x, dy);
		multiply(acc, tile[s % 2].a, tile[s % 2].b);
		if (s + 1 < steps)
			from.put(tile[(s + 1) % 2]);
	}
	write(acc, part + (size_t)blockIdx.y * g.K * columns, f0, c0, g.K, columns);
}

template <bool EVEN_X, bool EVEN_Y> void launch(const weights_call *c)
{
	int columns = c->g.row_taps * cuda_conv_padded(c->g.C, DTN_F32);

	LAUNCH((product<EVEN_X, EVEN_Y>),
	       dim3(cuda_blocks(c->g.K, BM) * cuda_blocks(columns, BN), c->splits), THREADS, 0,
	       c->g, (const float *)c->x, (const float *)c->dy, c->part, c->rows);
}

}

void cuda_conv_weights_f32(const struct weights_call *c)
{
	const bool x = c->g.C % GRANULE == 0, y = c->g.K % GRANULE == 0;

	if (x && y)
		launch<true, true>(c);
	else if (x)
		launch<true, false>(c);
	else if (y)
		launch<false, true>(c);
	else
		launch<false, false>(c);
}
