/* layout.cu -- the tiles of layout.h, made from the graph once at the start. */
#include "kernels/cuda/layout.h"

#include "kernels/cuda/cuda.h"

#include <stdlib.h>
#include <string.h>

/* What is being made, on the host.  Without memory it only counts. */
struct maker {
	struct layout head;
	struct layer *layer;
	struct tile *tile;
};

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* The place whose weights this parameter is, or NULL. */
static const struct dtn_place *place_of(const struct dtn_node *p, const struct dtn_place *place,
					int n)
{
	for (int i = 0; i < n; i++)
		if (place[i].call.in[1] == p && place[i].bytes > 0)
			return &place[i];
	return NULL;
}

static struct layer describe(const struct dtn_node *p, const struct dtn_place *place)
{
	const int K = p->shape.dim[0], C = p->shape.dim[1], type = place->call.y->type;
	const int taps = p->shape.rank == 4 ? p->shape.dim[2] * p->shape.dim[3] : 1;
	const size_t size = dtn_type_size(type);
	struct layer l = { C, taps, type, (int)round_up((size_t)C, 16 / size),
			   (int)round_up((size_t)K, 16 / size), place->at, 0 };
	size_t rows = (size_t)K * taps * l.padded_C * size;

	if (place->bytes < rows) {              /* rows without zeros between them */
		l.padded_C = C;
		rows = (size_t)K * taps * C * size;
	}
	if (place->bytes > round_up(rows, 64))
		l.columns = place->at + round_up(rows, 64);
	return l;
}

static void add_tile(struct maker *m, struct tile tile)
{
	if (m->tile)
		m->tile[m->head.tiles] = tile;
	m->head.tiles++;
}

static int least(int a, int b)
{
	return a < b ? a : b;
}

static void add_layer(struct maker *m, const struct dtn_node *p, struct layer l)
{
	const int K = p->shape.dim[0], wide = TILE_WIDTH / l.taps;

	if (l.taps > TILE_WIDTH)
		dtn_die(DTN_ENV, "%s: a kernel of %d weights is too large for CUDA", p->name,
			l.taps);
	for (int k = 0; k < K; k += TILE_ROWS)
		for (int c = 0; c < l.C; c += wide)
			add_tile(m, { p->param + ((size_t)k * l.C + c) * l.taps, m->head.layers, k,
				      c, least(K - k, TILE_ROWS), least(l.C - c, wide) });
	if (m->layer)
		m->layer[m->head.layers] = l;
	m->head.layers++;
}

static void add_plain(struct maker *m, const struct dtn_node *p)
{
	const size_t n = dtn_shape_count(p->shape), most = TILE_ROWS * TILE_WIDTH;

	for (size_t i = 0; i < n; i += most)
		add_tile(m, { p->param + i, -1, 0, 0, 1, (int)(n - i < most ? n - i : most) });
}

static void add_all(struct maker *m, const struct dtn_graph *g, const struct dtn_place *place,
		    int n)
{
	m->head = { 0, 0 };
	for (dtn_id i = 0; i < g->n; i++) {
		const struct dtn_node *p = &g->node[i];
		const struct dtn_place *at = p->op == DTN_OP_PARAM ? place_of(p, place, n) : NULL;

		if (at)
			add_layer(m, p, describe(p, at));
		else if (p->op == DTN_OP_PARAM)
			add_plain(m, p);
	}
}

void *cuda_layout(const struct dtn_graph *g, const struct dtn_place *place, int n)
{
	struct maker m = { };
	size_t layers, bytes;
	char *host;
	void *device;

	add_all(&m, g, place, n);
	layers = round_up(sizeof(m.head), 16);
	bytes = layers + (size_t)m.head.layers * sizeof(struct layer) +
		(size_t)m.head.tiles * sizeof(struct tile);
	host = (char *)dtn_alloc(bytes, 1);
	m.layer = (struct layer *)(host + layers);
	m.tile = (struct tile *)(m.layer + m.head.layers);
	add_all(&m, g, place, n);
	memcpy(host, &m.head, sizeof(m.head));
	CUDA(cudaMalloc(&device, bytes));
	CUDA(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, cuda_stream));
	CUDA(cudaStreamSynchronize(cuda_stream));
	free(host);
	return device;
}
