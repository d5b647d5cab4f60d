/* layer.c -- how fast is each convolution and linear map of a network?
 *
 *      build/opt/tests/bench/layer [NETWORK [f32|bf16 [THREADS [ISA]]]]
 *
 * For every different layer: how many there are, and for the forward pass and the gradients of data
 * and weights the GFLOP/s of one thread, counting the multiplications of the definition, while
 * THREADS of them work at once on slices of their own.  The last line is the time that all layers
 * take together.
 */
#include "kernels/backend.h"
#include "lib/nn/unet.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct { const char *name; struct dtn_unet unet; } networks[] = {
	{ "28x28x1-1.5M", { 28, 28, 1, 32, 3, { 1, 2, 2 }, 2, 1, { 16 }, 1, .groups = 32 } },
	{ "32x32x3-9.0M", { 32, 32, 3, 64, 4, { 1, 2, 2, 2 }, 2, 1, { 16 }, 1, .groups = 32 } },
	{ "32x32x3-35.7M", { 32, 32, 3, 128, 4, { 1, 2, 2, 2 }, 2, 1, { 16 }, 1, .groups = 32 } },
};

enum { LAYERS = 100, MOST_THREADS = 64, CALLS = 10000 };
enum what { FORWARD, BY_DATA, BY_WEIGHTS, WHATS };

struct layer {
	struct dtn_call call;
	const struct dtn_kernel *kernel;
	int count;
	void *packed;
};

struct thread {
	pthread_t id;
	const struct layer *layer;
	const struct dtn_backend *backend;
	enum what what;
	double seconds, each;           /* to run for; took for one call */
	pthread_barrier_t *barrier;
};

static size_t bytes(const struct dtn_node *x)
{
	return x ? dtn_shape_count(x->shape) * dtn_type_size(x->type) : 0;
}

static void *numbers(const struct dtn_node *x)
{
	float *f = dtn_alloc_aligned(bytes(x) + 64);
	uint16_t *h = (uint16_t *)f;

	for (size_t i = 0; x && i < dtn_shape_count(x->shape); i++) {
		float v = (float)(i * 2654435761u % 1000) / 500 - 1;
		uint32_t u;

		memcpy(&u, &v, sizeof(u));
		if (x->type == DTN_F32)
			f[i] = v;
		else
			h[i] = (uint16_t)(u >> 16);
	}
	return f;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void *measure(void *arg)
{
	struct thread *t = arg;
	struct dtn_call c = t->layer->call;
	double begun = 0, *took = dtn_alloc(CALLS, sizeof(*took));
	void *dx[DTN_INPUTS];
	int n;

	t->backend->worker();
	for (int i = 0; i < DTN_INPUTS; i++) {
		c.x[i] = c.in[i] ? numbers(c.in[i]) : NULL;
		dx[i] = numbers(c.in[i]);
	}
	c.packed = t->layer->packed;
	c.scratch = dtn_alloc_aligned(t->layer->kernel->scratch(&c) + 64);
	c.out = numbers(c.y);
	c.dout = numbers(c.y);
	c.dx[0] = t->what == BY_DATA ? dx[0] : NULL;
	c.dx[1] = t->what == BY_WEIGHTS ? dx[1] : NULL;
	c.dx[2] = t->what == BY_WEIGHTS ? dx[2] : NULL;
	pthread_barrier_wait(t->barrier);
	for (n = -1; n < 5 || (n < CALLS && dtn_seconds() - begun < t->seconds); n++) {
		double at = dtn_seconds();

		if (n == 0)
			begun = at;
		if (t->what == FORWARD)
			t->layer->kernel->forward(&c);
		else
			t->layer->kernel->backward(&c);
		if (n >= 0)
			took[n] = dtn_seconds() - at;
	}
	qsort(took, (size_t)n, sizeof(*took), by_value);
	t->each = took[n / 2];
	free(took);
	for (int i = 0; i < DTN_INPUTS; i++) {
		free((void *)c.x[i]);
		free(dx[i]);
	}
	free(c.scratch);
	free(c.out);
	free((void *)c.dout);
	return NULL;
}

/* Seconds of one call: the mean over the threads of the median of each. */
static double together(const struct layer *l, const struct dtn_backend *backend, enum what what,
		       int threads)
{
	struct thread t[MOST_THREADS];
	pthread_barrier_t barrier;
	double sum = 0;

	pthread_barrier_init(&barrier, NULL, (unsigned)threads);
	for (int i = 0; i < threads; i++) {
		t[i] = (struct thread){ .layer = l,
					.backend = backend,
					.what = what,
					.seconds = 0.1,
					.barrier = &barrier };
		pthread_create(&t[i].id, NULL, measure, &t[i]);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(t[i].id, NULL);
		sum += t[i].each;
	}
	pthread_barrier_destroy(&barrier);
	return sum / threads;
}

static double gflop(const struct dtn_node *y, const struct dtn_node *w)
{
	return 2e-9 * (double)dtn_shape_count(y->shape) * (double)dtn_shape_count(w->shape) /
	       w->shape.dim[0];
}

static bool alike(const struct dtn_call *a, const struct dtn_call *b)
{
	return a->y->op == b->y->op && dtn_shape_equal(a->y->shape, b->y->shape) &&
	       dtn_shape_equal(a->in[0]->shape, b->in[0]->shape) &&
	       dtn_shape_equal(a->in[1]->shape, b->in[1]->shape) && !a->in[3] == !b->in[3];
}

static int collect(struct layer *l, const struct dtn_graph *g)
{
	int n = 0;

	for (dtn_id i = 0; i < g->n; i++) {
		const struct dtn_node *y = &g->node[i];
		struct dtn_call c = { .y = y, .training = true, .id = i };
		int at = 0;

		if (y->op != DTN_OP_conv && y->op != DTN_OP_linear)
			continue;
		for (int k = 0; k < DTN_INPUTS; k++)
			c.in[k] = y->in[k] >= 0 ? &g->node[y->in[k]] : NULL;
		while (at < n && !alike(&l[at].call, &c))
			at++;
		if (at == LAYERS)
			continue;
		if (at == n)
			l[n++] = (struct layer){ .call = c };
		l[at].count++;
	}
	return n;
}

static void prepare(struct layer *l, const struct dtn_backend *backend)
{
	struct dtn_call *c = &l->call;

	l->kernel = backend->kernel[c->y->op];
	c->state = l->kernel->open(c);
	l->packed = dtn_alloc_aligned(l->kernel->packed(c) + 64);
	c->x[1] = numbers(c->in[1]);
	l->kernel->pack(c, l->packed);
}

static void network(const struct dtn_unet *u, const char *name, int type, int threads,
		    const struct dtn_backend *backend)
{
	static struct layer layers[LAYERS];
	struct dtn_shape images = { 4, { 8, u->height, u->width, u->colours } };
	double total[WHATS] = { 0 }, work[WHATS] = { 0 };
	struct dtn_graph g;
	dtn_id x, t;
	int n;

	dtn_graph_init(&g, type);
	x = dtn_input(&g, "x", DTN_F32, images);
	t = dtn_input(&g, "t", DTN_I32, (struct dtn_shape){ 1, { 8 } });
	dtn_unet(&g, u, x, t, -1);
	memset(layers, 0, sizeof(layers));
	n = collect(layers, &g);
	printf("# %s, %s, slices of 8, %d threads; GFLOP/s a thread\n", name, dtn_type_name(type),
	       threads);
	printf("# %-30s %3s %8s %8s %8s   ms of all\n", "layer", "", "forward", "by data",
	       "weights");
	for (int i = 0; i < n; i++) {
		const struct dtn_call *c = &layers[i].call;
		double each[WHATS], gf = gflop(c->y, c->in[1]);

		prepare(&layers[i], backend);
		printf("%-6s %-17s %s -> %-4d%s %2dx", dtn_op_name(c->y->op),
		       dtn_shape_text(c->in[0]->shape),
		       c->y->op == DTN_OP_linear     ? "   "
		       : c->y->attr.conv.stride == 2 ? "3/2"
		       : c->y->attr.conv.k == 3	     ? "3x3"
						     : "1x1",
		       c->in[1]->shape.dim[0], c->in[3] ? "+" : " ", layers[i].count);
		for (int w = 0; w < WHATS; w++) {
			each[w] = together(&layers[i], backend, w, threads);
			total[w] += each[w] * layers[i].count;
			work[w] += gf * layers[i].count;
			printf(" %8.1f", gf / each[w]);
		}
		printf("  ");
		for (int w = 0; w < WHATS; w++)
			printf(" %7.3f", 1e3 * each[w] * layers[i].count);
		printf("\n");
		fflush(stdout);
	}
	printf("%-34s     %8.1f %8.1f %8.1f   %7.3f %7.3f %7.3f\n", "all", work[0] / total[0],
	       work[1] / total[1], work[2] / total[2], 1e3 * total[0], 1e3 * total[1],
	       1e3 * total[2]);
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : "", *isa = argc > 4 ? argv[4] : NULL;
	const struct dtn_backend *cpu = dtn_cpu(isa);
	int threads = argc > 3 ? atoi(argv[3]) : 1, type;

	if (!cpu || threads < 1 || threads > MOST_THREADS)
		dtn_die(DTN_ENV, "cannot run that");
	type = argc > 2	   ? strcmp(argv[2], "bf16") == 0 ? DTN_BF16 : DTN_F32
	       : cpu->bf16 ? DTN_BF16
			   : DTN_F32;
	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++)
		if (strstr(networks[i].name, only))
			network(&networks[i].unet, networks[i].name, type, threads, cpu);
	return 0;
}
