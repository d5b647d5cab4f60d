/* conv.h -- convolutions as matrix products whose rows are gathered: names inside kernels/cuda.
 *
 * All of them multiply rows of gathered pixels by rows of packed weights.  A result lies on a grid
 * of positions; for each of them and each tap of the kernel one pixel of x is read:
 *
 *      y[n, ostep gy + y0, ostep gx + x0, f] = sum over taps t, channels c of
 *              w[f, tap t, c] x[n, step gy + dy t, step gx + dx t, c]
 *
 * where pixels outside the image count as zero.  This one form covers
 *
 *      forward, stride 1       step 1, dy and dx from -1 to 1
 *      forward, stride 2       step 2, dy and dx from 0 to 2
 *      by data, stride 1       the same with the taps mirrored and the weights transposed
 *      by data, stride 2       four phases: results at even and odd rows and columns meet 2 and 1
 *                              of the three taps, so 4, 2, 2 and 1 taps; together no tap is wasted
 *
 * Packed weights have rows of taps [K,k*k,C'], C' being C up to a multiple of what 16 bytes hold,
 * zeros in between; for the gradient of the data a second copy [C,k*k,K'] follows.
 */
#ifndef DTN_CUDA_CONV_H
#define DTN_CUDA_CONV_H

#include "kernels/cuda/cuda.h"

enum { TAPS = 9 };

struct phase {
	int height, width;              /* of the grid */
	int y0, x0;                     /* where position (0,0) lies in the result */
	int taps;
	signed char dy[TAPS], dx[TAPS], tap[TAPS];      /* tap: its place in a row of weights */
};

struct gather {
	int N, H, W, C;                 /* of x */
	int Ho, Wo, K;                  /* of y */
	int step, ostep;
	int row_taps;                   /* taps in a row of weights */
	int phases;
	struct phase phase[4];
};

/* y = the product + bias + residual.  bias [K] or NULL; residual of y's shape, y itself, or
 * NULL. */
struct gather_call {
	struct gather g;
	const void *x, *w;
	const float *bias;
	const void *residual;
	void *y;
};

/* How large the blocks of the bf16 products are: filters by positions, or by columns.  The order of
 * additions is the same in all, and so are the results' bits; tests ask for each. */
enum conv_tile { TILE_AUTO, TILE_64, TILE_SLIM, TILE_64_128, TILE_128 };
extern enum conv_tile cuda_conv_tile;

void cuda_gather_bf16(const struct gather_call *);
void cuda_gather_f32(const struct gather_call *);

/* The gradient of the weights.  The pixels are divided into `splits` parts, whose sums [splits,
 * K,k*k,C'] f32 land in `part`; cuda_conv_add_parts adds them in their order. */
struct weights_call {
	struct gather g;                /* that of forward: one phase */
	int splits, rows;               /* rows: pixels of y of a part, the last one shorter */
	const void *x, *dy;
	float *part;
};

void cuda_conv_weights_bf16(const struct weights_call *);
void cuda_conv_weights_f32(const struct weights_call *);

/* C up to a multiple of 16 bytes of this type. */
static inline int cuda_conv_padded(int C, int type)
{
	int V = type == DTN_BF16 ? 8 : 4;

	return (C + V - 1) / V * V;
}

/* From w [K,C,taps] f32 to rows [K,taps,C'] and, where not NULL, [C,taps,K'] of `type`. */
void cuda_conv_pack(const float *w, int K, int C, int taps, int type, void *rows, void *columns);

/* dw [K,C,taps] = the sum over the parts [splits,K,taps,C']. */
void cuda_conv_add_parts(float *dw, const float *part, int splits, int K, int C, int taps,
			 int padded);

/* db [K] = the sum of the rows of dy [rows,K]; scratch: cuda_rows_scratch bytes. */
size_t cuda_rows_scratch(size_t rows, int K);
void cuda_rows_sum(float *db, const void *dy, int type, size_t rows, int K, float *scratch);

/* to = from, or to += from; n elements of `type`.  Nothing happens where they are the same. */
void cuda_conv_copy(void *to, const void *from, int type, size_t n, bool add);

#endif
