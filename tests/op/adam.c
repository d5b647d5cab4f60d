/* adam.c -- test the sweeps over parameters: Adam against the paper's formulas in f64, norm and
 * sum. */
#include "tests/op/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 5000 };

struct arrays { float param[MOST], m[MOST], v[MOST], ema[MOST], grad[MOST]; };

static double random_value(void)
{
	static uint64_t state = 3;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (double)(state >> 11) / 4503599627370496.0 - 1;
}

static void fill(struct arrays *a)
{
	for (int i = 0; i < MOST; i++) {
		a->param[i] = (float)random_value();
		a->ema[i] = (float)random_value();
		a->grad[i] = (float)(random_value() * pow(10, 6 * random_value() - 3));
		a->m[i] = (float)random_value() * a->grad[i];
		a->v[i] = a->grad[i] * a->grad[i] * (float)fabs(random_value());
	}
	a->grad[0] = a->v[0] = a->m[0] = 0;     /* never touched: must stay without NaN */
}

static bool near(float got, double want, double scale)
{
	return fabs((double)got - want) <= 3e-6 * (fabs(want) + scale);
}

/* One element: decay and learning rate apart [Loshchilov & Hutter 2019, alg. 2]. */
static const char *check(const struct dtn_adam_call *c, const struct arrays *was,
			 const struct arrays *is, int i)
{
	double g = (double)was->grad[i] * (double)c->scale;
	double m = (double)c->beta1 * (double)was->m[i] + (1 - (double)c->beta1) * g;
	double v = (double)c->beta2 * (double)was->v[i] + (1 - (double)c->beta2) * g * g;
	double step = m / (double)c->correct1 / (sqrt(v / (double)c->correct2) + (double)c->eps);
	double param = (double)was->param[i] -
		       (double)c->rate * (step + (double)c->decay * (double)was->param[i]);
	double ema =
		(double)c->ema_decay * (double)was->ema[i] + (1 - (double)c->ema_decay) * param;

	/* 1 - beta is a small difference, rounded: up to 6e-5 of the term for beta2 = 0.999 */
	if (!near(is->m[i], m, fabs(g)))
		return "m";
	if (fabs((double)is->v[i] - v) > 1e-4 * v)
		return "v";
	if (fabs((double)is->param[i] - param) >
	    1e-4 * (double)c->rate * fabs(step) + 2e-7 * fabs(param))
		return "param";
	if (!near(is->ema[i], c->ema ? ema : (double)was->ema[i], 0.1))
		return "ema";
	return NULL;
}

static struct arrays *on_device(const struct dtn_backend *backend, const struct arrays *a)
{
	struct arrays *d = backend->alloc(sizeof(*d));

	backend->put(d, a, sizeof(*d));
	return d;
}

static void from_device(struct arrays *a, const struct dtn_backend *backend, struct arrays *d)
{
	backend->get(a, d, sizeof(*a));
	backend->free(d);
}

static int sweep(const char *isa, const struct dtn_backend *backend, int n, bool ema, float decay)
{
	static struct arrays was, is;
	struct arrays *d;
	struct dtn_adam_call c = { .n = (size_t)n, .rate = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999f,
				   .eps = 1e-8f, .decay = decay, .correct1 = 0.19f,
				   .correct2 = 0.002f, .scale = 0.37f, .ema_decay = 0.99f };
	const char *wrong = NULL;

	fill(&was);
	d = on_device(backend, &was);
	c.param = d->param;
	c.m = d->m;
	c.v = d->v;
	c.ema = ema ? d->ema : NULL;
	c.grad = d->grad;
	backend->adam(&c);
	from_device(&is, backend, d);
	for (int i = 0; i < n && !wrong; i++)
		wrong = check(&c, &was, &is, i);
	if (!wrong && memcmp(is.param + n, was.param + n, (size_t)(MOST - n) * sizeof(float)) != 0)
		wrong = "what lies behind";
	printf("%s adam %d, %s%s%s: %s\n", wrong ? "not ok" : "ok", n, isa, ema ? ", ema" : "",
	       decay > 0 ? ", decay" : "", wrong ? wrong : "all");
	return wrong != NULL;
}

static int sums(const char *isa, const struct dtn_backend *backend, int n)
{
	static struct arrays a;
	struct arrays *d;
	double want = 0, got;
	bool right;

	fill(&a);
	memcpy(a.m, a.param, sizeof(a.m));
	for (int i = 0; i < n; i++)
		want += (double)a.grad[i] * (double)a.grad[i];
	d = on_device(backend, &a);
	got = backend->norm2(d->grad, (size_t)n);
	right = fabs(got - want) <= 1e-12 * want;
	backend->add(d->m, d->grad, (size_t)n);
	from_device(&a, backend, d);
	for (int i = 0; i < MOST; i++)
		right &= a.m[i] == (i < n ? a.param[i] + a.grad[i] : a.param[i]);
	printf("%s norm2 and add %d, %s\n", right ? "ok" : "not ok", n, isa);
	return !right;
}

int main(void)
{
	static const char *const isa[] = { "v2", "v3", "v4", "cuda" };
	int failed = 0;

	for (int i = 0; i < 4; i++) {
		const struct dtn_backend *backend =
			i < 3 ? dtn_cpu(isa[i]) : dtn_test_cuda();

		if (!backend) {
			printf("ok adam, %s # skip: not on this machine\n", isa[i]);
			continue;
		}
		failed |= sweep(isa[i], backend, 4999, true, 0) |
			  sweep(isa[i], backend, 1, true, 0.01f) |
			  sweep(isa[i], backend, 1024, false, 0.01f) |
			  sweep(isa[i], backend, 37, false, 0);
		failed |= sums(isa[i], backend, 0) | sums(isa[i], backend, 17) |
			  sums(isa[i], backend, 4999);
	}
	return failed;
}
