/* attention.h -- the five sweeps that attention is made of: names inside kernels/cuda.
 *
 * With X, Y and the others the [L,d] parts of one image and head, c = 1/sqrt(d), lse the logarithm
 * of each query's sum of exponentials, each sweep goes over all keys for some queries, or over all
 * queries for some keys, and forms a table S = X Y' piece by piece:
 *
 *      sweep     rows      columns   P                       result
 *      FORWARD   queries   keys      softmax of c Q K'       P V, and lse
 *      SUMS      queries   keys      exp(c Q K' - lse)       z = sum P,  D = sum P dP / z
 *      BY_Q      queries   keys      exp(c Q K' - lse) / z   c P (dP - D) K
 *      BY_K      keys      queries   the same, transposed    c P (dP - D) Q
 *      BY_V      keys      queries   the same, transposed    P dO
 *
 * with dP = dO V' (transposed: V dO').  D is also the sum of a result times its gradient, but
 * results are rounded to bf16, and where one P is almost 1 dP - D almost cancels; so it is added up
 * from the P and dP that it is used with, and the rounding of lse is divided out by z.
 *
 * No sweep writes what another block writes: nothing is added atomically, and results do not depend
 * on timing.  The price is that S is formed four times in the backward pass.
 */
#ifndef DTN_CUDA_ATTENTION_H
#define DTN_CUDA_ATTENTION_H

#include "kernels/cuda/cuda.h"

enum sweep { FORWARD, SUMS, BY_Q, BY_K, BY_V };

struct attend {
	int N, L, C, heads, d;
	float scale, root;              /* c, and 1/c */
	const void *x, *y;              /* [N,L,C]: S = X Y' */
	const void *x2, *y2;            /* dP = X2 Y2'; in SUMS, BY_Q, BY_K */
	const void *z;                  /* the result is a sum of rows of it */
	void *out;
	bool add;                       /* out += */
	float *lse;                     /* [N,heads,L]; FORWARD writes it unless NULL */
	float2 *sums;                   /* [N,heads,L]: D, 1/z; SUMS writes them */
};

/* Does the sweep form dP?  Do its columns stand for queries? */
__host__ __device__ constexpr bool forms_dp(sweep s)
{
	return s == SUMS || s == BY_Q || s == BY_K;
}

__host__ __device__ constexpr bool by_columns(sweep s)
{
	return s == BY_K || s == BY_V;
}

void cuda_attend_bf16(sweep, const struct attend *);
void cuda_attend_f32(sweep, const struct attend *);

#endif
