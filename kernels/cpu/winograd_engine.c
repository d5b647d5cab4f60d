/* winograd_engine.c -- Winograd's algorithm as an engine for convolutions. */
#include "kernels/cpu/winograd.h"

static struct winograd forth(const struct product *p)
{
	return (struct winograd){ p->N, p->H, p->W, p->C, p->K };
}

static struct winograd back(const struct product *p)
{
	return (struct winograd){ p->N, p->H, p->W, p->K, p->C };
}

bool CPU(winograd_takes)(const struct product *p)
{
	struct winograd s = forth(p);

	return p->type == DTN_F32 && p->k == 3 && p->stride == 1 && CPU(winograd_fits)(&s);
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static void open(struct product *p)
{
	struct winograd s = forth(p), t = back(p);

	p->scratch_bytes = CPU(winograd_scratch)(&s);
	if (p->training) {
		p->scratch_bytes = larger(p->scratch_bytes, CPU(winograd_scratch)(&t));
		p->scratch_bytes = larger(p->scratch_bytes, CPU(winograd_weights_scratch)(&s));
	}
}

static void close(struct product *p)
{
	(void)p;
}

static void forward(const struct product *p, const void *x, struct weights w, const float *b,
		    const void *residual, void *y, void *scratch)
{
	struct winograd s = forth(p);

	CPU(winograd_forward)(&s, y, x, w.plain, false, b, residual, scratch);
}

static void by_data(const struct product *p, const void *dy, struct weights w, void *dx, bool add,
		    void *scratch)
{
	struct winograd t = back(p);

	CPU(winograd_forward)(&t, dx, dy, w.plain, true, NULL, add ? dx : NULL, scratch);
}

static void by_weights(const struct product *p, const void *x, const void *dy, float *dw, float *db,
		       void *scratch)
{
	struct winograd s = forth(p);

	CPU(winograd_weights)(&s, dw, db, x, dy, scratch);
}

const struct engine CPU(winograd) = {
	.open = open,
	.close = close,
	.forward = forward,
	.by_data = by_data,
	.by_weights = by_weights,
};
