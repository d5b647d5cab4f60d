/* backend.h -- what a device does for a network: the contract between lib/ and kernels/.
 *
 * A network runs on slices: its graph is built for a slice of S images, and several workers run it
 * on different slices at once.  Workers share parameters, packed weights and kernel states, which
 * nothing writes while they run; each has its own arena and scratch.
 *
 * A device with memory of its own has one worker, large slices, and a queue:
 *
 *      host     pick images   pick images   pick images           read the reports of many steps
 *                   | send        | send        | send                 ^
 *      queue    [ send, play ][ send, play ][ send, play ] ... [ get ] |
 *
 * Everything the device is asked for, kernels included, is only asked for: it is done later, in the
 * order asked; `get`, `sync` and `wait` alone wait.  All pointers that kernels see are the device's
 * and stay the same from step to step, as does every number in a call: what changes from step to
 * step lies in the device's memory (call.draw, struct dtn_sample, struct dtn_state).  So a step is
 * recorded once and played as often as wanted.  Between `record` and `recorded` nothing is done, a
 * kernel must not allocate, wait or read back, and everything is asked for on the one queue.
 * `open` runs before the first recording and may do all that.
 *
 * On a device of this kind `packed` weights of a layer (second input, [K,C] or [K,C,k,k]) are rows
 * [K,k*k,C'] in the node's type, C' being C or C up to a multiple of 16 bytes, zeros in between;
 * from the next multiple of 64 bytes on, columns [C,k*k,K'] may follow.  `pack` writes all of it;
 * after that `update` writes the weights anew as it changes them, and leaves the zeros.
 *
 * Forward, what becomes of an image must not depend in a single bit on how many others there are in
 * the slice or where it lies among them: tiles and algorithms are chosen by the shape of one image.
 * Backward, and between two runs, the same slice gives the same bits: no atomic sums.
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
	const uint64_t *draw;           /* where both lie on a device with a queue, else NULL */
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

/* --- a device with a queue -------------------------------------------------------------------- */

/* What the host says of one sample of a slice. */
struct dtn_sample {
	uint64_t position;              /* of its noise: the generator's index */
	float image, noise;             /* x_t = image x_0 + noise eps */
	float weight;                   /* of its loss */
	float gradient;                 /* of the sum of losses by this one */
	int32_t t, label;
	uint32_t empty;                 /* fills up the slice: all zeros */
	uint32_t mirror;                /* left to right */
};

/* x_t, target, t and labels of a slice from its images, with the bits that dtn_rng_normal,
 * dtn_add_noise and dtn_target give. */
struct dtn_noise_call {
	const uint64_t *draw;           /* [0]: seed */
	const uint8_t *pixels;          /* [S,H,W,C] */
	const struct dtn_sample *sample;        /* [S] */
	float *x, *target;              /* [S,H,W,C] */
	int32_t *t, *label;             /* [S]; label NULL: none */
	int S, H, W, C;
	int predict;                    /* target: 0 eps, 1 x_0, 2 image eps - noise x_0 */
	int purpose;                    /* of the generator */
};

/* What a step of training said: [0] is the oldest of those that were not read. */
struct dtn_report { double loss, norm, rate; int64_t finite; };

enum { DTN_REPORTS = 64 };

/* Of a training run, in the device's memory; the host sets `steps` and `updates` at first. */
struct dtn_state {
	int64_t steps, updates;         /* done; those that were not finite are no updates */
	double loss;                    /* sum of this step's until now */
	double norm;
	float scale, step_rate, correct1, correct2, ema_decay;  /* of this update */
	int32_t finite;
	struct dtn_report report[DTN_REPORTS];          /* of step i: [i % DTN_REPORTS] */
};

/* After forward: state->loss += sum of weight * loss (`first`: = ), and the gradients of the
 * losses.  Empty samples have neither. */
struct dtn_tally_call {
	struct dtn_state *state;
	const float *loss;              /* [S] */
	float *dloss;                   /* [S] */
	const struct dtn_sample *sample;        /* [S] */
	int S;
	bool first;
};

/* The end of a step: norm of the gradient, report, and if all is finite Adam, average and packed
 * weights, in one sweep over everything. */
struct dtn_update_call {
	struct dtn_state *state;
	struct dtn_adam_call adam;      /* of it: arrays, n, betas, eps, decay */
	const double *rate;             /* without warm-up; on the device */
	double beta1, beta2, clip, ema; /* clip 0: none */
	int warmup, images;             /* steps; the loss is a mean over so many */
	const void *layout;             /* see dtn_queue.layout */
	char *packed;
	double *partial;                /* dtn_queue.partials(n) of them */
};

/* x at one step becomes x at the next, as dtn_sampler_step does it, with the coefficients in a
 * table, and t is that of the next step. */
struct dtn_coefficients {
	float cx, co, bound;            /* x_0 = held(cx x + co output, bound) */
	/* the next x = x0 x_0 + x x + x0_before (x_0 of the step before) + noise z; where one of
	 * the last two is 0, x_0 of the step before is not read, or z is not drawn */
	float x0, x, x0_before, noise;
	int32_t t;                      /* of this step */
};

struct dtn_step_call {
	float *x;                       /* [S,H,W,C] */
	const float *output;            /* [S,H,W,C] */
	/* [S,H,W,C]; the step takes output + guidance (with - output) instead; NULL: output */
	const float *with;
	float guidance;
	float *x0_before;               /* [S,H,W,C] x_0 of the last step made; NULL: nobody asks */
	int32_t *t;                     /* [S] */
	/* [steps + 1]; of the last only t is read */
	const struct dtn_coefficients *table;
	int32_t *step;                  /* number of this step, counted up */
	const uint64_t *draw;           /* seed, number of the first image */
	int S;
	size_t image;                   /* H*W*C */
};

struct dtn_place { struct dtn_call call; size_t at, bytes; };   /* of a layer's packed weights */

/* Images of a slice on such a device: kernels number them along a side of a grid of blocks. */
enum { DTN_MOST_IMAGES = 65535 };

struct dtn_queue {
	/* Memory of the host that the device can read by itself; NULL: none left. */
	void *(*pin)(size_t bytes);
	void (*unpin)(void *);
	/* put that returns at once; the host's side stays untouched until it is done. */
	void (*send)(void *device, const void *pinned, size_t bytes);
	/* Places in the queue, numbered 0 .. 7: wait until all before the mark is done. */
	void (*mark)(int);
	void (*wait)(int);

	void (*record)(void);
	void *(*recorded)(void);        /* what was asked for since */
	void (*play)(void *recording);
	void (*forget)(void *recording);

	size_t (*memory)(void);         /* bytes that are free */

	/* Where each weight lies among the packed ones, which `update` wants to know; in the
	 * device's memory, free with `free`. */
	void *(*layout)(const struct dtn_graph *, const struct dtn_place *, int n);
	size_t (*partials)(size_t n);

	void (*noise)(const struct dtn_noise_call *);
	void (*tally)(const struct dtn_tally_call *);
	void (*update)(const struct dtn_update_call *);
	/* x [S,image] = N(0,1) of the generators (draw[0], DTN_RNG_START, draw[1] + i). */
	void (*start)(float *x, const uint64_t *draw, int S, size_t image);
	void (*step)(const struct dtn_step_call *);
};

/* --- any device ------------------------------------------------------------------------------- */

struct dtn_backend {
	const char *name;               /* "cpu", "cuda" */
	const char *detail;             /* "avx2, f32" and the like, for -v */
	bool bf16;                      /* is it fast in bf16? */
	const struct dtn_queue *queue;  /* NULL: the host's memory, any number of workers */
	void *(*alloc)(size_t bytes);   /* 64-aligned; NULL: no memory */
	void (*free)(void *);
	void (*put)(void *device, const void *host, size_t bytes);
	void (*get)(void *host, const void *device, size_t bytes);
	void (*copy)(void *to, const void *from, size_t bytes); /* both the device's */
	void (*clear)(void *device, size_t bytes);
	void (*sync)(void);
	void (*worker)(void);           /* called first by every worker thread */
	/* with a queue `update` takes its place in training, and is compared with it */
	void (*adam)(const struct dtn_adam_call *);
	/* sum of squares, accumulated in f64 */
	double (*norm2)(const float *, size_t n);
	void (*add)(float *to, const float *from, size_t n);    /* to += from */
	const struct dtn_kernel *kernel[DTN_OPS];               /* NULL for inputs and parameters */
};

/* A backend in a shared object of its own: dtn-cuda.so has one of these, named dtn_plugin.  The
 * Makefile defines DTN_HEADERS, a checksum of this header and all that kernels take from lib/. */
struct dtn_plugin {
	const char *version;            /* DTN_VERSION; the program takes its own only */
	uint32_t headers;               /* DTN_HEADERS, likewise */
	int (*count)(const char **why); /* of devices; 0: why there is none */
	const char *(*describe)(int);   /* one line; valid until the next call */
	/* NULL: `why`.  One device a process. */
	const struct dtn_backend *(*open)(int device, const char **why);
};

/* The CPU's backend for this processor; `isa` "v2", "v3" or "v4" forces a lower one, NULL the best.
 * NULL: the processor cannot run it. */
const struct dtn_backend *dtn_cpu(const char *isa);

#endif
