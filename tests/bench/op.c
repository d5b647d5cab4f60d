/* op.c -- how fast is each operation by itself, on one core?
 *
 *      build/opt/tests/bench/op [OP [f32|bf16 [ISA]]]
 *
 * One line for each shape and pass: time, time for each element of the result, and the bytes of
 * inputs, result and gradients that move in a second if each is moved once.
 */
#include "kernels/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NHWC(n, h, w, c) { 4, { n, h, w, c } }

static const struct shape {
	enum dtn_opcode op;
	union dtn_attr attr;
	struct dtn_shape x[DTN_INPUTS];         /* rank 1: a parameter; rank 2: f32 */
} shapes[] = {
	{ DTN_OP_pad, { .size = { 32, 32 } }, { NHWC(8, 28, 28, 1) } },
	{ DTN_OP_crop, { .size = { 28, 28 } }, { NHWC(8, 32, 32, 1) } },
	{ DTN_OP_groupnorm, { .groupnorm = { 32, 1e-6f, true } },
	  { NHWC(8, 28, 28, 32), { 1, { 32 } }, { 1, { 32 } } } },
	{ DTN_OP_groupnorm, { .groupnorm = { 32, 1e-6f, true } },
	  { NHWC(8, 32, 32, 128), { 1, { 128 } }, { 1, { 128 } }, { 2, { 8, 128 } } } },
	{ DTN_OP_groupnorm, { .groupnorm = { 32, 1e-6f, true } },
	  { NHWC(8, 8, 8, 512), { 1, { 512 } }, { 1, { 512 } } } },
	{ DTN_OP_groupnorm, { .groupnorm = { 32, 1e-6f, false } },
	  { NHWC(8, 16, 16, 256), { 1, { 256 } }, { 1, { 256 } } } },
	{ DTN_OP_silu, { { 0, 0 } }, { { 2, { 8, 512 } } } },
	{ DTN_OP_attention, { .attention = { 1 } },
	  { NHWC(8, 16, 16, 256), NHWC(8, 16, 16, 256), NHWC(8, 16, 16, 256) } },
	{ DTN_OP_attention, { .attention = { 4 } },
	  { NHWC(8, 16, 16, 128), NHWC(8, 16, 16, 128), NHWC(8, 16, 16, 128) } },
	{ DTN_OP_attention, { .attention = { 1 } },
	  { NHWC(8, 4, 4, 256), NHWC(8, 4, 4, 256), NHWC(8, 4, 4, 256) } },
	{ DTN_OP_attention, { .attention = { 1 } },
	  { NHWC(2, 32, 32, 128), NHWC(2, 32, 32, 128), NHWC(2, 32, 32, 128) } },
	{ DTN_OP_linear_attention, { .attention = { 8 } },
	  { NHWC(8, 32, 32, 64), NHWC(8, 32, 32, 64), NHWC(8, 32, 32, 64) } },
	{ DTN_OP_linear_attention, { .attention = { 8 } },
	  { NHWC(8, 16, 16, 128), NHWC(8, 16, 16, 128), NHWC(8, 16, 16, 128) } },
	{ DTN_OP_linear_attention, { .attention = { 1 } },
	  { NHWC(8, 16, 16, 256), NHWC(8, 16, 16, 256), NHWC(8, 16, 16, 256) } },
	{ DTN_OP_concat, { { 0, 0 } }, { NHWC(8, 16, 16, 256), NHWC(8, 16, 16, 128) } },
	{ DTN_OP_upsample, { { 0, 0 } }, { NHWC(8, 16, 16, 256) } },
	{ DTN_OP_dropout, { .dropout = { 0.1f } }, { NHWC(8, 16, 16, 256) } },
	{ DTN_OP_loss, { .loss = { DTN_L2 } }, { NHWC(8, 32, 32, 3), NHWC(8, 32, 32, 3) } },
};

/* Numbers in about +-1, of a type. */
static void *numbers(const struct dtn_node *x)
{
	size_t n = dtn_shape_count(x->shape);
	char *p = dtn_alloc_aligned(n * dtn_type_size(x->type));

	for (size_t i = 0; i < n; i++) {
		float f = (float)((i * 2654435761u >> 8) % 2001) / 1000 - 1;
		if (x->type == DTN_F32)
			memcpy(p + 4 * i, &f, 4);
		else
			memcpy(p + 2 * i, (char *)&f + 2, 2);
	}
	return p;
}

static dtn_id input(struct dtn_graph *g, const struct shape *s, int i)
{
	bool f32 = s->x[i].rank == 2 || s->op == DTN_OP_loss || s->op == DTN_OP_pad;

	if (s->x[i].rank == 1)
		return dtn_param(g, "w", s->x[i], 0, 0);
	return dtn_input(g, "x", f32 ? DTN_F32 : g->type, s->x[i]);
}

static size_t size(const struct dtn_node *x)
{
	return dtn_shape_count(x->shape) * dtn_type_size(x->type);
}

/* Seconds of this thread on its processor. */
static double used(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The best of several runs: others use the machine too. */
static double best(void (*kernel)(const struct dtn_call *), const struct dtn_call *c)
{
	double least = 1e9, begun = dtn_seconds(), at;
	int times = 1;

	kernel(c);
	do {
		at = used();
		for (int i = 0; i < times; i++)
			kernel(c);
		at = used() - at;
		if (at < 0.005 && times < 1 << 20) {    /* too short for the clock */
			times *= 2;
			continue;
		}
		at /= times;
		least = at < least ? at : least;
	} while (dtn_seconds() - begun < 0.3);
	return least;
}

static void report(const struct dtn_call *c, const char *pass, double seconds, size_t moved)
{
	size_t n = dtn_shape_count(c->y->op == DTN_OP_loss ? c->in[0]->shape : c->y->shape);

	printf("%-10s %-16s %-4s %-8s %9.1f us %7.3f ns %7.1f GB/s\n", dtn_op_name(c->y->op),
	       dtn_shape_text(c->in[0]->shape), dtn_type_name(c->in[0]->type), pass, seconds * 1e6,
	       seconds * 1e9 / (double)n, (double)moved / seconds / 1e9);
}

static void measure(const struct shape *s, int type, const struct dtn_backend *cpu)
{
	const struct dtn_kernel *k = cpu->kernel[s->op];
	struct dtn_call c = { .training = true, .id = 9 };
	struct dtn_graph g;
	dtn_id in[DTN_INPUTS], y;
	size_t moved = 0;
	int n = 0;

	dtn_graph_init(&g, type);
	while (n < DTN_INPUTS && s->x[n].rank) {
		in[n] = input(&g, s, n);
		n++;
	}
	y = dtn_apply(&g, s->op, "y", s->attr, in, n);
	c.y = &g.node[y];
	for (int i = 0; i < n; i++) {
		c.in[i] = &g.node[in[i]];
		c.x[i] = numbers(c.in[i]);
		c.dx[i] = numbers(c.in[i]);
		moved += size(c.in[i]);
	}
	c.out = numbers(c.y);
	c.dout = numbers(c.y);
	c.state = k->open ? k->open(&c) : NULL;
	c.saved = dtn_alloc_aligned(c.y->saved.bytes);
	c.scratch = dtn_alloc_aligned(k->scratch ? k->scratch(&c) : 0);
	report(&c, "forward", best(k->forward, &c), moved + size(c.y));
	report(&c, "backward", best(k->backward, &c), 2 * moved + size(c.y));
}

static void measure_adam(const struct dtn_backend *cpu, size_t n)
{
	struct dtn_node x = { .type = DTN_F32, .shape = { 1, { (int)n } } };
	struct dtn_adam_call c = { numbers(&x), numbers(&x), dtn_alloc(n, 4),
				   numbers(&x), numbers(&x), n,
				   1e-4f,	0.9f,	     0.999f,
				   1e-8f,	0,	     0.1f,
				   0.001f,	1,	     0.999f };
	double least = 1e9;

	for (int i = 0; i < 20; i++) {
		double at = used();
		cpu->adam(&c);
		at = used() - at;
		least = at < least ? at : least;
	}
	printf("adam       [%zu] %9.1f us %7.3f ns %7.1f GB/s\n", n, least * 1e6,
	       least * 1e9 / (double)n, 36 * (double)n / least / 1e9);
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : "", *type = argc > 2 ? argv[2] : "";
	const struct dtn_backend *cpu = dtn_cpu(argc > 3 ? argv[3] : NULL);

	if (!cpu)
		dtn_die(DTN_ENV, "this processor cannot run %s", argv[3]);
	cpu->worker();
	printf("# %s: %s\n", cpu->name, cpu->detail);
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (strstr(dtn_op_name(shapes[i].op), only)) {
			if (strstr("f32", type))
				measure(&shapes[i], DTN_F32, cpu);
			if (strstr("bf16", type))
				measure(&shapes[i], DTN_BF16, cpu);
		}
	if (strstr("adam", only)) {
		measure_adam(cpu, 1 << 14);
		measure_adam(cpu, 1 << 23);
	}
	return 0;
}
