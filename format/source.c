/* source.c -- the bytes of a program's operands, one after the other.
 *
 * One buffer, read ahead as far as the other end has written and no further, so that a record is
 * handed on as soon as it is there.
 *
 *      buffer |    read    |  waiting  |  room  |
 *             0            at         end      cap
 */
#include "format/frame.h"
#include "lib/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM = 1 << 20 };

static char dash[] = "-";
static char *const standard_input[] = { dash };

void dtn_source_open(struct dtn_source *s, int operands, char *const *operand)
{
	memset(s, 0, sizeof(*s));
	s->fd = -1;
	s->name = "stdin";
	s->operands = operands ? operands : 1;
	s->operand = operands ? operand : standard_input;
}

static void close_input(struct dtn_source *s)
{
	if (s->fd > 0)
		close(s->fd);
	s->fd = -1;
}

void dtn_source_close(struct dtn_source *s)
{
	close_input(s);
	free(s->buffer);
	memset(s, 0, sizeof(*s));
	s->fd = -1;
}

bool dtn_source_next(struct dtn_source *s)
{
	struct stat about;

	close_input(s);
	if (s->next == s->operands)
		return false;
	s->fd = dtn_input_open(s->operand[s->next++], &s->name);
	s->seekable = fstat(s->fd, &about) == 0 && S_ISREG(about.st_mode) &&
		      lseek(s->fd, 0, SEEK_CUR) >= 0;
	(void)fcntl(s->fd, F_SETPIPE_SZ, ROOM);         /* fewer changes between the programs */
	s->at = s->end = 0;
	s->offset = 0;
	s->ended = false;
	return true;
}

/* Read what is there, at most to the end of the buffer. */
static void fill(struct dtn_source *s)
{
	for (;;) {
		ssize_t n = read(s->fd, s->buffer + s->end, s->cap - s->end);
		if (n > 0)
			s->end += (size_t)n;
		if (n == 0)
			s->ended = true;
		if (n >= 0)
			return;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			(void)poll(&(struct pollfd){ .fd = s->fd, .events = POLLIN }, 1, -1);
		else if (errno != EINTR)
			dtn_die(DTN_ENV, "%s:", s->name);
	}
}

/* Room for at least one more byte and, where it costs little, for all of `want`.  The buffer grows
 * only when it is full of data, so a length that is only claimed costs nothing. */
static void make_room(struct dtn_source *s, size_t want)
{
	if (s->at > 0 && s->at + want > s->cap) {
		memmove(s->buffer, s->buffer + s->at, s->end - s->at);
		s->end -= s->at;
		s->at = 0;
	}
	if (s->end == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 2 * ROOM;
		s->buffer = dtn_realloc(s->buffer, s->cap, 1);
	}
}

const uint8_t *dtn_source_need(struct dtn_source *s, size_t want, size_t *got)
{
	if (s->at == s->end)
		s->at = s->end = 0;
	while (s->end - s->at < want && !s->ended) {
		make_room(s, want);
		fill(s);
	}
	*got = s->end - s->at;
	return s->buffer + s->at;
}

void dtn_source_take(struct dtn_source *s, size_t n)
{
	s->at += n;
	s->offset += n;
}

bool dtn_source_skip(struct dtn_source *s, uint64_t n)
{
	while (n > 0) {
		size_t here = s->end - s->at;
		if (here > 0) {
			here = here < n ? here : (size_t)n;
			dtn_source_take(s, here);
			n -= here;
		} else if (s->seekable && n >= ROOM / 4) {
			/* Past the end?  Then the next read finds nothing, which is noticed. */
			if (lseek(s->fd, (off_t)n, SEEK_CUR) < 0)
				dtn_die(DTN_ENV, "%s:", s->name);
			s->offset += n;
			n = 0;
		} else {
			dtn_source_need(s, 1, &here);
			if (here == 0)
				return false;
		}
	}
	return true;
}

/* --- what else it may be ------------------------------------------------------------------ */

static bool looks_like_text(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((p[i] < 0x20 && !memchr("\t\n\r", p[i], 3)) || p[i] >= 0x7f)
			return false;
	return n > 0;
}

const char *dtn_source_guess(const uint8_t *p, size_t n)
{
	static const struct { const char *begin; size_t n; const char *what; } known[] = {
		{ "\x89PNG", 4, " (PNG image; use dtn-load)" },
		{ "\xff\xd8\xff", 3, " (JPEG image; use dtn-load)" },
		{ "GIF8", 4, " (GIF image)" },
		{ "RIFF", 4, " (RIFF file, perhaps a WebP image)" },
		{ "\x1f\x8b", 2, " (gzip data; unpack it first, or use dtn-load)" },
		{ "\x28\xb5\x2f\xfd", 4, " (zstd data without dtn header)" },
		{ "\xfd""7zXZ", 5, " (xz data)" },
		{ "BZh", 3, " (bzip2 data)" },
		{ "PK\3\4", 4, " (zip archive, perhaps a PyTorch or npz file)" },
		{ "\x93NUMPY", 6, " (NumPy array)" },
		{ "GGUF", 4, " (GGUF model)" },
		{ "\0\0\x08\1", 4, " (IDX labels; use dtn-load)" },
		{ "\0\0\x08\3", 4, " (IDX images; use dtn-load)" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (n >= known[i].n && !memcmp(p, known[i].begin, known[i].n))
			return known[i].what;
	if (n >= 9 && dtn_get64(p) < (1 << 27) && p[8] == '{')
		return " (safetensors model)";
	return looks_like_text(p, n < 64 ? n : 64) ? " (text)" : "";
}
