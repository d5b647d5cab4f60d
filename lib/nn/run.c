/* run.c -- run a planned graph on slices of a batch, on every core. */
#include "lib/nn/run.h"

#include "lib/nn/call.h"
#include "lib/nn/pool.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* --- one call -------------------------------------------------------------------------------- */

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

static size_t value_bytes(const struct dtn_node *x)
{
	return dtn_shape_count(x->shape) * dtn_type_size(x->type);
}

void *dtn_stage(struct dtn_run *run, dtn_id i)
{
	if (!run->net->backend->queue)
		return dtn_value(run, i);
	if (!run->host[i])
		run->host[i] = dtn_alloc(value_bytes(&run->net->graph->node[i]), 1);
	return run->host[i];
}

void dtn_send(struct dtn_run *run, dtn_id i)
{
	const struct dtn_backend *b = run->net->backend;

	if (b->queue)
		b->put(dtn_value(run, i), run->host[i], value_bytes(&run->net->graph->node[i]));
}

const void *dtn_fetch(struct dtn_run *run, dtn_id i)
{
	const struct dtn_backend *b = run->net->backend;
	void *to = dtn_stage(run, i);

	if (b->queue)
		b->get(to, dtn_value(run, i), value_bytes(&run->net->graph->node[i]));
	return to;
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
	c.draw = run->draw;
	return c;
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
 * writer of a gradient stores, every later one adds: no buffer is cleared.  `direct`: a parameter's
 * gradient goes to its place at once. */
static void destination(struct dtn_run *run, struct dtn_call *c, int k, size_t *dparam, bool direct)
{
	const struct dtn_node *x = c->in[k];
	dtn_id id = c->y->in[k];

	if (!x || !x->grad)
		return;
	if (x->op == DTN_OP_PARAM && direct) {
		c->dx[k] = run->net->grad + x->param;
	} else if (x->op == DTN_OP_PARAM) {
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
	for (int spins = 0;
	     atomic_load_explicit(&net->turn[i], memory_order_acquire) != slice; spins++)
		if (spins > 100)
			sched_yield();
}

/* A device with a queue has one worker, which takes the slices in turn. */
static void add_queued(struct dtn_run *run, const struct dtn_call *c)
{
	for (int k = 0; k < c->y->inputs; k++)
		if (c->in[k] && c->in[k]->op == DTN_OP_PARAM)
			run->net->backend->add(run->net->grad + c->in[k]->param, c->dx[k],
					       dtn_shape_count(c->in[k]->shape));
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
		atomic_store_explicit(&net->turn[c->id], slice + 1, memory_order_release);
}

void dtn_backward(struct dtn_run *run, int slice)
{
	struct dtn_net *net = run->net;
	bool direct = net->backend->queue && slice == 0;

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
			destination(run, &c, k, &dparam, direct);
		begun = run->seconds ? dtn_seconds() : 0;
		kernel(net, i)->backward(&c);
		if (run->seconds)
			run->seconds[DTN_OPS + y->op] += dtn_seconds() - begun;
		if (!net->backend->queue)
			add_parameters(run, &c, slice);
		else if (!direct)
			add_queued(run, &c);
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

	for (dtn_id i = 0; i < net->graph->n; i++)
		atomic_init(&net->turn[i], 0);
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
