/* spool.c -- bytes put aside: in memory up to a limit, beyond it in a file that nobody sees.
 *
 * Memory is taken page by page, never moved, so what is there is all that is used.  Beyond the
 * limit everything goes to the file: the system keeps what it can of that in memory, too, and may
 * take it back.
 */
#include "lib/spool.h"

#include "lib/scratch.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAGE = 1 << 20 };

void dtn_spool_init(struct dtn_spool *s, uint64_t memory)
{
	memset(s, 0, sizeof(*s));
	s->memory = memory;
	s->fd = -1;
}

static void free_pages(struct dtn_spool *s)
{
	for (size_t i = 0; i < s->pages; i++)
		free(s->page[i]);
	free(s->page);
	s->page = NULL;
	s->pages = 0;
}

void dtn_spool_release(struct dtn_spool *s)
{
	free_pages(s);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->n = 0;
}

void dtn_spool_clear(struct dtn_spool *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->n = 0;
}

static void leave_memory(struct dtn_spool *s)
{
	uint64_t left = s->n;

	s->fd = dtn_scratch_open();
	for (size_t i = 0; left > 0; i++) {
		size_t part = left < PAGE ? (size_t)left : PAGE;

		dtn_scratch_write(s->fd, s->page[i], part);
		left -= part;
	}
	free_pages(s);
}

static void new_page(struct dtn_spool *s)
{
	s->page = dtn_realloc(s->page, s->pages + 1, sizeof(*s->page));
	s->page[s->pages++] = dtn_realloc(NULL, PAGE, 1);
}

uint64_t dtn_spool_add(struct dtn_spool *s, const void *data, uint64_t bytes)
{
	const uint8_t *from = data;
	uint64_t begin = s->n;

	if (s->fd < 0 && (bytes > s->memory || s->n > s->memory - bytes))
		leave_memory(s);
	if (s->fd >= 0) {
		dtn_scratch_write(s->fd, data, bytes);
		s->n += bytes;
		return begin;
	}
	while (bytes > 0) {
		size_t at = (size_t)(s->n % PAGE), part = PAGE - at;

		if (s->n / PAGE == s->pages)
			new_page(s);
		part = bytes < part ? (size_t)bytes : part;
		memcpy(s->page[s->n / PAGE] + at, from, part);
		s->n += part;
		from += part;
		bytes -= part;
	}
	return begin;
}

void dtn_spool_get(const struct dtn_spool *s, uint64_t at, void *into, uint64_t bytes)
{
	uint8_t *to = into;

	if (at > s->n || bytes > s->n - at)
		abort();
	if (s->fd >= 0) {
		dtn_scratch_read(s->fd, to, (size_t)bytes, at);
		return;
	}
	while (bytes > 0) {
		size_t from = (size_t)(at % PAGE), part = PAGE - from;

		part = bytes < part ? (size_t)bytes : part;
		memcpy(to, s->page[at / PAGE] + from, part);
		to += part;
		at += part;
		bytes -= part;
	}
}
