/* backend.h -- what a device does for a network: the contract between lib/ and kernels/.
 *
 * A network runs on slices: its graph is built for a slice of S images, and several workers run it
 * on different slices at once.  Workers share parameters, packed weights and kernel states, which
 * nothing writes while they run; each has its own arena and scratch.  A device with one queue has
 * one worker.
 */
#ifndef DTN_BACKEND_H
#define DTN_BACKEND_H

#include "lib/nn/graph.h"

/* One call of one kernel.  Shapes, types and attributes are in the nodes. */
struct dtn_call {
	const struct dtn_node *y, *in[DTN_INPUTS];      /* in[i] NULL: absent */
	const void *x[DTN_INPUTS];      /* values of the inputs */
	/* value of y: written by forward, read by backward if op.def says OUT */
	void *out;
	const void *dout;               /* gradient of y, of y's type */
	/* gradients to write; NULL: not wanted.  Of in[i]'s type; of a parameter f32 */
	void *dx[DTN_INPUTS];
	/* dx[i] += instead of dx[i] = ; never set for a parameter */
	bool add[DTN_INPUTS];
	/* from forward to backward, as the op's rule asked; NULL when sampling */
	void *saved;
	void *scratch;                  /* kernel->scratch bytes, 64-aligned, garbage */
	const void *packed;             /* the weights as `pack` left them */
	const void *state;              /* what `open` returned */
	/* for dropout: run's seed, number of the slice's first sample ever */
	uint64_t seed, index;
	int id;                         /* of y, in its graph */
	bool training;                  /* dropout is off otherwise */
};

/* The kernels of one op.  Only forward and backward are required. */
struct dtn_kernel {
	void (*forward)(const struct dtn_call *);
	void (*backward)(const struct dtn_call *);

	/* Made once per node before the first run and shared by the workers: primitives, sizes.  Of
	 * the call, only y, in and training are set. */
	void *(*open)(const struct dtn_call *);
	void (*close)(void *state);
	size_t (*scratch)(const struct dtn_call *);             /* bytes that either pass needs */
	/* bytes of weights in the kernel's own layout */
	size_t (*packed)(const struct dtn_call *);
	/* from x[]; after every change of the weights */
	void (*pack)(const struct dtn_call *, void *packed);
};

/* One sweep over a range of the flat parameter arrays: Adam [Kingma & Ba 2015, alg. 1], decoupled
 * weight decay [Loshchilov & Hutter 2019], moving average of the weights. */
struct dtn_adam_call {
	float *param, *m, *v, *ema;     /* ema NULL: none */
	const float *grad;
	size_t n;
	float rate, beta1, beta2, eps, decay;
	float correct1, correct2;       /* 1 - beta^step, in f64 rounded */
	float scale;                    /* of the gradient: clipping */
	float ema_decay;                /* ema = d * ema + (1-d) * param */
};

struct dtn_backend {
	const char *name;               /* "cpu" */
	const char *detail;             /* "avx2, f32" and the like, for -v */
	bool bf16;                      /* is it fast in bf16? */
	void *(*alloc)(size_t bytes);   /* 64-aligned; NULL: no memory */
	void (*free)(void *);
	void (*put)(void *device, const void *host, size_t bytes);
	void (*get)(void *host, const void *device, size_t bytes);
	void (*sync)(void);
	void (*worker)(void);           /* called first by every worker thread */
	void (*adam)(const struct dtn_adam_call *);
	/* sum of squares, accumulated in f64 */
	double (*norm2)(const float *, size_t n);
	void (*add)(float *to, const float *from, size_t n);    /* to += from */
	const struct dtn_kernel *kernel[DTN_OPS];               /* NULL for inputs and parameters */
};

/* The CPU's backend for this processor; `isa` "v2", "v3" or "v4" forces a lower one, NULL the best.
 * NULL: the processor cannot run it. */
const struct dtn_backend *dtn_cpu(const char *isa);

#endif
