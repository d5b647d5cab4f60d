/* run.c -- results depend on the seed, never on workers, on what memory held, or on the plan. */
#include "kernels/backend.h"
#include "lib/nn/layer.h"
#include "lib/nn/run.h"
#include "lib/nn/unet.h"
#include "lib/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { S = 3, SLICES = 5 };

static int failures;

static void check(bool good, const char *what, const char *name)
{
	printf("%s %s: %s\n", good ? "ok" : "not ok", name, what);
	failures += !good;
}

/* Everything that a UNet has: sizes to pad, attention, dropout, two heads. */
static const struct dtn_unet unet = {
	7, 10, 3, 16, 2, { 1, 2 }, 1, 1, { 6 }, 2, 8, .dropout = 0.2f
};

struct job {
	struct dtn_net net;
	struct dtn_graph graph;
	dtn_id x, t, target, prediction, out;
	float loss[SLICES * S];
	float *said;                    /* predictions, [SLICES*S,H,W,C] */
};

static void one_slice(void *arg, struct dtn_run *run, int slice)
{
	struct job *j = arg;
	size_t n = dtn_shape_count(j->graph.node[j->x].shape);
	int *t;

	memset(run->arena, 0xff, j->net.arena_bytes);           /* NaN wherever it is not written */
	memset(run->scratch, 0xff, j->net.scratch_bytes);
	run->seed = 1;
	run->index = (uint64_t)slice * S;
	dtn_rng_normal(dtn_rng(7, DTN_RNG_NOISE, (uint64_t)slice, 0), dtn_value(run, j->x), n);
	t = dtn_value(run, j->t);
	for (int i = 0; i < S; i++)
		t[i] = 100 * slice + i;
	if (j->net.training)
		dtn_rng_normal(dtn_rng(7, DTN_RNG_NOISE, (uint64_t)slice, 1),
			       dtn_value(run, j->target), n);
	dtn_forward(run);
	if (!j->net.training) {
		memcpy(j->said + (size_t)slice * n, dtn_value(run, j->prediction),
		       n * sizeof(float));
		return;
	}
	memcpy(j->loss + slice * S, dtn_value(run, j->out), S * sizeof(float));
	for (int i = 0; i < S; i++)
		((float *)dtn_gradient(run, j->out))[i] = 1.0f / (SLICES * S);
	dtn_backward(run, slice);
}

/* Run all slices once; returns the sum of the gradients' bits as a fingerprint in *print. */
static void run(struct job *j, const struct dtn_backend *cpu, int type, int workers, bool training)
{
	struct dtn_shape images = { 4, { S, unet.height, unet.width, unet.colours } };

	memset(j, 0, sizeof(*j));
	dtn_graph_init(&j->graph, type);
	j->x = dtn_input(&j->graph, "x", DTN_F32, images);
	j->t = dtn_input(&j->graph, "t", DTN_I32, (struct dtn_shape){ 1, { S } });
	j->target = dtn_input(&j->graph, "target", DTN_F32, images);
	j->out = j->prediction = dtn_unet(&j->graph, &unet, j->x, j->t, -1);
	if (training)
		j->out = dtn_loss(&j->graph, j->prediction, j->target, DTN_HUBER);
	dtn_net_init(&j->net, &j->graph, j->out, training, cpu, workers, NULL);
	dtn_net_initialise(&j->net, 3);
	dtn_net_pack(&j->net);
	j->said = dtn_alloc(SLICES * dtn_shape_count(images), sizeof(float));
	dtn_net_each(&j->net, SLICES, one_slice, j);
}

static void done(struct job *j)
{
	dtn_net_release(&j->net);
	dtn_graph_release(&j->graph);
	free(j->said);
}

static bool finite_all(const float *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(x[i]))
			return false;
	return true;
}

static void one(const struct dtn_backend *cpu, int type)
{
	struct job a, b, c;
	size_t n;
	char name[64];

	snprintf(name, sizeof(name), "%s %s", cpu->name, dtn_type_name(type));
	run(&a, cpu, type, 1, true);
	run(&b, cpu, type, 3, true);
	run(&c, cpu, type, 2, true);
	n = a.graph.params;
	check(finite_all(a.net.grad, n) && finite_all(a.loss, SLICES * S),
	      "garbage in memory is not read", name);
	check(memcmp(a.net.grad, b.net.grad, n * sizeof(float)) == 0 &&
		      memcmp(a.net.grad, c.net.grad, n * sizeof(float)) == 0,
	      "gradients do not depend on workers", name);
	check(memcmp(a.loss, b.loss, sizeof(a.loss)) == 0, "losses do not depend on workers", name);
	done(&a);
	done(&b);
	done(&c);
	run(&a, cpu, type, 1, false);
	run(&b, cpu, type, 2, false);
	n = SLICES * dtn_shape_count(a.graph.node[a.x].shape);
	check(finite_all(a.said, n), "nor when sampling", name);
	check(memcmp(a.said, b.said, n * sizeof(float)) == 0,
	      "predictions do not depend on workers", name);
	done(&a);
	done(&b);
}

/* Are the n numbers spread evenly over -bound .. bound, as well as chance allows? */
static bool even(const float *w, size_t n, double bound)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (fabs(w[i]) > bound)
			return false;
		sum += w[i] * w[i];
	}
	return fabs(sqrt(3 * sum / (double)n) / bound - 1) < 4 / sqrt((double)n);
}

/* Weights and biases of products begin within 1/sqrt(fan_in), and none with zeros.  A bias has the
 * number after its weights'. */
static void initial_weights(const struct dtn_backend *cpu)
{
	bool weights = true, biases = true;
	int products = 0;
	struct job j;

	run(&j, cpu, DTN_F32, 1, false);
	for (dtn_id i = 0; i < j.graph.n; i++) {
		const struct dtn_node *x = &j.graph.node[i];
		size_t n = dtn_shape_count(x->shape);
		double bound;

		if (x->op != DTN_OP_PARAM || x->shape.rank < 2)
			continue;
		products++;
		bound = sqrt((double)x->shape.dim[0] / (double)n);
		weights &= even(j.net.param + x->param, n, bound);
		biases &= even(j.net.param + x[1].param, dtn_shape_count(x[1].shape), bound);
	}
	check(weights && products > 20, "weights begin as large as they should", "init");
	check(biases, "biases begin as large as they should", "init");
	done(&j);
}

int main(void)
{
	static const char *const isas[] = { "v2", "v3", "v4" };

	for (int i = 0; i < 3; i++) {
		const struct dtn_backend *cpu = dtn_cpu(isas[i]);

		if (!cpu) {
			printf("ok %s # SKIP this processor cannot run it\n", isas[i]);
			continue;
		}
		one(cpu, DTN_F32);
		one(cpu, DTN_BF16);
	}
	initial_weights(dtn_cpu("v2"));
	return failures > 0;
}
