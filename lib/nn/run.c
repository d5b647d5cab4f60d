/* run.c -- run a planned graph on slices of a batch, on every core. */
#include "lib/nn/run.h"

#include "lib/nn/plan.h"
#include "lib/nn/pool.h"
#include "lib/rng.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* --- one call -------------------------------------------------------------------------------- */

static float *parameter(const struct dtn_net *net, const struct dtn_node *x)
{
	return net->param + x->param;
}

void *dtn_value(struct dtn_run *run, dtn_id i)
{
	const struct dtn_node *x = &run->net->graph->node[i];

	if (x->op == DTN_OP_PARAM)
		return parameter(run->net, x);
	return run->arena + x->value.offset;
}

void *dtn_gradient(struct dtn_run *run, dtn_id i)
{
	return run->arena + run->net->graph->node[i].gradient.offset;
}

/* The parts of a call that shapes alone decide: enough for open, scratch and packed. */
static struct dtn_call describe(const struct dtn_net *net, dtn_id i)
{
	const struct dtn_node *node = net->graph->node, *y = &node[i];
	struct dtn_call c = { .y = y, .id = i, .training = net->training };

	for (int k = 0; k < y->inputs; k++)
		if (y->in[k] >= 0)
			c.in[k] = &node[y->in[k]];
	c.state = net->state ? net->state[i] : NULL;
	return c;
}

static struct dtn_call call(struct dtn_run *run, dtn_id i)
{
	const struct dtn_net *net = run->net;
	struct dtn_call c = describe(net, i);

	for (int k = 0; k < c.y->inputs; k++)
		if (c.in[k])
			c.x[k] = dtn_value(run, c.y->in[k]);
	c.out = dtn_value(run, i);
	c.saved = c.y->saved.last >= 0 ? run->arena + c.y->saved.offset : NULL;
	c.scratch = run->scratch;
	c.packed = net->packed + net->packed_at[i];
	c.seed = run->seed;
	c.index = run->index;
	return c;
}

static const struct dtn_kernel *kernel(const struct dtn_net *net, dtn_id i)
{
	return net->backend->kernel[net->graph->node[i].op];
}

void dtn_forward(struct dtn_run *run)
{
	struct dtn_net *net = run->net;

	for (dtn_id i = 0; i <= net->target; i++) {
		const struct dtn_kernel *k = kernel(net, i);
		struct dtn_call c;
		double begun;

		if (!k)
			continue;
		c = call(run, i);
		begun = run->seconds ? dtn_seconds() : 0;
		k->forward(&c);
		if (run->seconds)
			run->seconds[c.y->op] += dtn_seconds() - begun;
	}
}

/* --- backward -------------------------------------------------------------------------------- */

/* Where the kernel puts the gradient of input k, and whether it adds to what is there.  The first
 * writer of a gradient stores, every later one adds: no buffer is cleared. */
static void destination(struct dtn_run *run, struct dtn_call *c, int k, size_t *dparam)
{
	const struct dtn_node *x = c->in[k];
	dtn_id id = c->y->in[k];

	if (!x || !x->grad)
		return;
	if (x->op == DTN_OP_PARAM) {
		c->dx[k] = run->dparam + *dparam;
		*dparam += (dtn_shape_count(x->shape) * sizeof(float) + 63) / 64 * 64;
	} else if (x->gradient.last >= 0) {
		c->dx[k] = dtn_gradient(run, id);
		c->add[k] = run->written[id];
		run->written[id] = true;
	}
}

/* Wait until all smaller slices have added their gradients of node i.  The smallest slice that runs
 * never waits, so this ends. */
static void wait_for_turn(struct dtn_net *net, dtn_id i, int slice)
{
	atomic_int *turn = (atomic_int *)&net->turn[i];

	for (int spins = 0; atomic_load_explicit(turn, memory_order_acquire) != slice; spins++)
		if (spins > 100)
			sched_yield();
}

static void add_parameters(struct dtn_run *run, const struct dtn_call *c, int slice)
{
	struct dtn_net *net = run->net;
	bool any = false;

	for (int k = 0; k < c->y->inputs; k++) {
		size_t n;

		if (!c->in[k] || c->in[k]->op != DTN_OP_PARAM)
			continue;
		if (!any)
			wait_for_turn(net, c->id, slice);
		any = true;
		n = dtn_shape_count(c->in[k]->shape);
		if (slice == 0)
			memcpy(net->grad + c->in[k]->param, c->dx[k], n * sizeof(float));
		else
			net->backend->add(net->grad + c->in[k]->param, c->dx[k], n);
	}
	if (any)
		atomic_store_explicit((atomic_int *)&net->turn[c->id], slice + 1,
				      memory_order_release);
}

void dtn_backward(struct dtn_run *run, int slice)
{
	struct dtn_net *net = run->net;

	memset(run->written, 0, (size_t)net->graph->n * sizeof(*run->written));
	for (dtn_id i = net->target; i >= 0; i--) {
		const struct dtn_node *y = &net->graph->node[i];
		struct dtn_call c;
		size_t dparam = 0;
		double begun;

		if (!kernel(net, i) || y->gradient.last < 0)
			continue;
		c = call(run, i);
		c.dout = dtn_gradient(run, i);
		for (int k = 0; k < y->inputs; k++)
			destination(run, &c, k, &dparam);
		begun = run->seconds ? dtn_seconds() : 0;
		kernel(net, i)->backward(&c);
		if (run->seconds)
			run->seconds[DTN_OPS + y->op] += dtn_seconds() - begun;
		add_parameters(run, &c, slice);
	}
}

/* --- the net --------------------------------------------------------------------------------- */

static void *take(const struct dtn_net *net, size_t bytes, const char *what)
{
	void *p = net->backend->alloc(bytes ? bytes : 64);

	if (!p)
		dtn_die(DTN_ENV, "out of memory on %s: %zu bytes wanted for %s", net->backend->name,
			bytes, what);
	return p;
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

void dtn_net_init(struct dtn_net *net, struct dtn_graph *graph, dtn_id target, bool training,
		  const struct dtn_backend *backend, int workers, float *param)
{
	memset(net, 0, sizeof(*net));
	net->graph = graph;
	net->backend = backend;
	net->target = target;
	net->training = training;
	net->workers = workers;
	net->arena_bytes = dtn_plan(graph, target, training);
	net->pool = dtn_pool_open(workers, backend->worker);
	open_kernels(net);
	net->own_param = !param;
	net->param = param ? param : take(net, graph->params * sizeof(float), "the weights");
	if (!param)
		memset(net->param, 0, graph->params * sizeof(float));
	net->packed = take(net, net->packed_bytes, "the packed weights");
	if (training) {
		net->grad = take(net, graph->params * sizeof(float), "the gradients");
		/* gaps between parameters */
		memset(net->grad, 0, graph->params * sizeof(float));
	}
	net->run = dtn_alloc((size_t)workers, sizeof(*net->run));
	for (int w = 0; w < workers; w++) {
		struct dtn_run *run = &net->run[w];

		run->net = net;
		run->worker = w;
		run->arena = take(net, net->arena_bytes, "activations");
		run->scratch = take(net, net->scratch_bytes, "scratch");
		if (training)
			run->dparam = take(net, net->dparam_bytes, "gradients of a layer");
		run->written = dtn_alloc((size_t)graph->n, sizeof(*run->written));
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
		free(net->run[w].written);
		free(net->run[w].seconds);
	}
	for (dtn_id i = 0; i <= net->target; i++)
		if (net->state[i])
			kernel(net, i)->close(net->state[i]);
	if (net->own_param)
		give(net->param);
	give(net->grad);
	give(net->packed);
	free(net->packed_at);
	free(net->state);
	free(net->turn);
	free(net->run);
	memset(net, 0, sizeof(*net));
}

void dtn_net_initialise(struct dtn_net *net, uint64_t seed)
{
	uint64_t index = 0;

	for (dtn_id i = 0; i < net->graph->n; i++) {
		const struct dtn_node *x = &net->graph->node[i];
		float *w = net->param + x->param;
		size_t n = dtn_shape_count(x->shape);

		if (x->op != DTN_OP_PARAM)
			continue;
		dtn_rng_uniform(dtn_rng(seed, DTN_RNG_INIT, index++, 0), w, n);
		for (size_t j = 0; j < n; j++)
			w[j] = x->attr.param.fill + x->attr.param.bound * (2 * w[j] - 1);
	}
}

void dtn_net_profile(struct dtn_net *net)
{
	for (int w = 0; w < net->workers; w++)
		net->run[w].seconds = dtn_alloc(2 * DTN_OPS, sizeof(double));
}

/* --- work for all ---------------------------------------------------------------------------- */

static void pack_node(void *arg, int worker, int i)
{
	struct dtn_net *net = arg;
	const struct dtn_kernel *k = kernel(net, i);
	struct dtn_call c;

	(void)worker;
	if (!k || !k->pack)
		return;
	c = describe(net, i);
	for (int j = 0; j < c.y->inputs; j++)
		if (c.in[j] && c.in[j]->op == DTN_OP_PARAM)
			c.x[j] = parameter(net, c.in[j]);
	k->pack(&c, net->packed + net->packed_at[i]);
}

void dtn_net_pack(struct dtn_net *net)
{
	dtn_pool_each(net->pool, net->target + 1, pack_node, net);
}

struct each {
	struct dtn_net *net;
	void (*job)(void *, struct dtn_run *, int);
	void *arg;
};

static void one_slice(void *arg, int worker, int slice)
{
	struct each *each = arg;

	each->job(each->arg, &each->net->run[worker], slice);
}

void dtn_net_each(struct dtn_net *net, int slices, void (*job)(void *, struct dtn_run *, int),
		  void *arg)
{
	struct each each = { net, job, arg };

	memset(net->turn, 0, (size_t)net->graph->n * sizeof(*net->turn));
	dtn_pool_each(net->pool, slices, one_slice, &each);
}

struct ranges {
	size_t n, grain;
	void (*job)(void *, size_t, size_t);
	void *arg;
};

static void one_range(void *arg, int worker, int i)
{
	struct ranges *r = arg;
	size_t begin = (size_t)i * r->grain;

	(void)worker;
	r->job(r->arg, begin, begin + r->grain < r->n ? begin + r->grain : r->n);
}

void dtn_net_ranges(struct dtn_net *net, size_t n, size_t grain,
		    void (*job)(void *, size_t, size_t), void *arg)
{
	struct ranges ranges = { n, grain, job, arg };

	dtn_pool_each(net->pool, (int)((n + grain - 1) / grain), one_range, &ranges);
}
