/* update.cu -- the end of a training step: loss, norm, and one sweep over all parameters.
 *
 *      tally    one block: the slice's losses onto the step's, and their gradients
 *      squares  sums of squares of the gradient (adam.cu), then one block:
 *      judge    norm, clipping, rate with warm-up, whether all is finite, the report
 *      sweep    Adam, average and packed weights; nothing where not finite.  Blocks take tiles of
 *               layout.h in turn: updated in the order of the flat arrays, kept in shared memory,
 *               then written as rows and as columns, 32 to 64 bytes side by side each time
 *
 *      flat [K,C,taps]  ->  shared [ROWS][WIDTH]  ->  rows [K,taps,C'], columns [C,taps,K']
 *
 * Bytes a parameter: squares 4; sweep reads 20, writes 16 and once or twice the packed size. */
#include "kernels/cuda/adam.h"
#include "kernels/cuda/layout.h"

#include <math.h>

enum { BLOCK = 256, JUDGE = 1024 };

/* --- loss, norm, report ----------------------------------------------------------------------- */

__global__ void tally(struct dtn_tally_call c)
{
	SHARED(double, warps, [WARP]);
	double sum = 0;

	for (int i = (int)threadIdx.x; i < c.S; i += BLOCK) {
		sum += (double)c.sample[i].weight * (double)c.loss[i];
		c.dloss[i] = c.sample[i].gradient;
	}
	sum = block_sum(sum, warps);
	if (threadIdx.x == 0)
		c.state->loss = c.first ? sum : c.state->loss + sum;
}

struct judge_call {
	struct dtn_state *state;
	const double *part, *rate;
	int parts;
	double beta1, beta2, clip, ema;
	int warmup, images;
};

/* The numbers of update number state->updates, as lib/train/optim.c has them. */
DEVICE void numbers(struct dtn_state *s, const struct judge_call &c)
{
	const double update = (double)s->updates, young = (1 + update) / (10 + update);
	double rate = *c.rate;

	if (s->updates < c.warmup)
		rate *= (update + 1) / c.warmup;
	s->scale = (float)(c.clip > 0 && s->norm > c.clip ? c.clip / s->norm : 1);
	s->step_rate = (float)rate;
	s->correct1 = (float)(1 - pow(c.beta1, update + 1));
	s->correct2 = (float)(1 - pow(c.beta2, update + 1));
	s->ema_decay = (float)(young < c.ema ? young : c.ema);
}

__global__ void judge(struct judge_call c)
{
	SHARED(double, warps, [WARP]);
	struct dtn_state *s = c.state;
	double sum = 0;

	for (int i = (int)threadIdx.x; i < c.parts; i += JUDGE)
		sum += c.part[i];
	sum = block_sum(sum, warps);
	if (threadIdx.x > 0)
		return;
	const double loss = s->loss / c.images;
	s->norm = sqrt(sum);
	s->finite = isfinite(loss) && isfinite(s->norm);
	numbers(s, c);
	s->report[s->steps % DTN_REPORTS] = { loss, s->norm, (double)s->step_rate, s->finite };
	s->steps++;
	s->updates += s->finite;
}

/* --- the sweep -------------------------------------------------------------------------------- */

struct sweep_call {
	const struct dtn_state *state;
	struct adam_arrays arrays;
	float b1, b2, eps, decay;
	const struct layout *layout;
	char *packed;
};

DEVICE struct adam_numbers numbers_of(const struct sweep_call &c)
{
	const struct dtn_state *s = c.state;

	return { c.b1, c.b2, c.eps, s->scale, s->step_rate / s->correct1, 1 / sqrtf(s->correct2),
		 1 - s->step_rate * c.decay, s->ema_decay };
}

typedef float kept[TILE_ROWS][TILE_WIDTH + 1];

/* The packed weights of a tile, of one element type. */
template <class P>
DEVICE void write_packed(char *packed, const kept &tile, const struct tile &t,
			 const struct layer &l)
{
	const int taps = l.taps, n = t.K * t.C * taps;
	P *rows = (P *)(packed + l.rows), *columns = (P *)(packed + l.columns);

	for (int i = (int)threadIdx.x; i < n; i += BLOCK) {
		const int c = i % t.C, tap = i / t.C % taps, k = i / t.C / taps;

		set(rows[((size_t)(t.k0 + k) * taps + tap) * l.padded_C + t.c0 + c],
		    tile[k][c * taps + tap]);
	}
	for (int i = (int)threadIdx.x; l.columns && i < n; i += BLOCK) {
		const int k = i % t.K, tap = i / t.K % taps, c = i / t.K / taps;

		set(columns[((size_t)(t.c0 + c) * taps + tap) * l.padded_K + t.k0 + k],
		    tile[k][c * taps + tap]);
	}
}

DEVICE void update_layer(const struct sweep_call &c, const struct adam_numbers &x, kept &tile,
			 const struct tile &t, const struct layer &l)
{
	const int width = t.C * l.taps;
	const size_t stride = (size_t)l.C * l.taps;

	for (int i = (int)threadIdx.x; i < t.K * width; i += BLOCK)
		tile[i / width][i % width] =
			adam_at(c.arrays, x, t.at + i / width * stride + i % width);
	__syncthreads();
	if (l.type == DTN_F32)
		write_packed<float>(c.packed, tile, t, l);
	else
		write_packed<bf16>(c.packed, tile, t, l);
	__syncthreads();
}

__global__ void __launch_bounds__(BLOCK) sweep(struct sweep_call c)
{
	SHARED(float, tile, [TILE_ROWS][TILE_WIDTH + 1]);
	const struct layer *layers = (const struct layer *)((const char *)c.layout + 16);
	const struct tile *tiles = (const struct tile *)(layers + c.layout->layers);
	const struct adam_numbers x = numbers_of(c);

	if (!c.state->finite)
		return;
	for (int i = (int)blockIdx.x; i < c.layout->tiles; i += (int)gridDim.x) {
		const struct tile t = tiles[i];

		if (t.layer >= 0)
			update_layer(c, x, tile, t, layers[t.layer]);
		else
			for (int j = (int)threadIdx.x; j < t.C; j += BLOCK)
				adam_at(c.arrays, x, t.at + j);
	}
}

/* --- what the table calls --------------------------------------------------------------------- */

size_t cuda_partials(size_t n)
{
	return cuda_blocks(n, SQUARES) + 1;
}

void cuda_tally(const struct dtn_tally_call *c)
{
	LAUNCH(tally, 1, BLOCK, 0, *c);
}

/* Four blocks for every processor of the GPU. */
static unsigned enough_blocks(void)
{
	static int processors;
	int device;

	if (!processors) {
		CUDA(cudaGetDevice(&device));
		CUDA(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device));
	}
	return 4 * (unsigned)processors;
}

void cuda_update(const struct dtn_update_call *c)
{
	const struct dtn_adam_call *a = &c->adam;
	const struct judge_call j = { c->state, c->partial, c->rate,
				      (int)cuda_blocks(a->n, SQUARES), c->beta1, c->beta2,
				      c->clip, c->ema, c->warmup, c->images };
	const struct sweep_call s = { c->state, { a->param, a->m, a->v, a->ema, a->grad },
				      a->beta1, a->beta2, a->eps, a->decay,
				      (const struct layout *)c->layout, c->packed };

	cuda_squares(c->partial, a->grad, a->n);
	LAUNCH(judge, 1, JUDGE, 0, j);
	LAUNCH(sweep, enough_blocks(), BLOCK, 0, s);
}
