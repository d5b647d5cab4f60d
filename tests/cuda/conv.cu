/* conv.cu -- the blocks of the bf16 convolutions: whatever their size, the same bits.
 *
 * The tests of the op reach the sizes that its small cases choose; here every size computes the
 * same convolution, forward and backward, and must agree with the smallest in every bit. */
#include "kernels/cuda/conv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct shape { const char *name; int n, h, w, c, k, size, stride; bool residual; };

static const struct shape shapes[] = {
	{ "3x3", 2, 9, 10, 24, 136, 3, 1, true },
	{ "3x3 from many channels", 1, 6, 23, 152, 72, 3, 1, false },
	{ "stride 2", 3, 11, 12, 16, 40, 3, 2, true },
	{ "1x1", 2, 8, 9, 72, 200, 1, 1, true },
	{ "3x3 to three channels", 2, 7, 11, 16, 3, 3, 1, true },
};

enum { INPUTS = 4, RESULTS = 5 };       /* y, dx, dw, db, dresidual */

struct trial {
	struct dtn_graph graph;
	struct dtn_call call;
	size_t bytes[RESULTS];
	void *kept[RESULTS];            /* of the smallest blocks, on the host */
};

static size_t bytes_of(const struct dtn_node *x)
{
	return dtn_shape_count(x->shape) * dtn_type_size(x->type);
}

static void *device(size_t bytes)
{
	void *p;

	CUDA(cudaMalloc(&p, bytes ? bytes : 1));
	return p;
}

/* Random numbers around 0, of the node's type. */
static void *filled(const struct dtn_node *x)
{
	static unsigned state = 1;
	const size_t n = dtn_shape_count(x->shape);
	char *host = (char *)malloc(bytes_of(x));
	void *p = device(bytes_of(x));

	for (size_t i = 0; i < n; i++) {
		state = state * 1664525 + 1013904223;
		const float f = (float)(int)state / 1.5e9f;
		if (x->type == DTN_F32)
			memcpy(host + 4 * i, &f, 4);
		else
			memcpy(host + 2 * i, (const char *)&f + 2, 2);
	}
	CUDA(cudaMemcpy(p, host, bytes_of(x), cudaMemcpyHostToDevice));
	free(host);
	return p;
}

static void build(struct trial *t, const struct shape *s)
{
	struct dtn_shape x = { 4, { s->n, s->h, s->w, s->c } };
	struct dtn_shape w = { 4, { s->k, s->c, s->size, s->size } }, b = { 1, { s->k } };
	struct dtn_shape y = { 4, { s->n, s->h / s->stride, s->w / s->stride, s->k } };
	union dtn_attr attr = {};
	dtn_id in[INPUTS];

	attr.conv.k = s->size;
	attr.conv.stride = s->stride;
	dtn_graph_init(&t->graph, DTN_BF16);
	in[0] = dtn_input(&t->graph, "x", DTN_BF16, x);
	in[1] = dtn_param(&t->graph, "w", w, 0, 0);
	in[2] = dtn_param(&t->graph, "b", b, 0, 0);
	in[3] = s->residual ? dtn_input(&t->graph, "r", DTN_BF16, y) : -1;
	t->call.id = dtn_apply(&t->graph, DTN_OP_conv, "y", attr, in, INPUTS);
	t->call.y = &t->graph.node[t->call.id];
	for (int i = 0; i < INPUTS; i++)
		t->call.in[i] = in[i] < 0 ? NULL : &t->graph.node[in[i]];
}

static void allocate(struct trial *t)
{
	struct dtn_call *c = &t->call;

	c->training = true;
	c->state = cuda_conv.open(c);
	for (int i = 0; i < INPUTS; i++) {
		if (!c->in[i])
			continue;
		c->x[i] = filled(c->in[i]);
		t->bytes[1 + i] = bytes_of(c->in[i]);
		c->dx[i] = device(t->bytes[1 + i]);
	}
	t->bytes[0] = bytes_of(c->y);
	c->out = device(t->bytes[0]);
	c->dout = filled(c->y);
	c->scratch = device(cuda_conv.scratch(c));
	c->packed = device(cuda_conv.packed(c));
	cuda_conv.pack(c, (void *)c->packed);
}

static const char *compare(struct trial *t, bool first)
{
	static const char *const name[] = { "y", "dx", "dw", "db", "dresidual" };
	const char *differs = NULL;

	for (int i = 0; i < RESULTS; i++) {
		const void *from = i ? t->call.dx[i - 1] : t->call.out;
		void *got = malloc(t->bytes[i] + 1);

		if (t->bytes[i] > 0)
			CUDA(cudaMemcpy(got, from, t->bytes[i], cudaMemcpyDeviceToHost));
		if (first)
			t->kept[i] = got;
		else if (t->bytes[i] > 0 && memcmp(t->kept[i], got, t->bytes[i]) != 0)
			differs = name[i];
		if (!first)
			free(got);
	}
	return differs;
}

/* dx is written once and added to once: x stands for what was there. */
static const char *run(struct trial *t, enum conv_tile tile)
{
	cuda_conv_tile = tile;
	t->call.add[0] = false;
	cuda_conv.forward(&t->call);
	cuda_conv.backward(&t->call);
	t->call.add[0] = true;
	cuda_conv.backward(&t->call);
	CUDA(cudaStreamSynchronize(cuda_stream));
	return compare(t, tile == TILE_64);
}

static void release(struct trial *t)
{
	struct dtn_call *c = &t->call;
	const void *all[] = { c->out, c->dout, c->scratch, c->packed };

	for (int i = 0; i < INPUTS; i++) {
		CUDA(cudaFree((void *)c->x[i]));
		CUDA(cudaFree(c->dx[i]));
	}
	for (const void *p : all)
		CUDA(cudaFree((void *)p));
	for (void *p : t->kept)
		free(p);
	cuda_conv.close((void *)c->state);
	dtn_graph_release(&t->graph);
}

int main(void)
{
	static const char *const name[] = { "", "", "slim", "64 x 128", "128 x 128" };
	int failed = 0;

	CUDA(cudaStreamCreate(&cuda_stream));
	for (const struct shape &s : shapes) {
		struct trial t = {};

		build(&t, &s);
		allocate(&t);
		run(&t, TILE_64);
		for (int tile = TILE_SLIM; tile <= TILE_128; tile++) {
			const char *differs = run(&t, (enum conv_tile)tile);

			if (differs)
				printf("not ok cuda conv %s, %s: %s differs\n", s.name, name[tile],
				       differs);
			else
				printf("ok cuda conv %s, %s\n", s.name, name[tile]);
			failed += differs != NULL;
		}
		release(&t);
	}
	return failed > 0;
}
