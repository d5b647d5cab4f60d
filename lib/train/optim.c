/* optim.c -- from gradients to weights: clipping, Adam, moving average.
 *
 * The flat arrays are cut into blocks of a fixed size, which workers take as they come: every
 * element is updated alone, and the sums of the blocks are added up in order, so nothing depends
 * on who did what.
 */
#include "lib/train/optim.h"

#include <math.h>
#include <stdlib.h>

enum { BLOCK = 16384 };                 /* elements: 64 KiB an array, so that it stays in cache */

static const double EPS = 1e-8;         /* [Kingma & Ba 2015] */

static float *zeros(const struct dtn_optim *o)
{
	size_t bytes = o->net->graph->params * sizeof(float);
	float *p = dtn_device_alloc(o->net->backend, bytes, "the optimizer");

	o->net->backend->clear(p, bytes);
	return p;
}

void dtn_optim_init(struct dtn_optim *o, struct dtn_net *net, const struct dtn_settings *s)
{
	o->net = net;
	o->settings = s;
	o->m = zeros(o);
	o->v = zeros(o);
	o->ema = zeros(o);
	o->partial = dtn_alloc(net->graph->params / BLOCK + 1, sizeof(double));
}

void dtn_optim_start(struct dtn_optim *o)
{
	o->net->backend->copy(o->ema, o->net->param, o->net->graph->params * sizeof(float));
}

void dtn_optim_release(struct dtn_optim *o)
{
	o->net->backend->free(o->m);
	o->net->backend->free(o->v);
	o->net->backend->free(o->ema);
	free(o->partial);
}

double dtn_rate(const struct dtn_settings *s, int64_t update, double done)
{
	const double pi = 3.14159265358979323846;
	double rate = s->rate, end = s->rate_end;

	if (s->decay == DTN_COSINE_RATE)
		rate = end + (rate - end) * 0.5 * (1 + cos(pi * done));
	else if (s->decay == DTN_LINEAR_RATE)
		rate = end + (rate - end) * (1 - done);
	if (update >= 0 && update < s->warmup)
		rate *= (double)(update + 1) / s->warmup;
	return rate;
}

double dtn_ema_decay(const struct dtn_settings *s, int64_t update)
{
	double young = (1.0 + (double)update) / (10.0 + (double)update);

	return young < s->ema ? young : s->ema;
}

/* --- the norm -------------------------------------------------------------------------------- */

struct norm { struct dtn_optim *optim; const float *x; };

static void square(void *arg, size_t begin, size_t end)
{
	struct norm *n = arg;

	n->optim->partial[begin / BLOCK] = n->optim->net->backend->norm2(n->x + begin, end - begin);
}

double dtn_optim_norm(struct dtn_optim *o, const float *x)
{
	struct norm n = { o, x };
	size_t params = o->net->graph->params;
	double sum = 0;

	if (o->net->backend->queue)
		return sqrt(o->net->backend->norm2(x, params));
	dtn_net_ranges(o->net, params, BLOCK, square, &n);
	for (size_t i = 0; i < (params + BLOCK - 1) / BLOCK; i++)
		sum += o->partial[i];
	return sqrt(sum);
}

/* --- the update ------------------------------------------------------------------------------ */

struct update { struct dtn_optim *optim; struct dtn_adam_call call; };

static void adam(void *arg, size_t begin, size_t end)
{
	struct update *u = arg;
	struct dtn_optim *o = u->optim;
	struct dtn_adam_call call = u->call;

	call.param += begin;
	call.grad += begin;
	call.m += begin;
	call.v += begin;
	call.ema += begin;
	call.n = end - begin;
	o->net->backend->adam(&call);
}

void dtn_optim_describe(const struct dtn_optim *o, struct dtn_adam_call *c)
{
	*c = (struct dtn_adam_call){
		.param = o->net->param, .m = o->m, .v = o->v, .ema = o->ema,
		.grad = o->net->grad, .n = o->net->graph->params,
		.beta1 = (float)o->settings->betas[0],
		.beta2 = (float)o->settings->betas[1], .eps = (float)EPS,
		.decay = (float)o->settings->weight_decay
	};
}

void dtn_optim_update(struct dtn_optim *o, int64_t update, double rate, double norm)
{
	const struct dtn_settings *s = o->settings;
	double clip = s->clip > 0 && norm > s->clip ? s->clip / norm : 1;
	struct update u = { .optim = o };

	dtn_optim_describe(o, &u.call);
	u.call.rate = (float)rate;
	u.call.scale = (float)clip;
	u.call.correct1 = (float)(1 - pow(s->betas[0], (double)update + 1));
	u.call.correct2 = (float)(1 - pow(s->betas[1], (double)update + 1));
	u.call.ema_decay = (float)dtn_ema_decay(s, update);
	dtn_net_ranges(o->net, o->net->graph->params, BLOCK, adam, &u);
	dtn_net_pack(o->net);
}
