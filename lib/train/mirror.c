/* mirror.c -- a training's weights and moments, on their way between device and files.
 *
 * Where the device's memory is the host's, they are read and written in place.  Else the host gets
 * four arrays of its own when they are first wanted, and keeps them: a run writes many files.
 */
#include "lib/train/step.h"

#include <stdlib.h>

static struct dtn_weights in_place(const struct dtn_trainer *r)
{
	return (struct dtn_weights){ r->net.param, r->optim.ema, r->optim.m, r->optim.v };
}

struct dtn_weights dtn_trainer_room(struct dtn_trainer *r)
{
	size_t n = r->graph.graph.params;
	struct dtn_weights *w = &r->mirror;

	if (!r->queued)
		return in_place(r);
	if (!w->param) {
		w->param = dtn_alloc(4 * n, sizeof(float));
		w->ema = w->param + n;
		w->m = w->ema + n;
		w->v = w->m + n;
	}
	return *w;
}

void dtn_trainer_put(struct dtn_trainer *r)
{
	struct dtn_weights device = in_place(r), host = r->mirror;
	size_t bytes = r->graph.graph.params * sizeof(float);

	if (!r->queued)
		return;
	r->net.backend->put(device.param, host.param, bytes);
	r->net.backend->put(device.ema, host.ema, bytes);
	r->net.backend->put(device.m, host.m, bytes);
	r->net.backend->put(device.v, host.v, bytes);
}

struct dtn_weights dtn_trainer_get(struct dtn_trainer *r, bool whole)
{
	struct dtn_weights device = in_place(r), host = dtn_trainer_room(r);
	size_t bytes = r->graph.graph.params * sizeof(float);

	if (r->queued) {
		r->net.backend->get(host.param, device.param, bytes);
		r->net.backend->get(host.ema, device.ema, bytes);
	}
	if (r->queued && whole) {
		r->net.backend->get(host.m, device.m, bytes);
		r->net.backend->get(host.v, device.v, bytes);
	}
	if (!whole)
		host.m = host.v = NULL;
	return host;
}
