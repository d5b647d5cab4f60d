/* product.h -- what convolutions and linear maps have in common: weights times activations.
 *
 * An engine (oneDNN, our own loops) computes one product with one element type.  product.c calls it
 * for an op: types that the engine does not have, gradients of the residual, memory.  So an engine
 * sees:
 *
 *      x, dx           [N,H,W,C]       of the engine's type
 *      y, dy, residual [N,Ho,Wo,K]     of the engine's type
 *      w, dw           [K,C,k,k] f32   b, db [K] f32
 *
 * A linear map is a convolution with k = 1.
 */
#ifndef DTN_PRODUCT_H
#define DTN_PRODUCT_H

#include "kernels/cpu/cpu.h"

struct product {
	int N, H, W, C, Ho, Wo, K, k, stride;
	int type;                       /* DTN_F32 or DTN_BF16: what the engine works on */
	bool training;                  /* are the backward functions needed? */
	const struct engine *engine;
	void *own;                      /* the engine's */
	size_t packed_bytes, scratch_bytes;     /* that the engine wants, set by its open */
	size_t x_bytes, y_bytes, rest_bytes;    /* of copies in another type; see product.c */
};

struct weights {
	const float *plain;             /* [K,C,k,k] */
	const void *packed;             /* as the engine left them; NULL if it packs none */
};

struct engine {
	/* Fill own, packed_bytes and scratch_bytes. */
	void (*open)(struct product *);
	void (*close)(struct product *);
	/* NULL: nothing to pack */
	void (*pack)(const struct product *, const float *w, void *packed);

	/* residual: NULL, or added to the result. */
	void (*forward)(const struct product *, const void *x, struct weights, const float *b,
			const void *residual, void *y, void *scratch);

	/* add: dx += instead of dx =. */
	void (*by_data)(const struct product *, const void *dy, struct weights, void *dx, bool add,
			void *scratch);
	void (*by_weights)(const struct product *, const void *x, const void *dy, float *dw,
			   float *db, void *scratch);
};

/* What an engine should work on: bf16 where input and result are, if the processor can. */
int CPU(product_type)(const struct dtn_call *);

/* The functions of a kernel; open with the engine for the product that is described. */
void *CPU(product_open)(const struct dtn_call *, struct product, const struct engine *);
void CPU(product_close)(void *state);
size_t CPU(product_scratch)(const struct dtn_call *);
size_t CPU(product_packed)(const struct dtn_call *);
void CPU(product_pack)(const struct dtn_call *, void *packed);
void CPU(product_forward)(const struct dtn_call *);
void CPU(product_backward)(const struct dtn_call *);

/* to = from, or to += from, each in its type; n elements. */
void CPU(product_store)(void *to, int type, const void *from, int from_type, size_t n, bool add);

static inline size_t round64(size_t bytes)
{
	return (bytes + 63) & ~(size_t)63;
}

#endif
