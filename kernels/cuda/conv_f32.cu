/* conv_f32.cu -- convolutions and their gradients by data in f32, on the ordinary units.
 *
 * The product of conv.h's gather: P positions by K filters.  Its inner dimension is cut into
 * granules of 4 channels of one tap (16 bytes); 4 of them are one step.  A block of 128 threads
 * computes 128 positions by 64 filters, 8 x 8 of them in the registers of each thread:
 *
 *                   64 filters              shared memory, twice
 *                 +--+--+- - -+--+
 *      128        |8x8  |     |  |          A [16 channels, 128 positions]
 *      positions  +--+--+- - -+--+          B [16 channels, 64 filters]
 *                 |  |            |
 *                 + - - - - - - - +         thread t gathers position t: its pixels are found once
 *                 |            |  |
 *                 +------------+--+         the next step waits in registers during this one
 *
 * Operations: 2 P K C k^2; bytes as in conv_bf16.cu, twice as wide.  A thread does 64 fused
 * multiplications and additions for 64 bytes from shared memory, so at 128 lanes a cycle a
 * multiprocessor of compute capability 8.0 (64 lanes, 128 bytes a cycle) is bound by arithmetic:
 * the estimate is 60 to 70 % of its f32 peak.  Products are exact f32, never tf32.  No figure here
 * was measured.  Up to 151 registers and 24 KiB of shared memory: 3 blocks, 12 of 64 warps, on a
 * multiprocessor; nothing spilled.
 */
#include "kernels/cuda/conv_f32.h"

namespace {

enum { BM = 128, BN = 64, THREADS = 128, GRANULE = 4, STEP = 4, DEPTH = STEP * GRANULE };

struct alignas(16) tiles { float a[DEPTH][BM], b[DEPTH][BN]; };

struct spot { int n, y, x; };

DEVICE spot spot_of(const phase &p, int m)
{
	const int area = p.height * p.width, rest = m % area;

	return { m / area, rest / p.width, rest % p.width };
}

/* A walk over the granules of a row. */
struct walk {
	int tap, c, granules;

	__device__ void next()
	{
		if (++c < granules)
			return;
		c = 0;
		tap++;
	}
};

/* What one thread brings: position tid, and filter tid % 64's granules tid / 64 * 2 and + 1. */
template <bool EVEN> struct bringer {
	const float *x, *w;             /* pixel of tap (0,0); row of the filter */
	unsigned inside;                /* a bit for every tap */
	bool filter;
	walk at;
	float4 a[STEP], b[STEP / 2];

	__device__ void begin(const gather &g, const phase &p, const float *x0, const float *w0,
			      int m0, int f0)
	{
		const int m = m0 + (int)threadIdx.x, f = f0 + (int)threadIdx.x % BN;
		const bool valid = m < g.N * p.height * p.width;
		const spot s = spot_of(p, valid ? m : 0);
		const int v = s.y * g.step, u = s.x * g.step;

		at = { 0, 0, (g.C + GRANULE - 1) / GRANULE };
		x = x0 + ((ptrdiff_t)(s.n * g.H + v) * g.W + u) * g.C;
		filter = f < g.K;
		w = w0 + (size_t)(filter ? f : 0) * g.row_taps * at.granules * GRANULE;
		inside = 0;
		for (int t = 0; t < p.taps; t++)
			if (valid && (unsigned)(v + p.dy[t]) < (unsigned)g.H &&
			    (unsigned)(u + p.dx[t]) < (unsigned)g.W)
				inside |= 1u << t;
	}

	/* The next step into registers. */
	__device__ void bring(const gather &g, const phase &p)
	{
#pragma unroll
		for (int i = 0; i < STEP; i++, at.next()) {
			const bool more = at.tap < p.taps;
			const int t = more ? at.tap : 0, c = at.c * GRANULE;
			const bool valid = more && inside >> t & 1;

			const ptrdiff_t there = (ptrdiff_t)(p.dy[t] * g.W + p.dx[t]) * g.C + c;

			a[i] = read<EVEN>(valid ? x + there : w, valid ? g.C - c : 0);
			if (i / 2 == (int)threadIdx.x / BN)
				b[i % 2] = read<true>(w + p.tap[t] * at.granules * GRANULE + c,
						      more && filter ? GRANULE : 0);
		}
	}

	/* From registers to the tiles. */
	__device__ void put(tiles &to) const
	{
		const int f = (int)threadIdx.x % BN, first = (int)threadIdx.x / BN * 2;

#pragma unroll
		for (int i = 0; i < STEP; i++)
			put_granule(&to.a[i * GRANULE][threadIdx.x], BM, a[i]);
#pragma unroll
		for (int i = 0; i < STEP / 2; i++)
			put_granule(&to.b[(first + i) * GRANULE][f], BN, b[i]);
	}

	static __device__ void put_granule(float *to, int row, float4 v)
	{
		to[0] = v.x;
		to[row] = v.y;
		to[2 * row] = v.z;
		to[3 * row] = v.w;
	}
};

DEVICE void write(const gather &g, const phase &p, const float acc[8][8], int m0, int f0,
		  const float *bias, const float *residual, float *y)
{
#pragma unroll
	for (int i = 0; i < 8; i++) {
		const int m = m0 + eighth((int)threadIdx.x / 8, i, BM / 2);
		const spot s = spot_of(p, m);
		const size_t pixel = (size_t)(s.n * g.Ho + s.y * g.ostep + p.y0) * g.Wo +
				     s.x * g.ostep + p.x0;

		if (m >= g.N * p.height * p.width)
			continue;
#pragma unroll
		for (int j = 0; j < 8; j++) {
			const int f = f0 + eighth((int)threadIdx.x % 8, j, BN / 2);
			const size_t to = pixel * g.K + f;

			if (f < g.K)
				y[to] = acc[i][j] + (bias ? bias[f] : 0) +
					(residual ? residual[to] : 0);
		}
	}
}

template <bool EVEN>
__global__ void __launch_bounds__(THREADS)
product(gather g, const float *x, const float *w, const float *bias, const float *residual,
	float *y)
{
	SHARED(tiles, tile, [2]);
	const phase &p = g.phase[blockIdx.z];
	const int columns = (g.K + BN - 1) / BN;
	const int f0 = (int)blockIdx.x % columns * BN, m0 = (int)blockIdx.x / columns * BM;
	const int steps = (p.taps * ((g.C + GRANULE - 1) / GRANULE) + STEP - 1) / STEP;
	bringer<EVEN> from;
	float acc[8][8] = {};

	if (m0 >= g.N * p.height * p.width)
		return;
	from.begin(g, p, x, w, m0, f0);
	from.bring(g, p);
	from.put(tile[0]);
	for (int s = 0; s < steps; s++) {
		__syncthreads();
		if (s + 1 < steps)
			from.bring(g, p);
		multiply(acc, tile[s % 2].a, tile[s % 2].b);
		if (s + 1 < steps)
			from.put(tile[(s + 1) % 2]);
	}
	write(g, p, acc, m0, f0, bias, residual, y);
}

template <bool EVEN> void launch(const gather_call *c, size_t positions)
{
	LAUNCH(product<EVEN>, dim3(cuda_blocks(positions, BM) * cuda_blocks(c->g.K, BN), 1,
				   c->g.phases),
	       THREADS, 0, c->g, (const float *)c->x, (const float *)c->w, c->bias,
	       (const float *)c->residual, (float *)c->y);
}

}

void cuda_gather_f32(const struct gather_call *c)
{
	size_t most = 0;

	for (int i = 0; i < c->g.phases; i++) {
		size_t n = (size_t)c->g.N * c->g.phase[i].height * c->g.phase[i].width;

		most = n > most ? n : most;
	}
	if (c->g.C % GRANULE == 0)
		launch<true>(c, most);
	else
		launch<false>(c, most);
}
