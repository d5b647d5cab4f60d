/* sample.c -- many images from one model, on every core, in order. */
#include "lib/diffusion/sample.h"

#include "lib/diffusion/noise.h"
#include "lib/diffusion/queued.h"
#include "lib/image/tone.h"
#include "lib/nn/plan.h"
#include "lib/rng.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct worker {
	float *x, *output, *without;    /* [S,H,W,C]; without: its class */
	float *z;                       /* [H,W,C] */
	float *frame;                   /* [S,H,W,C] */
	float *x0_before;               /* [S,H,W,C], DTN_DPM: see dtn_sampler_step */
	int32_t *t, *label;             /* [S] */
};

/* Slices in work and those that wait for an earlier one.  Slice k lives in slot k % slots,
 * which it may take when slice k - slots has been emitted; the first that is not emitted never
 * waits. */
struct ring {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	char **result;                  /* per slot: [S,frames,H,W,C] of the result's type */
	bool *ready;                    /* per slot */
	int emitted, slices;
};

struct all {
	const struct dtn_sampling *s;
	struct worker *worker;
	struct ring ring;
	size_t image;                   /* numbers of one */
	size_t sample_bytes;
	uint64_t begin;                 /* of the first slice */
	atomic_llong done;              /* questions, of as many as each image's way has */
	int questions;
	atomic_ullong strange;          /* numbers that became bytes and were none */
	pthread_mutex_t showing;
	struct dtn_way *way;            /* NULL: the host makes the steps */
};

void dtn_sampling_graph(struct dtn_sampling_graph *g, const struct dtn_unet *u, int type, int slice)
{
	int S = g->slice = slice;

	g->classes = u->classes;
	dtn_graph_init(&g->graph, type);
	g->x = dtn_input(&g->graph, "x", DTN_F32,
			 (struct dtn_shape){ 4, { S, u->height, u->width, u->colours } });
	g->t = dtn_input(&g->graph, "t", DTN_I32, (struct dtn_shape){ 1, { S } });
	g->label = dtn_unet_label(&g->graph, u, S);
	g->prediction = dtn_unet(&g->graph, u, g->x, g->t, g->label);
}

int dtn_sampling_slice(const struct dtn_unet *u, const struct dtn_backend *b, int type, int most)
{
	size_t have = b->queue ? b->queue->memory() / 10 * 8 : 0, wanted;
	struct dtn_sampling_graph g;
	int slice = most < DTN_MOST_IMAGES ? most : DTN_MOST_IMAGES;

	if (!b->queue)
		return dtn_unet_slice(u);
	for (;; slice = (slice + 1) / 2) {
		dtn_sampling_graph(&g, u, type, slice);
		wanted = dtn_plan(&g.graph, g.prediction, false) +
			 3 * g.graph.params * sizeof(float);
		dtn_graph_release(&g.graph);
		if (wanted <= have || slice == 1)
			return slice;
	}
}

/* --- the way of one slice --------------------------------------------------------------------- */

/* Is image number i asked for, or does it fill up a slice? */
static bool asked_for(const struct dtn_sampling *s, uint64_t i)
{
	return i >= s->first && i - s->first < (uint64_t)s->n;
}

static void start(struct all *all, struct worker *w, uint64_t first)
{
	const struct dtn_sampling *s = all->s;

	for (int k = 0; k < s->graph->slice; k++) {
		const uint64_t i = first + (uint64_t)k;
		float *x = w->x + (size_t)k * all->image;

		if (s->start && asked_for(s, i))
			memcpy(x, s->start + (i - s->first) * all->image,
			       all->image * sizeof(*x));
		else
			dtn_start_of(s->seed, i, x, all->image);
	}
}

bool dtn_sampling_guided(const struct dtn_sampling *s, int step)
{
	const int t = s->sampler->t[step];

	return s->labels > 0 && s->guidance != 0 && s->guidance != 1 &&
		t >= s->guide_at[0] && t <= s->guide_at[1];
}

int32_t dtn_sampling_label(const struct dtn_sampling *s, uint64_t image)
{
	return s->labels > 0 && s->guidance != 0 ? s->label[image % (uint64_t)s->labels] :
		s->graph->classes;
}

/* What the network says of x at t; `classes`: tell it the images' classes. */
static void ask(struct all *all, struct worker *w, struct dtn_run *run, uint64_t first, int t,
		bool classes, float *output)
{
	const struct dtn_sampling *s = all->s;
	const struct dtn_sampling_graph *g = s->graph;
	const struct dtn_backend *b = s->net->backend;
	const size_t bytes = (size_t)g->slice * all->image * sizeof(float);

	for (int k = 0; k < g->slice; k++) {
		w->t[k] = t;
		w->label[k] = classes ? dtn_sampling_label(s, first + (uint64_t)k) : g->classes;
	}
	b->put(dtn_value(run, g->x), w->x, bytes);
	b->put(dtn_value(run, g->t), w->t, (size_t)g->slice * sizeof(*w->t));
	if (g->label >= 0)
		b->put(dtn_value(run, g->label), w->label, (size_t)g->slice * sizeof(*w->label));
	dtn_forward(run);
	b->get(output, dtn_value(run, g->prediction), bytes);
}

/* Eps, x_0 and v at one x are the same up to a factor and an offset, so guidance is the same line
 * through two of either. */
static void predict(struct all *all, struct worker *w, struct dtn_run *run, uint64_t first, int i)
{
	const struct dtn_sampling *s = all->s;
	const float scale = (float)s->guidance;
	const int t = s->sampler->t[i];

	ask(all, w, run, first, t, true, w->output);
	if (!dtn_sampling_guided(s, i))
		return;
	ask(all, w, run, first, t, false, w->without);
	for (size_t k = 0; k < (size_t)s->graph->slice * all->image; k++)
		w->output[k] = w->without[k] + scale * (w->output[k] - w->without[k]);
}

static void step(struct all *all, struct worker *w, uint64_t first, int i)
{
	const struct dtn_sampling *s = all->s;
	const bool noisy = dtn_sampler_noisy(s->sampler, i);

	for (int k = 0; k < s->graph->slice; k++) {
		size_t at = (size_t)k * all->image;
		if (noisy)
			dtn_rng_normal(
				dtn_rng(s->seed, DTN_RNG_STEP, first + (uint64_t)k, (uint32_t)i),
				w->z, all->image);
		dtn_sampler_step(s->sampler, i, w->x + at, w->output + at, w->z,
				 w->x0_before ? w->x0_before + at : NULL, all->image);
	}
}

/* Is a frame due after i steps, number f being the next? */
static bool frame_due(const struct dtn_sampling *s, int f, int i)
{
	return f < s->frames && (s->after ? s->after[f] : s->sampler->config.steps) == i;
}

static void keep_frame(struct all *all, char *to, const float *x, uint64_t image)
{
	size_t strange;

	if (all->s->type == DTN_U8) {
		strange = dtn_tone_to_u8((uint8_t *)to, x, all->image);
		if (strange > 0 && asked_for(all->s, image))
			atomic_fetch_add(&all->strange, strange);
	} else {
		memcpy(to, x, all->sample_bytes);
	}
}

/* Put x [S,H,W,C] of images `first` .. into the result for all frames, from number f on, that are
 * due after i steps; returns the number of the next frame. */
static int keep_frames(struct all *all, char *result, const float *x, uint64_t first, int f, int i)
{
	const struct dtn_sampling *s = all->s;

	for (; frame_due(s, f, i); f++)
		for (size_t k = 0; k < (size_t)s->graph->slice; k++)
			keep_frame(all,
				   result + (k * (size_t)s->frames + (size_t)f) * all->sample_bytes,
				   x + k * all->image, first + k);
	return f;
}

static int questions(const struct dtn_sampling *s, int step)
{
	return dtn_sampling_guided(s, step) ? 2 : 1;
}

static void count_step(struct all *all, int i)
{
	const struct dtn_sampling *s = all->s;
	const int asked = questions(s, i);
	int64_t done = atomic_fetch_add(&all->done, asked) + asked;

	if (s->progress && pthread_mutex_trylock(&all->showing) == 0) {
		s->progress(s->arg, done, (int64_t)all->ring.slices * all->questions);
		pthread_mutex_unlock(&all->showing);
	}
}

static void queued_way(struct all *all, struct worker *w, uint64_t first, char *result)
{
	const struct dtn_sampling *s = all->s;
	int f = 0;

	if (s->start)
		start(all, w, first);
	dtn_way_start(all->way, first, s->start ? w->x : NULL);
	for (int i = 0; i <= s->sampler->config.steps; i++) {
		if (i > 0) {
			dtn_way_step(all->way, i - 1);
			count_step(all, i - 1);
		}
		if (frame_due(s, f, i)) {
			dtn_way_get(all->way, w->x);
			f = keep_frames(all, result, w->x, first, f, i);
		}
	}
}

/* x_T to x_0, keeping the frames that are due.  `first`: index of the slice's first image. */
static void whole_way(struct all *all, struct worker *w, struct dtn_run *run, uint64_t first,
		      char *result)
{
	const struct dtn_sampling *s = all->s;
	const int S = s->sampler->config.steps;
	int f = 0;

	if (all->way) {
		queued_way(all, w, first, result);
		return;
	}
	start(all, w, first);
	for (int i = 0; i < S; i++) {
		if (!s->x0_frames)
			f = keep_frames(all, result, w->x, first, f, i);
		predict(all, w, run, first, i);
		if (s->x0_frames) {
			dtn_sampler_x0(s->sampler, i, w->frame, w->x, w->output,
				       (size_t)s->graph->slice * all->image);
			f = keep_frames(all, result, w->frame, first, f, i);
		}
		step(all, w, first, i);
		count_step(all, i);
	}
	keep_frames(all, result, w->x, first, f, S);
}

/* --- in order --------------------------------------------------------------------------------- */

/* The part of a slice that is wanted. */
static void emit(struct all *all, int slice, const char *result)
{
	const struct dtn_sampling *s = all->s;
	const uint64_t S = (uint64_t)s->graph->slice, first = all->begin + (uint64_t)slice * S;
	const uint64_t end = s->first + (uint64_t)s->n, frames = (uint64_t)s->frames;
	uint64_t from = first < s->first ? s->first - first : 0,
		 to = first + S > end ? end - first : S;

	s->emit(s->arg, result + from * frames * all->sample_bytes, (to - from) * frames);
}

static char *take_slot(struct all *all, int slice)
{
	struct ring *r = &all->ring;

	pthread_mutex_lock(&r->lock);
	while (slice >= r->emitted + all->s->slots)
		pthread_cond_wait(&r->moved, &r->lock);
	pthread_mutex_unlock(&r->lock);
	return r->result[slice % all->s->slots];
}

/* Workers block all signals; a reader that has gone away must end the program, as it ends any
 * filter. */
static void deliver(struct all *all, int slice)
{
	struct ring *r = &all->ring;
	const int slots = all->s->slots;
	sigset_t broken_pipe;

	sigemptyset(&broken_pipe);
	sigaddset(&broken_pipe, SIGPIPE);
	pthread_sigmask(SIG_UNBLOCK, &broken_pipe, NULL);
	pthread_mutex_lock(&r->lock);
	r->ready[slice % slots] = true;
	while (r->emitted < r->slices && r->ready[r->emitted % slots]) {
		emit(all, r->emitted, r->result[r->emitted % slots]);
		r->ready[r->emitted % slots] = false;
		r->emitted++;
	}
	pthread_cond_broadcast(&r->moved);
	pthread_mutex_unlock(&r->lock);
}

static void one_slice(void *arg, struct dtn_run *run, int slice)
{
	struct all *all = arg;
	char *result = take_slot(all, slice);

	whole_way(all, &all->worker[run->worker], run,
		  all->begin + (uint64_t)slice * (uint64_t)all->s->graph->slice, result);
	deliver(all, slice);
}

/* --- memory ----------------------------------------------------------------------------------- */

static void get_memory(struct all *all)
{
	const struct dtn_sampling *s = all->s;
	const size_t S = (size_t)s->graph->slice, slice = S * all->image;

	all->worker = dtn_alloc((size_t)s->net->workers, sizeof(*all->worker));
	for (int k = 0; k < s->net->workers; k++)
		all->worker[k] = (struct worker){
			.x = dtn_alloc(slice, sizeof(float)),
			.output = dtn_alloc(slice, sizeof(float)),
			.without = dtn_alloc(slice, sizeof(float)),
			.z = dtn_alloc(all->image, sizeof(float)),
			.frame = dtn_alloc(slice, sizeof(float)),
			.x0_before = s->sampler->config.kind == DTN_DPM ?
				     dtn_alloc(slice, sizeof(float)) : NULL,
			.t = dtn_alloc(S, sizeof(int32_t)),
			.label = dtn_alloc(S, sizeof(int32_t))
		};
	all->ring.result = dtn_alloc((size_t)s->slots, sizeof(*all->ring.result));
	all->ring.ready = dtn_alloc((size_t)s->slots, sizeof(*all->ring.ready));
	for (int k = 0; k < s->slots; k++)
		all->ring.result[k] = dtn_alloc(S * (size_t)s->frames, all->sample_bytes);
}

static void free_memory(struct all *all)
{
	for (int k = 0; k < all->s->net->workers; k++) {
		free(all->worker[k].x);
		free(all->worker[k].output);
		free(all->worker[k].without);
		free(all->worker[k].z);
		free(all->worker[k].frame);
		free(all->worker[k].x0_before);
		free(all->worker[k].t);
		free(all->worker[k].label);
	}
	for (int k = 0; k < all->s->slots; k++)
		free(all->ring.result[k]);
	free(all->ring.result);
	free(all->ring.ready);
	free(all->worker);
}

void dtn_sample(struct dtn_sampling *s)
{
	const struct dtn_shape shape = s->graph->graph.node[s->graph->x].shape;
	const uint64_t S = (uint64_t)s->graph->slice;
	struct all all = { .s = s, .image = dtn_shape_count(shape) / (size_t)shape.dim[0] };

	all.sample_bytes = all.image * dtn_type_size(s->type);
	all.begin = s->net->backend->queue ? s->first : s->first / S * S;
	all.ring.slices = (int)((s->first + (uint64_t)s->n - all.begin + S - 1) / S);
	for (int i = 0; i < s->sampler->config.steps; i++)
		all.questions += questions(s, i);
	pthread_mutex_init(&all.ring.lock, NULL);
	pthread_mutex_init(&all.showing, NULL);
	pthread_cond_init(&all.ring.moved, NULL);
	get_memory(&all);
	all.way = dtn_way_open(s);
	dtn_net_each(s->net, all.ring.slices, one_slice, &all);
	s->strange = atomic_load(&all.strange);
	if (all.way)
		dtn_way_close(all.way);
	free_memory(&all);
	pthread_cond_destroy(&all.ring.moved);
	pthread_mutex_destroy(&all.showing);
	pthread_mutex_destroy(&all.ring.lock);
}
