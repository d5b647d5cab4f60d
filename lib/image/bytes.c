/* bytes.c -- the bytes of one file, from its beginning, through a small buffer. */
#include "lib/image/bytes.h"

#include "lib/base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 64 * 1024, BRIEF = 4096 };

void dtn_bytes_begin(struct dtn_bytes *s, int fd, bool brief)
{
	if (!s->buffer)
		s->buffer = dtn_alloc(BUFFER, 1);
	s->fd = fd;
	s->first = brief ? BRIEF : BUFFER;
	s->offset = 0;
	s->start = s->end = 0;
	s->error = 0;
}

uint64_t dtn_bytes_size(const struct dtn_bytes *s)
{
	struct stat status;

	return fstat(s->fd, &status) == 0 && S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 0;
}

/* Append to the buffer; the bytes not yet taken are moved to its front. */
static void more(struct dtn_bytes *s)
{
	size_t most = s->offset == 0 ? s->first : BUFFER;
	ssize_t got;

	if (s->error)
		return;
	memmove(s->buffer, s->buffer + s->start, s->end - s->start);
	s->end -= s->start;
	s->start = 0;
	do
		got = pread(s->fd, s->buffer + s->end, most - s->end, (off_t)s->offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		s->error = errno;
	if (got <= 0)
		return;
	s->end += (size_t)got;
	s->offset += (uint64_t)got;
}

size_t dtn_bytes_fill(struct dtn_bytes *s)
{
	if (s->start == s->end)
		more(s);
	return s->end - s->start;
}

size_t dtn_bytes_peek(struct dtn_bytes *s, uint8_t *to, size_t n)
{
	for (size_t before = SIZE_MAX; s->end - s->start < n && s->end - s->start != before;) {
		before = s->end - s->start;
		more(s);
	}
	if (n > s->end - s->start)
		n = s->end - s->start;
	memcpy(to, s->buffer + s->start, n);
	return n;
}

size_t dtn_bytes_read(struct dtn_bytes *s, void *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t have = dtn_bytes_fill(s);
		if (have == 0)
			break;
		if (have > n - done)
			have = n - done;
		memcpy((uint8_t *)to + done, s->buffer + s->start, have);
		s->start += have;
		done += have;
	}
	return done;
}

const uint8_t *dtn_bytes_taken(const struct dtn_bytes *s, size_t *n)
{
	*n = s->start;
	return s->offset == s->end ? s->buffer : NULL;
}

void dtn_bytes_release(struct dtn_bytes *s)
{
	free(s->buffer);
	s->buffer = NULL;
}
