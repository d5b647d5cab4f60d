/* load.c -- the images of a list, decoded by several threads, delivered in order.
 *
 *      position  |0 1 2|3 4 5|6 7 8|9 ...
 *      task      |  0  |  1  |  2  |  3  ...          slot = task mod slots
 *
 * A task is a few images in a row.  Threads take tasks in ascending order, each as soon as its slot
 * is empty, and the caller empties the slots in the same order.  While the next slot is not ready,
 * the caller works like any other thread: one thread can do it all, and n are never more than n.
 */
#include "lib/image/load.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
	MOST = 64,                      /* images in a task */
	TASK_BYTES = 32 << 10,          /* what makes a task worth its locks */
	RING_BYTES = 8 << 20,           /* how far decoding runs ahead of writing */
	MOST_SLOTS = 256
};

struct slot {
	bool ready;
	uint32_t n, used;               /* images in it; how many of them were delivered */
	uint8_t *pixels;                /* [MOST][H,W,C] */
	int class[MOST];
	struct dtn_fault *fault;        /* [MOST]; DTN_OK: the image is good */
};

/* What one thread keeps from task to task. */
struct worker {
	struct dtn_load *load;
	pthread_t thread;
	struct dtn_decoder *decoder;
	uint8_t *raw;                   /* images of a packed file before they are resized */
	size_t raw_room;
};

struct dtn_load {
	const struct dtn_order *order;
	uint64_t limit, delivered;
	size_t bytes;                   /* of one image */
	uint32_t per_task;
	uint64_t tasks, taken, emptied;
	uint32_t slots;
	struct slot *slot;
	struct worker *worker;          /* [0]: the caller */
	int workers;
	bool stop;
	pthread_mutex_t lock;
	pthread_cond_t may_take, is_ready;
};

/* --- one task, by one thread ----------------------------------------------------------------- */

static void decode_file(struct worker *w, size_t file, uint8_t *out, struct dtn_fault *fault)
{
	const struct dtn_order *o = w->load->order;
	int fd = dtn_list_open(o->list, file);

	fault->status = DTN_OK;
	if (fd < 0) {
		dtn_fault_system(fault, errno);
		return;
	}
	dtn_decode(w->decoder, fd, &o->wanted, out, fault);
	dtn_list_close(o->list, file, fd);
}

/* n images of a packed file.  Those that are as wanted are read to where they belong. */
static void decode_packed(struct worker *w, const struct dtn_file *file, uint32_t first, uint32_t n,
			  uint8_t *out, int *class, struct dtn_fault *fault)
{
	const struct dtn_wanted *wanted = &w->load->order->wanted;
	struct dtn_seen seen = dtn_packed_seen(file->packed);
	size_t bytes = (size_t)seen.width * (size_t)seen.height * (size_t)seen.channels;
	bool same = seen.width == wanted->width && seen.height == wanted->height &&
		    seen.channels == wanted->channels;
	uint32_t good;

	if (!same && n * bytes > w->raw_room)
		w->raw = dtn_realloc(w->raw, w->raw_room = n * bytes, 1);
	good = dtn_packed_read(file->packed, first, n, same ? out : w->raw, class, &fault[n - 1]);
	for (uint32_t i = 0; i < good; i++) {
		if (!same)
			dtn_convert(w->decoder, w->raw + i * bytes, &seen, wanted,
				    out + i * w->load->bytes);
		class[i] = file->map ? file->map[class[i]] : file->class;
	}
	if (good == n) {
		fault[n - 1].status = DTN_OK;
		return;
	}
	/* The reason belongs to the first that is bad; the others are bad without further words. */
	struct dtn_fault why = fault[n - 1];

	for (uint32_t i = 0; i < n; i++) {
		fault[i] = why;
		if (i < good)
			fault[i].status = DTN_OK;
		if (i > good)
			fault[i].text[0] = '\0';
	}
}

static void do_task(struct worker *w, uint64_t task, struct slot *slot)
{
	const struct dtn_order *o = w->load->order;
	uint64_t position = task * w->load->per_task;

	for (uint32_t i = 0, n; i < slot->n; i += n) {
		uint64_t image = dtn_order_image(o, position + i);
		size_t at = dtn_list_find(o->list, image);
		const struct dtn_file *file = &o->list->file[at];
		uint8_t *out = slot->pixels + i * w->load->bytes;

		n = 1;
		slot->class[i] = file->class;
		slot->fault[i].status = DTN_OK;
		if (!file->packed) {
			decode_file(w, at, out, &slot->fault[i]);
			continue;
		}
		if (!o->shuffled) {
			uint64_t left = file->first + dtn_packed_count(file->packed) - image;

			n = left < slot->n - i ? (uint32_t)left : slot->n - i;
		}
		for (uint32_t k = 0; k < n; k++)
			slot->fault[i + k].status = DTN_OK;
		decode_packed(w, file, (uint32_t)(image - file->first), n, out, &slot->class[i],
			      &slot->fault[i]);
	}
}

/* --- who does which -------------------------------------------------------------------------- */

static bool can_take(const struct dtn_load *l)
{
	return l->taken < l->tasks && l->taken - l->emptied < l->slots;
}

/* Take a task and do it; called, and returns, with the lock held. */
static void work_once(struct worker *w)
{
	struct dtn_load *l = w->load;
	uint64_t task = l->taken++, left = l->order->n - task * l->per_task;
	struct slot *slot = &l->slot[task % l->slots];

	pthread_mutex_unlock(&l->lock);
	slot->used = 0;
	slot->n = left < l->per_task ? (uint32_t)left : l->per_task;
	do_task(w, task, slot);
	pthread_mutex_lock(&l->lock);
	slot->ready = true;
	if (task == l->emptied)
		pthread_cond_signal(&l->is_ready);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct dtn_load *l = w->load;

	pthread_mutex_lock(&l->lock);
	while (!l->stop) {
		if (can_take(l))
			work_once(w);
		else
			pthread_cond_wait(&l->may_take, &l->lock);
	}
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* The slot to empty next, once it is ready; NULL after the last. */
static struct slot *next_slot(struct dtn_load *l)
{
	struct slot *slot = NULL;

	pthread_mutex_lock(&l->lock);
	if (l->emptied < l->tasks) {
		slot = &l->slot[l->emptied % l->slots];
		while (!slot->ready) {
			if (can_take(l))
				work_once(&l->worker[0]);
			else
				pthread_cond_wait(&l->is_ready, &l->lock);
		}
	}
	pthread_mutex_unlock(&l->lock);
	return slot;
}

static void emptied(struct dtn_load *l, struct slot *slot)
{
	pthread_mutex_lock(&l->lock);
	slot->ready = false;
	l->emptied++;
	pthread_cond_signal(&l->may_take);
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

uint32_t dtn_load_next(struct dtn_load *l, uint8_t *images, int32_t *classes, uint32_t most)
{
	uint32_t n = 0;
	struct slot *slot;

	while (n < most && l->delivered < l->limit && (slot = next_slot(l))) {
		for (; slot->used < slot->n && n < most && l->delivered < l->limit; slot->used++) {
			if (slot->fault[slot->used].status != DTN_OK) {
				tell_bad(l, l->emptied * l->per_task + slot->used,
					 &slot->fault[slot->used]);
				continue;
			}
			memcpy(images + n * l->bytes, slot->pixels + slot->used * l->bytes,
			       l->bytes);
			classes[n++] = slot->class[slot->used];
			l->delivered++;
		}
		if (slot->used == slot->n)
			emptied(l, slot);
	}
	return n;
}

static void make_slots(struct dtn_load *l, int threads)
{
	size_t slots = RING_BYTES / (l->per_task * l->bytes), least = (size_t)threads + 1;

	slots = slots > MOST_SLOTS ? MOST_SLOTS : slots < least ? least : slots;
	l->slots = (uint32_t)(slots < l->tasks ? slots : l->tasks ? l->tasks : 1);
	l->slot = dtn_alloc(l->slots, sizeof(*l->slot));
	for (uint32_t i = 0; i < l->slots; i++) {
		l->slot[i].pixels = dtn_alloc(l->per_task, l->bytes);
		l->slot[i].fault = dtn_alloc(l->per_task, sizeof(struct dtn_fault));
	}
}

struct dtn_load *dtn_load_open(const struct dtn_order *o, const struct dtn_load_ask *ask)
{
	struct dtn_load *l = dtn_alloc(1, sizeof(*l));
	int threads = ask->threads;

	l->order = o;
	l->limit = ask->limit;
	l->bytes = (size_t)o->wanted.width * (size_t)o->wanted.height * (size_t)o->wanted.channels;
	l->per_task = (uint32_t)(l->bytes >= TASK_BYTES ? 1 : TASK_BYTES / l->bytes);
	if (l->per_task > MOST)
		l->per_task = MOST;
	l->tasks = (o->n + l->per_task - 1) / l->per_task;
	make_slots(l, threads);
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->may_take, NULL);
	pthread_cond_init(&l->is_ready, NULL);
	l->worker = dtn_alloc((size_t)threads, sizeof(*l->worker));
	for (int i = 0; i < threads; i++) {
		struct worker *w = &l->worker[i];

		*w = (struct worker){ .load = l, .decoder = dtn_decoder_open(ask->max_pixels) };
		if (i > 0 && pthread_create(&w->thread, NULL, work, w) != 0) {
			dtn_decoder_close(w->decoder);
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
	pthread_cond_broadcast(&l->may_take);
	pthread_mutex_unlock(&l->lock);
	for (int i = 0; i < l->workers; i++) {
		if (i > 0)
			pthread_join(l->worker[i].thread, NULL);
		dtn_decoder_close(l->worker[i].decoder);
		free(l->worker[i].raw);
	}
	for (uint32_t i = 0; i < l->slots; i++) {
		free(l->slot[i].pixels);
		free(l->slot[i].fault);
	}
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->may_take);
	pthread_cond_destroy(&l->is_ready);
	free(l->slot);
	free(l->worker);
	free(l);
}
