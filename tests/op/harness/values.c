/* values.c -- numbers of a trial: drawn, in the device's memory, worked out slowly, compared. */
#include "tests/op/harness/trial.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD_BYTE = 0xa5 };

/* --- numbers and memory ----------------------------------------------------------------------- */

static double uniform(struct trial *t)
{
	t->random = t->random * 6364136223846793005u + 1442695040888963407u;
	return (double)(t->random >> 11) / 9007199254740992.0;
}

static double normal(struct trial *t)
{
	return uniform(t) + uniform(t) + uniform(t) + uniform(t) - 2 + 0.3 * uniform(t);
}

void op_put(struct trial *t, void *to, const void *from, size_t bytes)
{
	if (bytes > 0)
		t->backend->put(to, from, bytes);
}

void *op_get(struct trial *t, const void *from, size_t bytes)
{
	void *to = malloc(bytes ? bytes : 1);

	if (bytes > 0)
		t->backend->get(to, from, bytes);
	return to;
}

void op_fill(struct trial *t, void *to, int garbage, size_t bytes)
{
	void *from = memset(malloc(bytes ? bytes : 1), garbage, bytes);

	op_put(t, to, from, bytes);
	free(from);
}

void *op_guarded(struct trial *t, size_t bytes, int garbage)
{
	unsigned char *p = t->backend->alloc(bytes + t->guard > 0 ? bytes + 2 * t->guard : 1);

	op_fill(t, p, GUARD_BYTE, t->guard);
	op_fill(t, p + t->guard, garbage, bytes);
	op_fill(t, p + t->guard + bytes, GUARD_BYTE, t->guard);
	return p + t->guard;
}

void op_give(struct trial *t, const void *at, size_t bytes, const char *what)
{
	unsigned char *p = (unsigned char *)at - t->guard;
	unsigned char *guards = op_get(t, p, bytes + 2 * t->guard);

	for (size_t i = 0; i < t->guard; i++)
		if (guards[i] != GUARD_BYTE || guards[t->guard + bytes + i] != GUARD_BYTE)
			t->failed = what;
	free(guards);
	t->backend->free(p);
}

size_t op_count(const struct dtn_node *x)
{
	return dtn_shape_count(x->shape);
}

size_t op_bytes(const struct dtn_node *x)
{
	return op_count(x) * dtn_type_size(x->type);
}

static uint16_t to_bf16(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

double op_read_value(const void *p, size_t i, int type)
{
	uint32_t u;
	float f;

	if (type == DTN_I32)
		return ((const int32_t *)p)[i];
	if (type == DTN_F32)
		return (double)((const float *)p)[i];
	u = (uint32_t)((const uint16_t *)p)[i] << 16;
	memcpy(&f, &u, sizeof(f));
	return (double)f;
}

static void write_value(void *p, size_t i, int type, double value)
{
	if (type == DTN_I32)
		((int32_t *)p)[i] = (int32_t)value;
	else if (type == DTN_F32)
		((float *)p)[i] = (float)value;
	else
		((uint16_t *)p)[i] = to_bf16((float)value);
}

void op_draw(struct trial *t, const struct dtn_node *x, int i, void **raw, double **exact)
{
	size_t n = op_count(x);
	void *values = malloc(op_bytes(x) ? op_bytes(x) : 1);

	*raw = op_guarded(t, op_bytes(x), 0);
	*exact = malloc(n * sizeof(double));
	for (size_t j = 0; j < n; j++)
		(*exact)[j] = normal(t);
	if (i >= 0 && t->c->fill)
		t->c->fill(t->c, i, *exact, n);
	for (size_t j = 0; j < n; j++) {
		write_value(values, j, x->type, (*exact)[j]);
		(*exact)[j] = op_read_value(values, j, x->type);
	}
	op_put(t, *raw, values, op_bytes(x));
	free(values);
}

void op_put_values(struct trial *t, void *to, const struct dtn_node *x, const double *value)
{
	void *values = malloc(op_bytes(x) ? op_bytes(x) : 1);

	for (size_t j = 0; j < op_count(x); j++)
		write_value(values, j, x->type, value[j]);
	op_put(t, to, values, op_bytes(x));
	free(values);
}

/* --- the reference ---------------------------------------------------------------------------- */

static double weighted(struct trial *t, double *out)
{
	double sum = 0;

	t->c->slow(t->c, t->y->shape, (const double *const *)t->x, out);
	for (size_t j = 0; j < op_count(t->y); j++)
		sum += t->dout[j] * out[j];
	return sum;
}

bool op_has_gradient(const struct trial *t, int i)
{
	return t->in[i] && !t->c->in[i].constant && t->in[i]->type != DTN_I32;
}

/* Central differences of sum dout * y. */
static void differentiate(struct trial *t)
{
	double *out = malloc(op_count(t->y) * sizeof(double));
	const double h = 1e-4;
	size_t every = t->c->every ? (size_t)t->c->every : 1;

	for (int i = 0; i < DTN_INPUTS; i++) {
		if (!op_has_gradient(t, i))
			continue;
		t->want[i] = malloc(op_count(t->in[i]) * sizeof(double));
		for (size_t j = 0; j < op_count(t->in[i]); j++) {
			double was = t->x[i][j], up;

			t->want[i][j] = NAN;
			if (j % every != 0)
				continue;
			t->x[i][j] = was + h;
			up = weighted(t, out);
			t->x[i][j] = was - h;
			t->want[i][j] = (up - weighted(t, out)) / (2 * h);
			t->x[i][j] = was;
		}
	}
	free(out);
}

void op_work_out(struct trial *t)
{
	t->out = malloc(op_count(t->y) * sizeof(double));
	weighted(t, t->out);
	if (!t->c->sampling)
		differentiate(t);
}

/* --- comparing -------------------------------------------------------------------------------- */

static double tolerance(const struct trial *t, int type)
{
	if (t->type == DTN_BF16)
		return t->c->bf16 > 0 ? t->c->bf16 : type == DTN_F32 ? 1e-4 : 1.0 / 128;
	return t->c->f32 > 0 ? t->c->f32 : 1e-5;
}

void op_compare(struct trial *t, const char *what, const void *at, int type, const double *want,
		const double *base, size_t n)
{
	void *got = op_get(t, at, n * dtn_type_size(type));
	double square = 0, scale;
	size_t known = 0;

	for (size_t j = 0; j < n; j++)
		if (!isnan(want[j])) {
			square += want[j] * want[j];
			known++;
		}
	scale = fmax(sqrt(square / (double)(known ? known : 1)), t->c->least);
	for (size_t j = 0; j < n && !t->failed; j++) {
		double b = base ? base[j] : 0, g = op_read_value(got, j, type);
		double allowed = tolerance(t, type) * (fabs(want[j]) + fabs(b) + scale);

		if (isnan(want[j]) ? !isnan(g) : fabs(g - b - want[j]) <= allowed)
			continue;
		t->failed = t->reason;
		snprintf(t->reason, sizeof(t->reason),
			 "%s: element %zu of %zu is %.9g, wants %.9g +- %.2g", what, j, n, g,
			 want[j] + b, allowed);
	}
	free(got);
}

void op_same(struct trial *t, const char *what, const void *a, const void *b, size_t n)
{
	void *of_a = op_get(t, a, n), *of_b = op_get(t, b, n);

	if (!t->failed && memcmp(of_a, of_b, n) != 0)
		t->failed = what;
	free(of_a);
	free(of_b);
}
