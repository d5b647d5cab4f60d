/* groupnorm.h -- how channels are cut into slices, and sums of a slice: names inside kernels/cuda.
 *
 * A block has all positions of some whole groups of one image, a slice of 16 or 32 channels or a
 * little more:
 *
 *              channels
 *            | slice      | slice      | ...         one block a slice and image
 *      rows  | V V V V    |                          a thread has V channels of every
 *       of   | V V V V    |                          `down`-th position, `across` threads a row
 *      [L,C] | ...        |
 *
 * Where it fits the slice stays in shared memory, and is read from memory once.  Sums of threads
 * are added in a fixed order.
 */
#ifndef DTN_CUDA_GROUPNORM_H
#define DTN_CUDA_GROUPNORM_H

#include "kernels/cuda/cuda.h"

enum { BLOCK = 256, WARPS = BLOCK / WARP };

/* How the channels are cut: by the shape of one image alone. */
struct cut {
	int L, C, width;                /* positions, channels; channels of a group */
	int channels;                   /* of a slice: whole groups */
	int across, down;               /* threads along a row, rows side by side */
	int rows;                       /* of sums that a block adds up at the end */
	size_t vectors, kept_at, bytes; /* in shared memory */
	bool kept;                      /* does the slice stay there? */
};

/* The slices of a node's result: `sums` numbers a channel are added up, and `tensors` kept. */
struct cut cuda_groupnorm_cut(const struct dtn_node *, int V, int sums, int tensors);

void cuda_groupnorm_backward(const struct dtn_call *);

/* A thread's channels of a chunk begin at `at`, its positions at `row`, every s.down-th: L where it
 * has none. */
struct start { int at, row; };

template <int V> DEVICE struct start start_at(const struct cut &s, int chunk)
{
	const int at = chunk + (int)threadIdx.x % s.across * V, row = (int)threadIdx.x / s.across;

	return { at, row < s.down && at < s.channels ? row : s.L };
}

/* Add up the threads' sums [n][V] of one chunk of channels: to[k * stride + channel].  Every thread
 * calls it, and a barrier is behind it. */
template <int V, int n>
DEVICE void add_rows(float *to, int stride, float x[n][V], float *table, const struct cut &s)
{
	const int tid = (int)threadIdx.x, width = s.across * V;
	const bool of_warps = s.rows == WARPS && WARP % s.across == 0;
	const int row = of_warps ? tid / WARP : tid / s.across;

	for (int away = s.across; of_warps && away < WARP; away *= 2)
		for (int k = 0; k < n; k++)
			for (int v = 0; v < V; v++)
				x[k][v] += __shfl_xor_sync(ALL_LANES, x[k][v], away);
	if (row < s.rows && (!of_warps || tid % WARP < s.across))
		for (int k = 0; k < n; k++)
			for (int v = 0; v < V; v++)
				table[(k * s.rows + row) * width + tid % s.across * V + v] =
					x[k][v];
	__syncthreads();
	for (int i = tid; i < n * width; i += BLOCK) {
		const int k = i / width, channel = i % width;
		float sum = 0;

		for (int r = 0; r < s.rows; r++)
			sum += table[(k * s.rows + r) * width + channel];
		if (channel < stride)
			to[k * s.channels + channel] = sum;
	}
	__syncthreads();
}

#endif
