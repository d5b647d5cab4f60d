/* order.c -- in which order are images loaded, and to what size and colours?
 *
 * Whether all have one size is asked of their headers, by all threads, and given up at the first
 * that differs; a folder of photographs is settled after two.  Images that cannot be read have no
 * say: they are told of when their turn comes.
 */
#include "lib/image/load.h"

#include "lib/rng.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct survey {
	const struct dtn_order *order;
	uint64_t max_pixels;
	struct dtn_seen first;
	uint64_t end;
	atomic_uint_fast64_t next, unread;
	atomic_bool differs;
};

uint64_t dtn_order_image(const struct dtn_order *o, uint64_t position)
{
	return o->shuffled ? o->shuffled[position] : position;
}

static bool look(const struct dtn_order *o, struct dtn_decoder *d, uint64_t position,
		 struct dtn_seen *seen)
{
	size_t file = dtn_list_find(o->list, dtn_order_image(o, position));
	struct dtn_fault fault;
	bool good;
	int fd;

	if (o->list->file[file].packed) {
		*seen = dtn_packed_seen(o->list->file[file].packed);
		return true;
	}
	fd = dtn_list_open(o->list, file);
	if (fd < 0)
		return false;
	good = dtn_decode_header(d, fd, seen, &fault);
	dtn_list_close(o->list, file, fd);
	return good;
}

static void *compare(void *arg)
{
	enum { STRETCH = 16 };
	struct survey *s = arg;
	struct dtn_decoder *d = dtn_decoder_open(s->max_pixels);
	struct dtn_seen seen;
	uint64_t at;

	while (!s->differs && (at = atomic_fetch_add(&s->next, STRETCH)) < s->end)
		for (uint64_t i = at; i < at + STRETCH && i < s->end && !s->differs; i++)
			if (!look(s->order, d, i, &seen))
				s->unread++;
			else if (seen.width != s->first.width || seen.height != s->first.height)
				s->differs = true;
	dtn_decoder_close(d);
	return NULL;
}

static void compare_all(struct survey *s, int threads)
{
	pthread_t *thread = dtn_alloc((size_t)threads, sizeof(*thread));
	int started = 0;

	while (started < threads - 1 && pthread_create(&thread[started], NULL, compare, s) == 0)
		started++;
	compare(s);
	while (started > 0)
		pthread_join(thread[--started], NULL);
	free(thread);
}

/* Those from position `from` to what --limit asks for.  Where some cannot be read, others behind
 * take their places. */
static void compare_wanted(struct survey *s, const struct dtn_load_ask *ask, uint64_t from,
			   uint64_t unread)
{
	const uint64_t n = s->order->n;

	s->unread = unread;
	while (!s->differs) {
		s->end = ask->limit < n - s->unread ? ask->limit + s->unread : n;
		if (s->end <= from)
			break;
		s->next = from;
		compare_all(s, ask->threads);
		from = s->end;
	}
}

/* The first image that can be read decides the colours, and the size if all others have it, too. */
static void decide(struct dtn_order *o, const struct dtn_load_ask *ask)
{
	const uint64_t end = o->n;
	struct survey s = { .order = o, .max_pixels = ask->max_pixels };
	struct dtn_decoder *d = dtn_decoder_open(ask->max_pixels);
	uint64_t i = 0;

	while (i < end && !look(o, d, i, &s.first))
		i++;
	dtn_decoder_close(d);
	if (i == end)           /* nothing to load: any size will do */
		s.first = (struct dtn_seen){ 1, 1, 3 };
	if (o->wanted.channels == 0)
		o->wanted.channels = s.first.channels;
	if (o->wanted.width != 0)
		return;
	compare_wanted(&s, ask, i + 1, i);
	o->mixed = s.differs;
	o->wanted.width = o->mixed ? DTN_LOAD_SIDE : s.first.width;
	o->wanted.height = o->mixed ? DTN_LOAD_SIDE : s.first.height;
}

void dtn_order_init(struct dtn_order *o, const struct dtn_list *list,
		    const struct dtn_load_ask *ask)
{
	uint64_t end = list->images < ask->limit ? list->images : ask->limit;

	memset(o, 0, sizeof(*o));
	o->list = list;
	o->wanted = ask->wanted;
	/* Bad images that are passed over make room for others behind the limit. */
	o->n = list->bad->skip ? list->images : end;
	if (ask->shuffle && list->images > INT32_MAX)
		dtn_die(DTN_INPUT, "%llu images are too many to shuffle",
			(unsigned long long)list->images);
	if (ask->shuffle) {
		o->shuffled = dtn_alloc(list->images, sizeof(*o->shuffled));
		dtn_rng_order(dtn_rng(ask->seed, DTN_RNG_ORDER, 0, 0), o->shuffled,
			      (uint32_t)list->images);
	}
	if (o->wanted.width == 0 || o->wanted.channels == 0)
		decide(o, ask);
}

void dtn_order_release(struct dtn_order *o)
{
	free(o->shuffled);
}
