/* layout.h -- where each weight lies among the packed ones, for the sweep of update.cu.
 *
 * A weight [K,C,taps] lies packed as rows [K,taps,C'] and perhaps columns [C,taps,K'] too
 * (kernels/backend.h).  The parameters are cut into tiles that a block updates at once and then
 * writes in those orders; the elements of a tile are near each other in all three:
 *
 *                c0      c0+C
 *            +---+-------+----+
 *        k0  |   | tile  |    |      each element has `taps` neighbours
 *      k0+K  |   +-------+    |
 *            +----------------+ [K,C] of the layer
 *
 * What is not packed (biases, norms) is tiles of one row.  In memory: head, layers, tiles. */
#ifndef DTN_CUDA_LAYOUT_H
#define DTN_CUDA_LAYOUT_H

#include <stddef.h>

enum { TILE_ROWS = 32, TILE_WIDTH = 144 };      /* at most; width: channels times taps */

struct layer {
	int C, taps, type;
	int padded_C, padded_K;         /* C' and K' */
	size_t rows, columns;           /* bytes from the first packed weight; columns 0: none */
};

struct tile {
	size_t at;                      /* of its first element in the flat arrays */
	int layer;                      /* -1: not packed */
	int k0, c0, K, C;
};

struct layout { int layers, tiles; };

#endif
