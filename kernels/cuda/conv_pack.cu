/* conv_pack.cu -- what convolutions and linear maps do beside their products: weights in the layout
 * of the products, sums of parts, of rows, copies.
 *
 *      pack            w [K,C,taps] f32 -> rows [K,taps,C'], columns [C,taps,K'] of the other type
 *
 *                          c                       a block takes 32 filters by 32 channels with all
 *                        +----+ - - +              their taps through shared memory, so that each
 *                      f | 32 |     | taps deep    of the three sides is read or written in rows
 *                        +----+ - - +
 *
 *      add_parts       dw [K,C,taps] = sum over s of part [s,K,taps,C'], in the order of s
 *      rows_sum        db [K] = the sum of the rows of dy [rows,K]: sums over chunks of 512 rows,
 *                      then over the chunks, each in a fixed order
 *
 * All move bytes and hardly compute: pack 4 K C taps in and twice 2 out; add_parts 4 (splits + 1) K
 * C taps; rows_sum dy once.  The estimate is 70 to 90 % of the memory's speed for large ones, but
 * weights of one layer mostly stay in the second-level cache.  No figure here was measured.
 */
#include "kernels/cuda/conv.h"

namespace {

/* --- pack ------------------------------------------------------------------------------------- */

enum { SIDE = 32, PACK_THREADS = 256 };

struct pack_call {
	const float *w;
	int K, C, taps, padded_C, padded_K;
	void *rows, *columns;           /* columns may be NULL */
};

/* Element (f, c, t) of the block's part; odd, so that neither direction meets one bank. */
DEVICE int place(int taps, int f, int c, int t)
{
	return f * (SIDE * taps + 1) + c * taps + t;
}

/* Neighbouring threads write neighbours of `to` [outer,taps,inner']. */
template <class T, bool ROWS>
DEVICE void write_side(T *to, const float *part, const pack_call &p, int f0, int c0)
{
	const int outer0 = ROWS ? f0 : c0, inner0 = ROWS ? c0 : f0, outers = ROWS ? p.K : p.C;
	const int padded = ROWS ? p.padded_C : p.padded_K;

	for (int i = (int)threadIdx.x; i < SIDE * SIDE * p.taps; i += PACK_THREADS) {
		const int inner = i % SIDE, t = i / SIDE % p.taps, outer = i / SIDE / p.taps;
		const size_t at = ((size_t)(outer0 + outer) * p.taps + t) * padded + inner0 + inner;

		if (outer0 + outer < outers && inner0 + inner < padded)
			set(to[at], part[ROWS ? place(p.taps, outer, inner, t) :
						place(p.taps, inner, outer, t)]);
	}
}

template <class T> __global__ void __launch_bounds__(PACK_THREADS) pack_weights(pack_call p)
{
	DYNAMIC(float, part);
	const int f0 = (int)blockIdx.y * SIDE, c0 = (int)blockIdx.x * SIDE, row = SIDE * p.taps;

	for (int i = (int)threadIdx.x; i < SIDE * row; i += PACK_THREADS) {
		const int f = f0 + i / row, rest = i % row;
		const bool valid = f < p.K && c0 + rest / p.taps < p.C;

		part[i / row * (row + 1) + rest] =
			valid ? p.w[((size_t)f * p.C + c0) * p.taps + rest] : 0;
	}
	__syncthreads();
	write_side<T, true>((T *)p.rows, part, p, f0, c0);
	if (p.columns)
		write_side<T, false>((T *)p.columns, part, p, f0, c0);
}

template <class T> void launch_pack(const pack_call &p)
{
	LAUNCH(pack_weights<T>, dim3(cuda_blocks(p.C, SIDE), cuda_blocks(p.K, SIDE)), PACK_THREADS,
	       SIDE * (SIDE * (size_t)p.taps + 1) * sizeof(float), p);
}

/* --- sums ------------------------------------------------------------------------------------- */

enum { BLOCK = 256 };

__global__ void add_parts(float *dw, const float *part, int splits, int K, int C, int taps,
			  int padded)
{
	const size_t size = (size_t)K * taps * padded, i = (size_t)blockIdx.x * BLOCK + threadIdx.x;
	const size_t c = i % padded, t = i / padded % taps, f = i / padded / taps;
	float sum = 0;

	if (i >= size || c >= (size_t)C)
		return;
	for (int s = 0; s < splits; s++)
		sum += part[s * size + i];
	dw[(f * C + c) * taps + t] = sum;
}

enum { LANES = 32, DEEP = 8, CHUNK = 512 };

/* part [chunks,K]: each thread adds every 8th row of a chunk, the first of 8 adds their sums. */
template <class T> __global__ void sum_chunks(float *part, const T *dy, size_t rows, int K)
{
	SHARED(float, sums, [DEEP][LANES]);
	const int f = (int)(blockIdx.y * LANES + threadIdx.x), deep = (int)threadIdx.y;
	const size_t first = (size_t)blockIdx.x * CHUNK;
	const size_t end = first + CHUNK < rows ? first + CHUNK : rows;
	float sum = 0;

	for (size_t r = first + deep; r < end && f < K; r += DEEP)
		sum += value(dy[r * K + f]);
	sums[deep][threadIdx.x] = sum;
	__syncthreads();
	if (deep > 0 || f >= K)
		return;
	for (int i = 1; i < DEEP; i++)
		sum += sums[i][threadIdx.x];
	part[(size_t)blockIdx.x * K + f] = sum;
}

__global__ void sum_parts(float *db, const float *part, int chunks, int K)
{
	SHARED(float, sums, [DEEP][LANES]);
	const int f = (int)(blockIdx.x * LANES + threadIdx.x), deep = (int)threadIdx.y;
	float sum = 0;

	for (int i = deep; i < chunks && f < K; i += DEEP)
		sum += part[(size_t)i * K + f];
	sums[deep][threadIdx.x] = sum;
	__syncthreads();
	if (deep > 0 || f >= K)
		return;
	for (int i = 1; i < DEEP; i++)
		sum += sums[i][threadIdx.x];
	db[f] = sum;
}

template <class T> void launch_rows_sum(float *db, const void *dy, size_t rows, int K, float *part)
{
	const unsigned across = cuda_blocks(K, LANES), chunks = cuda_blocks(rows, CHUNK);

	LAUNCH(sum_chunks<T>, dim3(chunks, across), dim3(LANES, DEEP), 0, part, (const T *)dy, rows,
	       K);
	LAUNCH(sum_parts, across, dim3(LANES, DEEP), 0, db, part, (int)chunks, K);
}

/* --- copies ----------------------------------------------------------------------------------- */

template <class T> __global__ void add_to(T *to, const T *from, size_t n)
{
	const size_t i = ((size_t)blockIdx.x * BLOCK + threadIdx.x) * wide<T>;
	float v[wide<T>];

	if (i + wide<T> <= n) {
		load<wide<T>>(v, from + i);
		store<wide<T>>(to + i, v, true);
		return;
	}
	for (size_t j = i; j < n; j++)
		set(to[j], value(to[j]) + value(from[j]));
}

template <class T> void launch_add(void *to, const void *from, size_t n)
{
	LAUNCH(add_to<T>, cuda_blocks(n, BLOCK * wide<T>), BLOCK, 0, (T *)to, (const T *)from, n);
}

}

void cuda_conv_pack(const float *w, int K, int C, int taps, int type, void *rows, void *columns)
{
	const pack_call p = { w, K, C, taps, cuda_conv_padded(C, type), cuda_conv_padded(K, type),
			      rows, columns };

	BY_TYPE(type, launch_pack, p);
}

void cuda_conv_add_parts(float *dw, const float *part, int splits, int K, int C, int taps,
			 int padded)
{
	LAUNCH(add_parts, cuda_blocks((size_t)K * taps * padded, BLOCK), BLOCK, 0, dw, part,
	       splits, K, C, taps, padded);
}

size_t cuda_rows_scratch(size_t rows, int K)
{
	return (size_t)cuda_blocks(rows, CHUNK) * (size_t)K * sizeof(float);
}

void cuda_rows_sum(float *db, const void *dy, int type, size_t rows, int K, float *scratch)
{
	BY_TYPE(type, launch_rows_sum, db, dy, rows, K, scratch);
}

void cuda_conv_copy(void *to, const void *from, int type, size_t n, bool add)
{
	if (add)
		BY_TYPE(type, launch_add, to, from, n);
	else if (to != from)
		CUDA(cudaMemcpyAsync(to, from, n * dtn_type_size(type), cudaMemcpyDeviceToDevice,
				     cuda_stream));
}
