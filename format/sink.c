/* sink.c -- frames put together in a buffer, written, and FAIL after them where the program dies.
 *
 * The buffer is written when it is full and when the writer says so; what is large is written from
 * where it lies.  At no moment does the buffer hold half a frame: when the program dies, what it
 * holds is written and FAIL after it.  Another thread than the writer's may be the one that dies,
 * so whoever changes the buffer or writes it holds a lock; who says FAIL never gives it back.
 */
#include "format/sink.h"

#include "format/encode.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	FULL = 1 << 20,
	WORTH_A_COPY = 1 << 16,         /* so many bytes after a frame are written by themselves */
	PATIENCE = 10                   /* seconds that a dying thread waits for a slow reader */
};

/* --- one thread at a time ------------------------------------------------------------------ */

/* A thread that dies must not wait for its turn behind one that always has more to write. */
static void enter(struct dtn_sink *s)
{
	while (s->dying)
		pause();
	pthread_mutex_lock(&s->lock);
}

static void leave(struct dtn_sink *s)
{
	pthread_mutex_unlock(&s->lock);
}

/* Keep all other threads from writing; true also where this one was at it.  False where the writer
 * does not come to an end: its reader does not read, or it is about to die, too. */
static bool take_over(struct dtn_sink *s)
{
	struct timespec until;

	s->dying = true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE;
	return pthread_mutex_timedlock(&s->lock, &until) != ETIMEDOUT;
}

/* --- bytes --------------------------------------------------------------------------------- */

/* Write what the buffer holds, and these pieces after it. */
static void flush_with(struct dtn_sink *s, const struct iovec *piece, int n)
{
	struct iovec all[1 + 2 * DTN_BLOCKS_MOST + 1];

	all[0] = (struct iovec){ s->buffer, s->n };
	s->written += s->n;
	for (int i = 0; i < n; i++) {
		all[i + 1] = piece[i];
		s->written += piece[i].iov_len;
	}
	s->flushing = true;
	dtn_output_gather(s->output, all, n + 1);
	s->flushing = false;
	s->n = 0;
}

static void flush(struct dtn_sink *s)
{
	if (s->n > 0)
		flush_with(s, NULL, 0);
}

void dtn_sink_flush(struct dtn_sink *s)
{
	enter(s);
	flush(s);
	leave(s);
}

/* Until the frame is added, its bytes are none of the buffer's. */
uint8_t *dtn_sink_room(struct dtn_sink *s, size_t n, size_t after)
{
	size_t more = n + DTN_FRAME_EXTRA + (after < WORTH_A_COPY ? after : 0);

	enter(s);
	if (s->n > 0 && s->n + more > FULL)
		flush(s);
	if (s->n + more > s->cap) {
		s->cap = s->n + more > 2 * FULL ? s->n + more : 2 * FULL;
		s->buffer = dtn_realloc(s->buffer, s->cap, 1);
	}
	leave(s);
	return s->buffer + s->n + DTN_FRAME_HEADER;
}

uint64_t dtn_sink_position(const struct dtn_sink *s)
{
	return s->written + s->n;
}

/* --- frames -------------------------------------------------------------------------------- */

static void add(struct dtn_sink *s, uint32_t tag, uint32_t flags, size_t n)
{
	uint8_t *frame = s->buffer + s->n;
	size_t size = dtn_frame_close(frame, tag, flags, n);

	s->chain = dtn_crc(s->chain, frame + size - 4, 4);
	s->n += size;
}

void dtn_sink_frame(struct dtn_sink *s, uint32_t tag, uint32_t flags, size_t n)
{
	enter(s);
	add(s, tag, flags, n);
	if (tag == DTN_END) {
		flush(s);
		s->open = false;
	}
	leave(s);
}

/* Once CHNK is in the buffer nothing can fail but the output.  The zstd frame, too, ends with a
 * checksum of four bytes. */
void dtn_sink_chunk(struct dtn_sink *s, size_t n, const struct iovec *piece, int pieces)
{
	const struct iovec *end = &piece[pieces - 1];
	size_t after = 0;

	for (int i = 0; i < pieces; i++)
		after += piece[i].iov_len;
	enter(s);
	add(s, DTN_CHNK, 0, n);
	s->chain = dtn_crc(s->chain, (const uint8_t *)end->iov_base + end->iov_len - 4, 4);
	if (after >= WORTH_A_COPY)
		flush_with(s, piece, pieces);
	else
		for (int i = 0; i < pieces; i++) {
			memcpy(s->buffer + s->n, piece[i].iov_base, piece[i].iov_len);
			s->n += piece[i].iov_len;
		}
	leave(s);
}

static void fill_head(uint8_t *body, int kind, uint32_t chunk_size)
{
	memset(body, 0, DTN_HEAD_BODY);
	dtn_put16(body, 1);
	dtn_put16(body + 4, (uint32_t)kind);
	dtn_put32(body + 16, chunk_size);
}

void dtn_sink_head(struct dtn_sink *s, enum dtn_kind kind, uint32_t chunk_size)
{
	fill_head(dtn_sink_room(s, DTN_HEAD_BODY, 0), kind, chunk_size);
	enter(s);
	s->open = true;
	s->chunk_size = chunk_size;
	s->written = 0;
	s->chain = 0;
	add(s, DTN_HEAD, DTN_SIGN, DTN_HEAD_BODY);
	leave(s);
}

/* --- death --------------------------------------------------------------------------------- */

/* FAIL's text: who failed and why.  Where the reason is another program's failure, only that. */
static size_t fill_reason(uint8_t *to, const char *text)
{
	static const char passed_on[] = "upstream failed: ";
	const char *first = strstr(text, passed_on);
	char *whole = first ? dtn_strdup(first + strlen(passed_on))
			    : dtn_format("%s: %s", dtn_program, text);
	size_t n = strlen(whole);

	if (n > DTN_FAIL_TEXT)
		for (n = DTN_FAIL_TEXT; n > 0 && ((unsigned char)whole[n] & 0xc0) == 0x80; n--)
			;
	memcpy(to, whole, n);
	free(whole);
	return n;
}

/* Write what can be written: the trouble has been told already. */
static void write_anyway(int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);
		if (k > 0) {
			p += k;
			n -= (size_t)k;
		} else if (k < 0 && errno == EAGAIN) {
			(void)poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
		} else if (k == 0 || errno != EINTR) {
			return;
		}
	}
}

/* A file that appears only complete needs no FAIL.  After a failed write nobody knows where the
 * reader stands, so nothing more is said. */
static void say_fail(void *arg, enum dtn_status status, const char *text)
{
	struct dtn_sink *s = arg;
	uint8_t last[DTN_HEAD_BODY + 2 * DTN_FRAME_EXTRA + DTN_FAIL_BODY + DTN_FAIL_TEXT];
	uint8_t *p = last;
	size_t n;

	if (s->output->temporary || !take_over(s) || s->flushing)
		return;
	if (!s->open) {
		fill_head(p + DTN_FRAME_HEADER, DTN_ANY, s->chunk_size);
		p += dtn_frame_close(p, DTN_HEAD, DTN_SIGN, DTN_HEAD_BODY);
	}
	dtn_put32(p + DTN_FRAME_HEADER, (uint32_t)status);
	dtn_put32(p + DTN_FRAME_HEADER + 4, 0);
	n = fill_reason(p + DTN_FRAME_HEADER + DTN_FAIL_BODY, text);
	p += dtn_frame_close(p, DTN_FAIL, 0, DTN_FAIL_BODY + n);
	write_anyway(s->output->fd, s->buffer, s->n);
	write_anyway(s->output->fd, last, (size_t)(p - last));
}

void dtn_sink_init(struct dtn_sink *s, struct dtn_output *output)
{
	pthread_mutexattr_t kind;

	memset(s, 0, sizeof(*s));
	/* Locking it twice is an error that say_fail expects. */
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&s->lock, &kind);
	pthread_mutexattr_destroy(&kind);
	s->output = output;
	s->chunk_size = DTN_CHUNK_SIZE;
	(void)fcntl(output->fd, F_SETPIPE_SZ, FULL);    /* fewer changes between the programs */
	dtn_at_death(say_fail, s);
}

void dtn_sink_release(struct dtn_sink *s)
{
	dtn_sink_flush(s);
	dtn_forget_death(say_fail, s);
	pthread_mutex_destroy(&s->lock);
	free(s->buffer);
}
