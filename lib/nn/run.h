/* run.h -- run a planned graph on slices of a batch, on every core.
 *
 *      struct dtn_net          one graph with its parameters and packed weights, shared
 *      struct dtn_run          what one worker owns: arena and scratch
 *
 * The gradient of each parameter is added up in the order of the slices whatever worker ran them:
 * a worker waits for its turn at every parameter.  So results depend on the seed, never on timing
 * or on the number of workers.
 *
 * On a device with memory of its own, param, grad, packed and what a run has are the device's, and
 * dtn_forward and dtn_backward only ask for the work (kernels/backend.h).
 */
#ifndef DTN_RUN_H
#define DTN_RUN_H

#include "kernels/backend.h"
#include "lib/nn/graph.h"

#include <stdatomic.h>

struct dtn_net;

struct dtn_run {                        /* one worker */
	struct dtn_net *net;
	int worker;                     /* 0 .. workers-1 */
	char *arena, *scratch, *dparam;
	void **host;                    /* per node: what dtn_stage and dtn_fetch gave, or NULL */
	bool *written;                  /* per node: has its gradient been written in this pass? */
	uint64_t seed, index;           /* for dropout; set by the job */
	const uint64_t *draw;           /* or where they lie on a device with a queue */
	/* [2][DTN_OPS] by op, forward and backward; NULL: not measured */
	double *seconds;
};

struct dtn_net {
	struct dtn_graph *graph;
	const struct dtn_backend *backend;
	dtn_id target;                  /* prediction, or the loss [S] when training */
	bool training;
	int workers;
	size_t arena_bytes, scratch_bytes, packed_bytes;
	size_t dparam_bytes;            /* of the node with the most parameters */
	/* flat, graph->params elements; grad NULL when not training */
	float *param, *grad;
	bool own_param;                 /* is param to be freed with the net? */
	char *packed;
	size_t *packed_at;              /* per node */
	void **state;                   /* per node */
	/* per node: slices that have added its parameters' gradients */
	atomic_int *turn;
	struct dtn_run *run;            /* per worker */
	struct dtn_pool *pool;
};

/* Plan `graph` for `target` and get the memory: arenas, parameters, gradients.  param NULL: the
 * net's own, all zero; else the device's.  Dies with status 1 where there is too little memory. */
void dtn_net_init(struct dtn_net *, struct dtn_graph *, dtn_id target, bool training,
		  const struct dtn_backend *, int workers, float *param);
void dtn_net_release(struct dtn_net *);

/* The bytes that such a net would take beside parameters and gradients: of each worker, and of the
 * packed weights, which all share.  Its kernels are opened for this, and closed again. */
struct dtn_net_bytes { size_t worker, packed; };
struct dtn_net_bytes dtn_net_measure(struct dtn_graph *, dtn_id target, bool training,
				     const struct dtn_backend *);

/* Fill the parameters as their nodes say, from (seed, DTN_RNG_INIT, number of the parameter). */
void dtn_net_initialise(struct dtn_net *, uint64_t seed);

/* The weights changed: pack them anew, on all workers. */
void dtn_net_pack(struct dtn_net *);

/* Of a net on a device with a queue: what its `update` wants to know of the packed weights. */
void *dtn_net_layout(struct dtn_net *);

/* n weights of the host where the device can take them from: the same where it has no memory of its
 * own, else a copy, to be freed with backend->free.  And a number of bytes of the device, zeroed;
 * death with status 1 where there is too little memory. */
float *dtn_on_device(const struct dtn_backend *, float *host, size_t n);
void *dtn_device_alloc(const struct dtn_backend *, size_t bytes, const char *what);

/* Call job(arg, run, slice) for slice = 0 .. slices-1, each on some worker, started in this order.
 * Either every job or none calls dtn_backward. */
void dtn_net_each(struct dtn_net *, int slices, void (*job)(void *arg, struct dtn_run *, int slice),
		  void *arg);

/* Measure the seconds of each op from now on; read them from run[w].seconds (tests/bench). */
void dtn_net_profile(struct dtn_net *);

/* Call job(arg, begin, end) for parts of 0 .. n, split at fixed multiples of `grain`, on all
 * workers. */
void dtn_net_ranges(struct dtn_net *, size_t n, size_t grain,
		    void (*job)(void *arg, size_t begin, size_t end), void *arg);

/* --- inside a job ---------------------------------------------------------------------------- */

/* Where the value or the gradient of a node lies in this worker's arena. */
void *dtn_value(struct dtn_run *, dtn_id);
void *dtn_gradient(struct dtn_run *, dtn_id);

/* Where the host writes the value of an input, and after that dtn_send gives it to the device;
 * where the host reads the value of the target after dtn_forward.  On a device without memory of
 * its own both are dtn_value itself. */
void *dtn_stage(struct dtn_run *, dtn_id);
void dtn_send(struct dtn_run *, dtn_id);
const void *dtn_fetch(struct dtn_run *, dtn_id);

void dtn_forward(struct dtn_run *);

/* From the gradient of the target, which the caller has written at dtn_gradient(run, target) [S]
 * f32, to the gradients of all parameters in net->grad: slice 0 stores, later slices add, in their
 * order. */
void dtn_backward(struct dtn_run *, int slice);

#endif
