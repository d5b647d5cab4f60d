/* winograd_engine.c -- Winograd's algorithm as an engine for convolutions. */
#include "kernels/cpu/winograd.h"

#include <string.h>

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

	p->packed_bytes = CPU(winograd_packed)(&s);
	p->scratch_bytes = CPU(winograd_scratch)(&s);
	if (p->training) {
		p->packed_bytes += CPU(winograd_packed)(&t);
		p->scratch_bytes = larger(p->scratch_bytes, CPU(winograd_scratch)(&t));
		p->scratch_bytes = larger(p->scratch_bytes, CPU(winograd_weights_scratch)(&s));
	}
}

static void close(struct product *p)
{
	(void)p;
}

/* Where the weights for by_data begin. */
static size_t second(const struct product *p)
{
	struct winograd s = forth(p);

	return CPU(winograd_packed)(&s);
}

static void pack(const struct product *p, const float *w, void *packed)
{
	struct winograd s = forth(p), t = back(p);

	CPU(winograd_pack)(&s, packed, w, false);
	if (p->training)
		CPU(winograd_pack)(&t, (float *)((char *)packed + second(p)), w, true);
}

static void forward(const struct product *p, const void *x, const void *packed, const float *b,
		    const void *residual, void *y, void *scratch)
{
	struct winograd s = forth(p);

	CPU(winograd_forward)(&s, y, x, packed, b, residual, scratch);
}

static void by_data(const struct product *p, const void *dy, const void *packed, void *dx, bool add,
		    void *scratch)
{
	struct winograd t = back(p);

	CPU(winograd_forward)(&t, dx, dy, (const float *)((const char *)packed + second(p)), NULL,
			      add ? dx : NULL, scratch);
}

static void by_weights(const struct product *p, const void *x, const void *dy, float *dw, float *db,
		       void *scratch)
{
	struct winograd s = forth(p);
	const float *d = dy;

	CPU(winograd_weights)(&s, dw, x, dy, scratch);
	memset(db, 0, (size_t)p->K * sizeof(float));
	for (size_t i = 0; i < (size_t)p->N * p->H * p->W; i++, d += p->K)
		for (int k = 0; k < p->K; k++)
			db[k] += d[k];
}

const struct engine CPU(winograd) = { open, close, pack, forward, by_data, by_weights };
