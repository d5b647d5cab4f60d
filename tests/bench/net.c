/* net.c -- the speed and the memory of training and of a forward pass, and where both go
 *
 *      net [SECONDS [CONFIGURATION [train|forward [f32|bf16 [WORKERS [ISA]]]]]]
 *
 * One line per configuration: images/s (median over steps), peak memory, and the images/s that the
 * convolutions and matrix products alone would allow, from the time spent in them.  Then the share
 * of each op.  A training step makes noise, goes forward and backward, takes the norm, and moves
 * the weights and their average; a forward step evaluates the network once for each image.
 */
#include "kernels/backend.h"
#include "lib/machine.h"
#include "lib/nn/layer.h"
#include "lib/nn/run.h"
#include "lib/nn/unet.h"
#include "lib/rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct config {
	const char *name;
	int batch;
	uint64_t weights;               /* as scripts/pytorch-bench.py has them */
	struct dtn_unet unet;
} configs[] = {
	{ "28x28x1-1.5M", 64, 1539329,
	  { 28, 28, 1, 32, 3, { 1, 2, 2 }, 2, 1, { 16 }, 1, .groups = 32 } },
	{ "32x32x3-9.0M", 32, 8952067,
	  { 32, 32, 3, 64, 4, { 1, 2, 2, 2 }, 2, 1, { 16 }, 1, .groups = 32 } },
	{ "32x32x3-35.7M", 16, 35746307,
	  { 32, 32, 3, 128, 4, { 1, 2, 2, 2 }, 2, 1, { 16 }, 1, .groups = 32 } },
};

struct bench {
	struct dtn_net net;
	dtn_id x, t, target, out;
	int slice, batch;
	bool training;
	uint64_t steps;
	float *m, *v, *ema;
};

/* Images with noise, and in training the noise, which is to be predicted. */
static void inputs(struct bench *b, struct dtn_run *run, int slice)
{
	float *x = dtn_value(run, b->x);
	float *eps = b->training ? dtn_value(run, b->target) : NULL;
	size_t n = dtn_shape_count(b->net.graph->node[b->x].shape);

	if (eps)
		dtn_rng_normal(dtn_rng(b->steps, DTN_RNG_NOISE, (uint64_t)slice, 0), eps, n);
	for (size_t i = 0; i < n; i++)
		x[i] = ((float)(i % 17) / 8 - 1 + (eps ? eps[i] : 0)) * 0.707f;
	for (int i = 0; i < b->slice; i++)
		((int *)dtn_value(run, b->t))[i] = 500;
}

static void one_slice(void *arg, struct dtn_run *run, int slice)
{
	struct bench *b = arg;

	inputs(b, run, slice);
	dtn_forward(run);
	if (b->training) {
		float *d = dtn_gradient(run, b->out);

		for (int i = 0; i < b->slice; i++)
			d[i] = 1.0f / (float)b->batch;
		dtn_backward(run, slice);
	}
}

static void norm(void *arg, size_t begin, size_t end)
{
	struct bench *b = arg;

	b->net.backend->norm2(b->net.grad + begin, end - begin);
}

static void adam(void *arg, size_t begin, size_t end)
{
	struct bench *b = arg;
	struct dtn_adam_call c = {
		.param = b->net.param + begin, .grad = b->net.grad + begin, .n = end - begin,
		.m = b->m + begin, .v = b->v + begin, .ema = b->ema + begin,
		.rate = 1e-4f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f,
		.correct1 = 0.1f, .correct2 = 0.001f, .scale = 1, .ema_decay = 0.999f
	};

	b->net.backend->adam(&c);
}

static void step(struct bench *b)
{
	b->steps++;
	dtn_net_each(&b->net, (b->batch + b->slice - 1) / b->slice, one_slice, b);
	if (b->training) {
		dtn_net_ranges(&b->net, b->net.graph->params, 1 << 16, norm, b);
		dtn_net_ranges(&b->net, b->net.graph->params, 1 << 16, adam, b);
		dtn_net_pack(&b->net);
	}
}

static void prepare(struct bench *b, struct dtn_graph *g, const struct config *c, int type,
		    const struct dtn_backend *cpu, int workers)
{
	const struct dtn_unet *u = &c->unet;
	int S = dtn_unet_slice(u);
	struct dtn_shape images = { 4, { S, u->height, u->width, u->colours } };

	dtn_graph_init(g, type);
	b->slice = S;
	b->batch = c->batch;
	b->x = dtn_input(g, "x", DTN_F32, images);
	b->t = dtn_input(g, "t", DTN_I32, (struct dtn_shape){ 1, { S } });
	b->target = dtn_input(g, "target", DTN_F32, images);
	b->out = dtn_unet(g, u, b->x, b->t, -1);
	if (b->training)
		b->out = dtn_loss(g, b->out, b->target, DTN_L2);
	dtn_net_init(&b->net, g, b->out, b->training, cpu, workers, NULL);
	dtn_net_initialise(&b->net, 0);
	if (b->training) {
		b->m = dtn_alloc(g->params, sizeof(float));
		b->v = dtn_alloc(g->params, sizeof(float));
		b->ema = dtn_alloc(g->params, sizeof(float));
	}
	dtn_net_pack(&b->net);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void shares(const struct bench *b, double wall)
{
	double busy = wall * b->net.workers;

	for (int o = 0; o < DTN_OPS; o++) {
		double up = 0, down = 0;

		for (int w = 0; w < b->net.workers; w++) {
			up += b->net.run[w].seconds[o];
			down += b->net.run[w].seconds[DTN_OPS + o];
		}
		if (up + down > 0)
			printf("#   %-10s %5.1f%% forward %5.1f%% backward\n", dtn_op_name(o),
			       100 * up / busy, 100 * down / busy);
	}
}

static void memory(const struct dtn_net *n)
{
	const double MiB = 1 << 20;

	printf("#   MiB: weights %.0f, packed %.0f; each worker: arena %.0f, scratch %.0f, "
	       "gradients %.0f\n", (double)n->graph->params * 4 / MiB,
	       (double)n->packed_bytes / MiB, (double)n->arena_bytes / MiB,
	       (double)n->scratch_bytes / MiB, (double)n->dparam_bytes / MiB);
}

static void measure(const struct config *c, bool training, int type, const struct dtn_backend *cpu,
		    int workers, double seconds)
{
	static double took[100000];
	struct bench b = { .training = training };
	struct dtn_graph g;
	struct rusage usage;
	double begun, wall, heavy = 0;
	int n = 0;

	if (dtn_unet_parameters(&c->unet) != c->weights)
		dtn_die(DTN_ENV, "%s has %" PRIu64 " weights, not %" PRIu64, c->name,
			dtn_unet_parameters(&c->unet), c->weights);
	prepare(&b, &g, c, type, cpu, workers);
	step(&b);
	dtn_net_profile(&b.net);
	begun = dtn_seconds();
	do {
		double at = dtn_seconds();
		step(&b);
		took[n++] = dtn_seconds() - at;
	} while (dtn_seconds() - begun < seconds && n < 100000);
	wall = dtn_seconds() - begun;
	qsort(took, (size_t)n, sizeof(*took), by_value);
	for (int w = 0; w < workers; w++)
		for (int d = 0; d < 2; d++)
			heavy += b.net.run[w].seconds[d * DTN_OPS + DTN_OP_conv] +
				 b.net.run[w].seconds[d * DTN_OPS + DTN_OP_linear];
	getrusage(RUSAGE_SELF, &usage);
	printf("%-14s %-7s %-4s %-3s -j%d batch %3d slice %2d: %8.1f images/s, %5ld MiB; products "
	       "alone %.1f\n",
	       c->name, training ? "train" : "forward", dtn_type_name(type), cpu->name, workers,
	       b.batch, b.slice, b.batch / took[n / 2], usage.ru_maxrss / 1024,
	       b.batch * n / (heavy / workers));
	printf("#   %" PRIu64 " weights\n", c->weights);
	memory(&b.net);
	shares(&b, wall);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 5;
	const char *only = argc > 2 ? argv[2] : "", *what = argc > 3 ? argv[3] : "";
	const char *type = argc > 4 ? argv[4] : "", *isa = argc > 6 ? argv[6] : NULL;
	int workers = argc > 5 ? atoi(argv[5]) : dtn_cores();
	const struct dtn_backend *cpu = dtn_cpu(isa);

	if (!cpu)
		dtn_die(DTN_ENV, "this processor cannot run %s", isa ? isa : "dtn");
	printf("# %s: %s\n", cpu->name, cpu->detail);
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++)
		for (int training = 1; training >= 0; training--)
			for (int bf16 = 0; bf16 <= 1; bf16++) {
				int t = bf16 ? DTN_BF16 : DTN_F32;

				if (!strstr(configs[i].name, only) ||
				    !strstr(training ? "train" : "forward", what))
					continue;
				if (*type ? strcmp(type, dtn_type_name(t)) != 0 : bf16 != cpu->bf16)
					continue;
				fflush(stdout);
				if (fork() == 0) {      /* a process each: peak memory is its own */
					measure(&configs[i], training, t, cpu, workers, seconds);
					exit(0);
				}
				wait(NULL);
			}
	return 0;
}
