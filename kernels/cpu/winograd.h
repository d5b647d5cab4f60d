/* winograd.h -- 3x3 convolutions with a quarter of the multiplications [Lavin & Gray 2016,
 * F(4x4,3x3)].
 *
 * For stride 1 and one pixel of zeros around, f32, channels-last.  Tiles of 6x6 pixels give 4x4
 * results: 36 multiplications where the definition has 144.  Rounding errors grow to some ten times
 * those of the definition, still a thousandth of what bf16 does.
 *
 * Weights are transformed in each call, a part at a time: kept, they would take four times the
 * memory of the weights for each direction, and for large networks come from memory instead of the
 * cache.
 */
#ifndef DTN_CPU_WINOGRAD_H
#define DTN_CPU_WINOGRAD_H

#include "kernels/cpu/product.h"

struct winograd { int N, H, W, C, K; };         /* x [N,H,W,C], y [N,H,W,K], w [K,C,3,3] */

/* Can it be done (C and K are multiples of the vector width)? */
bool CPU(winograd_fits)(const struct winograd *);

/* Bytes of scratch for forward and weights. */
size_t CPU(winograd_scratch)(const struct winograd *);
size_t CPU(winograd_weights_scratch)(const struct winograd *);

/* y = w * x + bias + residual; bias [K] and residual [N,H,W,K] may be NULL; residual may be y.
 * `back`: for dx = turned w * dy, where w is [C,K,3,3] as stored: its outputs are our inputs. */
void CPU(winograd_forward)(const struct winograd *, float *y, const float *x, const float *w,
			   bool back, const float *bias, const float *residual, float *scratch);

/* dw [K,C,3,3] and db [K] from x and dy [N,H,W,K]. */
void CPU(winograd_weights)(const struct winograd *, float *dw, float *db, const float *x,
			   const float *dy, float *scratch);

/* The engine, and whether it takes this product. */
extern const struct engine CPU(winograd);
bool CPU(winograd_takes)(const struct product *);

#endif
