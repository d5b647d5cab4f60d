/* net.c -- a net's memory: arenas, parameters, gradients; what its kernels want is asked first. */
#include "lib/nn/call.h"
#include "lib/nn/plan.h"
#include "lib/nn/pool.h"
#include "lib/rng.h"

#include <stdlib.h>
#include <string.h>

void *dtn_device_alloc(const struct dtn_backend *b, size_t bytes, const char *what)
{
	void *p = b->alloc(bytes ? bytes : 64);

	if (!p)
		dtn_die(DTN_ENV, "out of memory on %s: %zu bytes wanted for %s", b->name, bytes,
			what);
	return p;
}

float *dtn_on_device(const struct dtn_backend *b, float *host, size_t n)
{
	float *p;

	if (!b->queue)
		return host;
	p = dtn_device_alloc(b, n * sizeof(*p), "the weights");
	b->put(p, host, n * sizeof(*p));
	return p;
}

static void *take(const struct dtn_net *net, size_t bytes, const char *what)
{
	return dtn_device_alloc(net->backend, bytes, what);
}

static void *take_zeros(const struct dtn_net *net, size_t bytes, const char *what)
{
	void *p = take(net, bytes, what);

	net->backend->clear(p, bytes);
	return p;
}

/* Nearly all of the arena grows with the slice, so what is free says how many images would fit. */
static char *take_arena(const struct dtn_net *net)
{
	const struct dtn_queue *q = net->backend->queue;
	int images = net->graph->node[net->target].shape.dim[0];
	char *p = net->backend->alloc(net->arena_bytes);
	size_t left = q && !p ? q->memory() : 0;

	if (p)
		return p;
	if (!q)
		dtn_die(DTN_ENV, "out of memory on %s: %zu bytes wanted for activations",
			net->backend->name, net->arena_bytes);
	dtn_die(DTN_ENV, "out of memory on %s: %zu bytes wanted for activations of %d images, "
		"%zu left, which suffice for a batch of %d", net->backend->name, net->arena_bytes,
		images, left, (int)((double)left / (double)net->arena_bytes * images));
}

static size_t parameter_bytes(const struct dtn_call *c)
{
	size_t bytes = 0;

	for (int k = 0; k < c->y->inputs; k++)
		if (c->in[k] && c->in[k]->op == DTN_OP_PARAM)
			bytes += (dtn_shape_count(c->in[k]->shape) * sizeof(float) + 63) / 64 * 64;
	return bytes;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Open every node's kernel and learn how much memory it wants. */
static void open_kernels(struct dtn_net *net)
{
	size_t n = (size_t)net->graph->n;

	net->state = dtn_alloc(n, sizeof(*net->state));
	net->packed_at = dtn_alloc(n, sizeof(*net->packed_at));
	net->turn = dtn_alloc(n, sizeof(*net->turn));
	for (dtn_id i = 0; i <= net->target; i++) {
		const struct dtn_kernel *k = kernel(net, i);
		struct dtn_call c = describe(net, i);

		if (!k)
			continue;
		if (k->open)
			c.state = net->state[i] = k->open(&c);
		net->packed_at[i] = net->packed_bytes;
		if (k->packed)
			net->packed_bytes += (k->packed(&c) + 63) / 64 * 64;
		if (k->scratch)
			net->scratch_bytes = larger(net->scratch_bytes, k->scratch(&c));
		net->dparam_bytes = larger(net->dparam_bytes, parameter_bytes(&c));
	}
}

static void plan(struct dtn_net *net, struct dtn_graph *graph, dtn_id target, bool training,
		 const struct dtn_backend *backend)
{
	memset(net, 0, sizeof(*net));
	net->graph = graph;
	net->backend = backend;
	net->target = target;
	net->training = training;
	net->arena_bytes = dtn_plan(graph, target, training);
}

static void close_kernels(struct dtn_net *net)
{
	for (dtn_id i = 0; i <= net->target; i++)
		if (net->state[i])
			kernel(net, i)->close(net->state[i]);
	free(net->packed_at);
	free(net->state);
	free(net->turn);
}

struct dtn_net_bytes dtn_net_measure(struct dtn_graph *graph, dtn_id target, bool training,
				     const struct dtn_backend *backend)
{
	struct dtn_net net;

	plan(&net, graph, target, training, backend);
	open_kernels(&net);
	close_kernels(&net);
	return (struct dtn_net_bytes){
		.worker = net.arena_bytes + net.scratch_bytes +
			  (training ? net.dparam_bytes : 0),
		.packed = net.packed_bytes
	};
}

void dtn_net_init(struct dtn_net *net, struct dtn_graph *graph, dtn_id target, bool training,
		  const struct dtn_backend *backend, int workers, float *param)
{
	plan(net, graph, target, training, backend);
	net->workers = workers;
	net->pool = dtn_pool_open(workers, backend->worker);
	open_kernels(net);
	net->own_param = !param;
	net->param = param ? param : take_zeros(net, graph->params * sizeof(float), "the weights");
	net->packed = take(net, net->packed_bytes, "the packed weights");
	/* with zeros, for the gaps between parameters */
	if (training)
		net->grad = take_zeros(net, graph->params * sizeof(float), "the gradients");
	net->run = dtn_alloc((size_t)workers, sizeof(*net->run));
	for (int w = 0; w < workers; w++) {
		struct dtn_run *run = &net->run[w];

		run->net = net;
		run->worker = w;
		run->arena = take_arena(net);
		run->scratch = take(net, net->scratch_bytes, "scratch");
		if (training)
			run->dparam = take(net, net->dparam_bytes, "gradients of a layer");
		run->written = dtn_alloc((size_t)graph->n, sizeof(*run->written));
		run->host = dtn_alloc((size_t)graph->n, sizeof(*run->host));
	}
}

void dtn_net_release(struct dtn_net *net)
{
	void (*give)(void *) = net->backend->free;

	dtn_pool_close(net->pool);
	for (int w = 0; w < net->workers; w++) {
		give(net->run[w].arena);
		give(net->run[w].scratch);
		give(net->run[w].dparam);
		for (dtn_id i = 0; i < net->graph->n; i++)
			free(net->run[w].host[i]);
		free(net->run[w].host);
		free(net->run[w].written);
		free(net->run[w].seconds);
	}
	if (net->own_param)
		give(net->param);
	give(net->grad);
	give(net->packed);
	free(net->run);
	close_kernels(net);
	memset(net, 0, sizeof(*net));
}

static void initialise(const struct dtn_graph *g, float *param, uint64_t seed)
{
	uint64_t index = 0;

	for (dtn_id i = 0; i < g->n; i++) {
		const struct dtn_node *x = &g->node[i];
		float *w = param + x->param;
		size_t n = dtn_shape_count(x->shape);

		if (x->op != DTN_OP_PARAM)
			continue;
		dtn_rng_uniform(dtn_rng(seed, DTN_RNG_INIT, index++, 0), w, n);
		for (size_t j = 0; j < n; j++)
			w[j] = x->attr.param.fill + x->attr.param.bound * (2 * w[j] - 1);
	}
}

void dtn_net_initialise(struct dtn_net *net, uint64_t seed)
{
	size_t n = net->graph->params;
	float *host;

	if (!net->backend->queue) {
		initialise(net->graph, net->param, seed);
		return;
	}
	host = dtn_alloc(n, sizeof(*host));
	initialise(net->graph, host, seed);
	net->backend->put(net->param, host, n * sizeof(*host));
	free(host);
}

void *dtn_net_layout(struct dtn_net *net)
{
	struct dtn_place *place = dtn_alloc((size_t)net->graph->n, sizeof(*place));
	void *layout;
	int n = 0;

	for (dtn_id i = 0; i <= net->target; i++) {
		const struct dtn_kernel *k = kernel(net, i);
		struct dtn_call c = describe(net, i);

		if (k && k->packed && k->packed(&c) > 0)
			place[n++] = (struct dtn_place){ c, net->packed_at[i], k->packed(&c) };
	}
	layout = net->backend->queue->layout(net->graph, place, n);
	free(place);
	return layout;
}
