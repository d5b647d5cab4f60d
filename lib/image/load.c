/* load.c -- the images of a list, decoded by several threads, delivered in order.
 *
 *      position  |0 1 2 3|4 5 6 7 8 9 10 11|12 13 ...
 *      task      |   |   |   |   |    |    |   ...
 *      batch     |   0   |        1        |   2 ...       place = batch mod places
 *
 * A task is a few images in a row, a batch what is delivered at a time: its images are decoded to
 * where the caller will find them.  Threads take tasks in ascending order, as long as there is a
 * place for their batch, and the caller empties the places in the same order.  While its batch is
 * not ready, the caller works like any other thread: one thread can do it all, and n are never more
 * than n.
 */
#include "lib/image/load.h"

#include "lib/image/hand.h"
#include "lib/image/picture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	FIRST_BATCH = 16,               /* images; the next has twice as many */
	MOST = 64,                      /* images in a task */
	TASK_BYTES = 32 << 10,          /* what makes a task worth its locks */
	AHEAD = 2                       /* batches, besides those that are being decoded */
};

struct batch {
	uint64_t first;                 /* its first position */
	uint32_t n, taken, done;        /* positions; those that tasks have; those decoded */
	uint8_t *memory, *images;       /* [n][H,W,C], askew in its memory */
	int32_t *class;                 /* [n] */
	struct dtn_fault **fault;       /* [n]; NULL: the image is good */
};

struct worker {
	struct dtn_load *load;
	pthread_t thread;
	struct dtn_hand *hand;
};

/* What the caller has all threads do between their tasks. */
struct jobs {
	int n, next, busy;
	void (*job)(void *arg, int worker, int i);
	void *arg;
};

struct dtn_load {
	const struct dtn_order *order;
	uint64_t limit, delivered;      /* images */
	size_t bytes;                   /* of one image */
	uint32_t per_task, per_batch;   /* images at most */
	uint64_t taken, bad;            /* positions that tasks have; bad ones found among them */
	uint64_t begun, emptied;        /* batches */
	bool lent;                      /* the caller has one that is not emptied yet */
	uint32_t places;
	struct batch *batch;            /* [places] */
	struct jobs jobs;
	struct worker *worker;          /* [0]: the caller */
	int workers;
	bool stop;
	pthread_mutex_t lock;
	pthread_cond_t may_work, is_ready;
};

/* --- who does which -------------------------------------------------------------------------- */

/* May the next position be wanted?  Bad ones make room for others behind the limit. */
static bool is_wanted(const struct dtn_load *l)
{
	return l->taken < l->order->n && l->taken - l->bad < l->limit;
}

/* The batch that was begun last, while there are positions in it that no task has. */
static struct batch *unfinished(const struct dtn_load *l)
{
	struct batch *b = l->begun > 0 ? &l->batch[(l->begun - 1) % l->places] : NULL;

	return b && b->taken < b->n ? b : NULL;
}

static bool can_take(const struct dtn_load *l)
{
	return is_wanted(l) && (unfinished(l) || l->begun - l->emptied < l->places);
}

/* Sizes double, so that whoever reads has something to do while the first images are decoded. */
static struct batch *begin_batch(struct dtn_load *l)
{
	struct batch *b = &l->batch[l->begun % l->places];
	uint64_t n = l->begun < 20 ? (uint64_t)FIRST_BATCH << l->begun : l->per_batch;

	if (n > l->per_batch)
		n = l->per_batch;
	if (n > l->order->n - l->taken)
		n = l->order->n - l->taken;
	b->first = l->taken;
	b->n = (uint32_t)n;
	b->taken = b->done = 0;
	l->begun++;
	return b;
}

/* A batch ends early where nothing more is wanted. */
static bool is_complete(const struct dtn_load *l, const struct batch *b)
{
	return b->done == b->taken && (b->taken == b->n || !is_wanted(l));
}

/* Take a task and do it; called, and returns, with the lock held.  Where tasks begin and end
 * depends on the list alone: it may decide which images of a broken file can be read.  The last one
 * may go beyond the limit. */
static void work_once(struct worker *w)
{
	struct dtn_load *l = w->load;
	struct batch *b = unfinished(l);
	uint32_t at, n, bad;

	if (!b)
		b = begin_batch(l);
	at = b->taken;
	n = b->n - at < l->per_task ? b->n - at : l->per_task;
	b->taken += n;
	l->taken += n;
	pthread_mutex_unlock(&l->lock);
	bad = dtn_hand_decode(w->hand, b->first + at, n, b->images + at * l->bytes, b->class + at,
			      b->fault + at);
	pthread_mutex_lock(&l->lock);
	b->done += n;
	l->bad += bad;
	if (bad > 0)                    /* the limit may have moved */
		pthread_cond_broadcast(&l->may_work);
	if (bad > 0 || is_complete(l, b))
		pthread_cond_signal(&l->is_ready);
}

static bool has_job(const struct dtn_load *l)
{
	return l->jobs.next < l->jobs.n;
}

static void job_once(struct worker *w)
{
	struct dtn_load *l = w->load;
	struct jobs *j = &l->jobs;
	int i = j->next++;

	j->busy++;
	pthread_mutex_unlock(&l->lock);
	j->job(j->arg, (int)(w - l->worker), i);
	pthread_mutex_lock(&l->lock);
	if (--j->busy == 0 && j->next == j->n)
		pthread_cond_signal(&l->is_ready);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct dtn_load *l = w->load;

	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		if (has_job(l))
			job_once(w);
		else if (can_take(l))
			work_once(w);
		else
			pthread_cond_wait(&l->may_work, &l->lock);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* The caller has nothing else to do at the moment. */
static void help_or_wait(struct dtn_load *l)
{
	if (can_take(l))
		work_once(&l->worker[0]);
	else
		pthread_cond_wait(&l->is_ready, &l->lock);
}

static void each(void *load, int n, void (*job)(void *, int, int), void *arg)
{
	struct dtn_load *l = load;

	pthread_mutex_lock(&l->lock);
	l->jobs = (struct jobs){ .n = n, .job = job, .arg = arg };
	pthread_cond_broadcast(&l->may_work);
	while (has_job(l))
		job_once(&l->worker[0]);
	while (l->jobs.busy > 0)
		help_or_wait(l);
	pthread_mutex_unlock(&l->lock);
}

struct dtn_threads dtn_load_threads(struct dtn_load *l)
{
	return (struct dtn_threads){ l->workers, each, l };
}

/* The next batch, once it is ready; NULL after the last. */
static struct batch *next_batch(struct dtn_load *l)
{
	struct batch *b = NULL;

	pthread_mutex_lock(&l->lock);
	while (l->begun > l->emptied || is_wanted(l)) {
		b = &l->batch[l->emptied % l->places];
		if (l->begun > l->emptied && is_complete(l, b))
			break;
		help_or_wait(l);
		b = NULL;
	}
	pthread_mutex_unlock(&l->lock);
	return b;
}

static void empty(struct dtn_load *l)
{
	pthread_mutex_lock(&l->lock);
	l->emptied++;
	pthread_cond_broadcast(&l->may_work);
	pthread_mutex_unlock(&l->lock);
}

/* --- for the caller -------------------------------------------------------------------------- */

static void tell_bad(const struct dtn_load *l, uint64_t position, const struct dtn_fault *fault)
{
	const struct dtn_list *list = l->order->list;
	uint64_t image = dtn_order_image(l->order, position);
	size_t file = dtn_list_find(list, image);
	char *path;

	if (list->file[file].packed)
		path = dtn_format("%s: image %llu", dtn_list_path(list, file),
				  (unsigned long long)(image - list->file[file].first));
	else
		path = dtn_strdup(dtn_list_path(list, file));
	dtn_bad_one(list->bad, path, fault);
	free(path);
}

/* Tell of the bad images of a batch and close their gaps; how many remain, up to the limit. */
static uint32_t good_ones(const struct dtn_load *l, struct batch *b)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->done && l->delivered + n < l->limit; i++) {
		if (b->fault[i]) {
			tell_bad(l, b->first + i, b->fault[i]);
			free(b->fault[i]);
			b->fault[i] = NULL;
			continue;
		}
		if (n < i) {
			memcpy(b->images + n * l->bytes, b->images + i * l->bytes, l->bytes);
			b->class[n] = b->class[i];
		}
		n++;
	}
	return n;
}

uint32_t dtn_load_next(struct dtn_load *l, const uint8_t **images, const int32_t **classes)
{
	uint32_t n = 0;
	struct batch *b;

	if (l->lent)
		empty(l);
	while ((b = next_batch(l))) {
		n = good_ones(l, b);
		if (n > 0)
			break;
		empty(l);
	}
	l->lent = b != NULL;
	l->delivered += n;
	if (b) {
		*images = b->images;
		*classes = b->class;
	}
	return n;
}

static void make_places(struct dtn_load *l, int threads)
{
	uint32_t tasks = (uint32_t)dtn_ceil_div(l->per_batch, l->per_task);

	l->places = AHEAD + (uint32_t)dtn_ceil_div(threads, tasks);
	if (l->places > l->order->n)    /* no more batches than images */
		l->places = l->order->n > 0 ? (uint32_t)l->order->n : 1;
	l->batch = dtn_alloc(l->places, sizeof(*l->batch));
	for (uint32_t i = 0; i < l->places; i++) {
		struct batch *b = &l->batch[i];

		b->memory = dtn_alloc_aligned(l->per_batch * l->bytes + DTN_ASKEW);
		b->images = b->memory + DTN_ASKEW;
		b->class = dtn_alloc(l->per_batch, sizeof(*b->class));
		b->fault = dtn_alloc(l->per_batch, sizeof(struct dtn_fault *));
	}
}

struct dtn_load *dtn_load_open(const struct dtn_order *o, const struct dtn_load_ask *ask)
{
	struct dtn_load *l = dtn_alloc(1, sizeof(*l));
	int threads = ask->threads;

	l->order = o;
	l->limit = ask->limit;
	l->bytes = dtn_wanted_bytes(&o->wanted);
	l->per_task = (uint32_t)(l->bytes >= TASK_BYTES ? 1 : TASK_BYTES / l->bytes);
	if (l->per_task > MOST)
		l->per_task = MOST;
	l->per_batch = ask->per_batch < o->n ? ask->per_batch : (uint32_t)o->n;
	if (l->per_batch == 0)
		l->per_batch = 1;
	make_places(l, threads);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->may_work, NULL);
	pthread_cond_init(&l->is_ready, NULL);
	l->worker = dtn_alloc((size_t)threads, sizeof(*l->worker));
	for (int i = 0; i < threads; i++) {
		struct worker *w = &l->worker[i];

		*w = (struct worker){ .load = l, .hand = dtn_hand_open(o, ask->max_pixels) };
		if (i > 0 && pthread_create(&w->thread, NULL, work, w) != 0) {
			dtn_hand_close(w->hand);
			break;
		}
		l->workers++;
	}
	return l;
}

void dtn_load_close(struct dtn_load *l)
{
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_broadcast(&l->may_work);
	pthread_mutex_unlock(&l->lock);
	for (int i = 0; i < l->workers; i++) {
		if (i > 0)
			pthread_join(l->worker[i].thread, NULL);
		dtn_hand_close(l->worker[i].hand);
	}
	for (uint32_t i = 0; i < l->places; i++) {
		for (uint32_t k = 0; k < l->per_batch; k++)
			free(l->batch[i].fault[k]);
		free(l->batch[i].memory);
		free(l->batch[i].class);
		free(l->batch[i].fault);
	}
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->may_work);
	pthread_cond_destroy(&l->is_ready);
	free(l->batch);
	free(l->worker);
	free(l);
}
