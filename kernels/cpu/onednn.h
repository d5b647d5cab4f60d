/* onednn.h -- oneDNN, versions 2 and 3, as an engine for convolutions and linear maps. */
#ifndef DTN_ONEDNN_H
#define DTN_ONEDNN_H

#include "kernels/cpu/product.h"

extern const struct engine CPU(onednn);

/* Can it multiply bf16 numbers in hardware here? */
bool CPU(onednn_bf16)(void);

/* Row-major products of one thread: c [M,N] = beta * c + a' b', with a' [M,K] being a, or a
 * transposed where ta is 'T' (then a is [K,M]); b likewise. */
void CPU(onednn_sgemm)(char ta, char tb, int M, int N, int K, const float *a, int lda,
		       const float *b, int ldb, float beta, float *c, int ldc);

#endif
