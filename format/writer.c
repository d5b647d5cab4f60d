/* writer.c -- segments and records, written so that a reader can notice whatever happens to them.
 *
 * Frames are put together in one buffer, which is written when it is full and after each record, so
 * that the next program can begin; a large chunk is written from where it lies.  At no moment does
 * the buffer hold half a frame: when the program dies, what it holds is written and FAIL after it.
 * Another thread than the writer's may be the one that dies, so whoever changes the buffer or
 * writes it holds a lock; who says FAIL never gives it back.
 */
#include "format/encode.h"
#include "lib/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
	FULL = 1 << 20,
	WORTH_A_COPY = 1 << 16,        /* a chunk of so many bytes is written by itself */
	PATIENCE = 10                   /* seconds that a dying thread waits for a slow reader */
};

struct dtn_writer {
	struct dtn_output *output;
	struct dtn_encoder *codec;
	uint8_t *buffer;
	size_t n, cap;
	uint64_t written;               /* bytes of this segment that have left the buffer */
	bool flushing;                  /* within a write */
	pthread_mutex_t lock;           /* of the buffer and all that says what is in it */
	atomic_bool dying;              /* nobody may enter any more */

	/* the segment */
	bool open;
	uint32_t chunk_size, next_chunk_size, chain;
	uint64_t records, samples;
	struct dtn_index index;

	/* the record */
	const struct dtn_record *record;        /* the caller's, while it is written */
	int tensor;                     /* the one whose chunks are due */
	uint32_t chunk;
	uint64_t left;                  /* its bytes that were not written yet */
};

/* --- one thread at a time ------------------------------------------------------------------ */

/* A thread that dies must not wait for its turn behind one that always has more to write. */
static void enter(struct dtn_writer *w)
{
	while (w->dying)
		pause();
	pthread_mutex_lock(&w->lock);
}

static void leave(struct dtn_writer *w)
{
	pthread_mutex_unlock(&w->lock);
}

/* --- bytes and frames --------------------------------------------------------------------- */

/* Write what the buffer holds, and these pieces after it. */
static void flush_with(struct dtn_writer *w, const struct iovec *piece, int n)
{
	struct iovec all[1 + 2 * DTN_BLOCKS_MOST + 1];

	all[0] = (struct iovec){ w->buffer, w->n };
	w->written += w->n;
	for (int i = 0; i < n; i++) {
		all[i + 1] = piece[i];
		w->written += piece[i].iov_len;
	}
	w->flushing = true;
	dtn_output_gather(w->output, all, n + 1);
	w->flushing = false;
	w->n = 0;
}

static void flush(struct dtn_writer *w)
{
	if (w->n > 0)
		flush_with(w, NULL, 0);
}

/* Where the next n bytes go; valid until the next call. */
static uint8_t *room(struct dtn_writer *w, size_t n)
{
	if (w->n > 0 && w->n + n > FULL)
		flush(w);
	if (w->n + n > w->cap) {
		w->cap = w->n + n > 2 * FULL ? w->n + n : 2 * FULL;
		w->buffer = dtn_realloc(w->buffer, w->cap, 1);
	}
	return w->buffer + w->n;
}

/* Close the frame at the end of the buffer, whose body of n bytes is there. */
static void add_frame(struct dtn_writer *w, uint32_t tag, uint32_t flags, size_t n)
{
	uint8_t *frame = w->buffer + w->n;
	size_t size = dtn_frame_close(frame, tag, flags, n);

	w->chain = dtn_crc(w->chain, frame + size - 4, 4);
	w->n += size;
}

static void add_text(struct dtn_writer *w, uint32_t tag, char *text, size_t n, size_t most)
{
	if (n > most)
		dtn_die(DTN_INPUT, "%s of %zu bytes: a stream holds %zu",
			tag == DTN_META ? "metadata" : "provenance", n, most);
	if (n > 0) {
		memcpy(room(w, n + DTN_FRAME_EXTRA) + DTN_FRAME_HEADER, text, n);
		add_frame(w, tag, 0, n);
	}
	free(text);
}

static uint64_t position(const struct dtn_writer *w)
{
	return w->written + w->n;
}

/* --- death -------------------------------------------------------------------------------- */

static void fill_head(uint8_t *body, int kind, uint32_t chunk_size)
{
	memset(body, 0, DTN_HEAD_BODY);
	dtn_put16(body, 1);
	dtn_put16(body + 4, (uint32_t)kind);
	dtn_put32(body + 16, chunk_size);
}

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

/* Keep all other threads from writing; true also where this one was at it.  False where the writer
 * does not come to an end: its reader does not read, or it is about to die, too. */
static bool take_over(struct dtn_writer *w)
{
	struct timespec until;

	w->dying = true;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE;
	return pthread_mutex_timedlock(&w->lock, &until) != ETIMEDOUT;
}

/* A file that appears only complete needs no FAIL.  After a failed write nobody knows where the
 * reader stands, so nothing more is said. */
static void say_fail(void *arg, enum dtn_status status, const char *text)
{
	struct dtn_writer *w = arg;
	uint8_t last[DTN_HEAD_BODY + 2 * DTN_FRAME_EXTRA + DTN_FAIL_BODY + DTN_FAIL_TEXT];
	uint8_t *p = last;
	size_t n;

	if (w->output->temporary || !take_over(w) || w->flushing)
		return;
	if (!w->open) {
		fill_head(p + DTN_FRAME_HEADER, DTN_ANY, w->chunk_size);
		p += dtn_frame_close(p, DTN_HEAD, DTN_SIGN, DTN_HEAD_BODY);
	}
	dtn_put32(p + DTN_FRAME_HEADER, (uint32_t)status);
	dtn_put32(p + DTN_FRAME_HEADER + 4, 0);
	n = fill_reason(p + DTN_FRAME_HEADER + DTN_FAIL_BODY, text);
	p += dtn_frame_close(p, DTN_FAIL, 0, DTN_FAIL_BODY + n);
	write_anyway(w->output->fd, w->buffer, w->n);
	write_anyway(w->output->fd, last, (size_t)(p - last));
}

/* --- segments ----------------------------------------------------------------------------- */

struct dtn_writer *dtn_writer_open(struct dtn_output *output, int level)
{
	struct dtn_writer *w = dtn_alloc(1, sizeof(*w));
	pthread_mutexattr_t kind;

	/* Locking it twice is an error that say_fail expects. */
	pthread_mutexattr_init(&kind);
	pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&w->lock, &kind);
	pthread_mutexattr_destroy(&kind);
	w->output = output;
	w->chunk_size = w->next_chunk_size = DTN_CHUNK_SIZE;
	w->codec = dtn_encoder_open(level);
	(void)fcntl(output->fd, F_SETPIPE_SZ, FULL);    /* fewer changes between the programs */
	dtn_at_death(say_fail, w);
	return w;
}

void dtn_writer_share(struct dtn_writer *w, const struct dtn_threads *threads)
{
	dtn_encoder_share(w->codec, threads);
}

void dtn_writer_chunk_size(struct dtn_writer *w, uint32_t size)
{
	w->next_chunk_size = size;
}

void dtn_write_segment(struct dtn_writer *w, enum dtn_kind kind, const struct dtn_meta *meta,
		       const struct dtn_prov *prov)
{
	size_t n;
	char *text;

	if (w->open)
		abort();
	enter(w);
	w->chunk_size = w->next_chunk_size;
	w->written = 0;
	w->chain = 0;
	w->records = w->samples = 0;
	dtn_index_clear(&w->index);
	fill_head(room(w, DTN_HEAD_BODY + DTN_FRAME_EXTRA) + DTN_FRAME_HEADER, kind, w->chunk_size);
	add_frame(w, DTN_HEAD, DTN_SIGN, DTN_HEAD_BODY);
	w->open = true;
	if (meta) {
		text = dtn_meta_print(meta, &n);
		add_text(w, DTN_META, text, n, DTN_META_MOST);
	}
	if (prov) {
		text = dtn_prov_print(prov, &n);
		add_text(w, DTN_PROV, text, n, DTN_PROV_MOST);
	}
	leave(w);
}

void dtn_write_frame(struct dtn_writer *w, uint32_t tag, uint32_t flags, const void *body, size_t n)
{
	if (!w->open || w->record)
		abort();
	enter(w);
	memcpy(room(w, n + DTN_FRAME_EXTRA) + DTN_FRAME_HEADER, body, n);
	add_frame(w, tag, flags, n);
	leave(w);
}

void dtn_write_end(struct dtn_writer *w)
{
	uint64_t index_at;
	uint8_t *p;
	size_t n;

	if (!w->open || w->record)
		abort();
	enter(w);
	p = room(w, 8 + 16 * (size_t)w->index.n + DTN_FRAME_EXTRA) + DTN_FRAME_HEADER;
	index_at = position(w);
	n = dtn_index_print(&w->index, p);
	add_frame(w, DTN_INDX, 0, n);
	p = room(w, DTN_END_BODY + DTN_FRAME_EXTRA) + DTN_FRAME_HEADER;
	dtn_put64(p, w->records);
	dtn_put64(p + 8, w->samples);
	dtn_put64(p + 16, position(w) + DTN_END_BODY + DTN_FRAME_EXTRA);
	dtn_put64(p + 24, index_at);
	dtn_put32(p + 32, w->chain);
	dtn_put32(p + 36, 0);
	dtn_put32(p + 40, DTN_EOT);
	add_frame(w, DTN_END, 0, DTN_END_BODY);
	flush(w);
	w->open = false;
	leave(w);
}

void dtn_writer_close(struct dtn_writer *w)
{
	if (w->open)
		dtn_die(DTN_ENV, "%s: the stream was left unfinished", w->output->name);
	enter(w);
	flush(w);
	leave(w);
	dtn_forget_death(say_fail, w);
	dtn_encoder_close(w->codec);
	dtn_index_clear(&w->index);
	pthread_mutex_destroy(&w->lock);
	free(w->buffer);
	free(w);
}

/* --- records ------------------------------------------------------------------------------ */

/* Go to the next tensor that has bytes; after the last one the record is whole. */
static void next_tensor(struct dtn_writer *w)
{
	while (w->record && w->left == 0)
		if (++w->tensor < w->record->tensors) {
			w->left = w->record->tensor[w->tensor].bytes;
			w->chunk = 0;
		} else {
			w->record = NULL;
			flush(w);
		}
}

void dtn_write_describe(struct dtn_writer *w, struct dtn_record *r)
{
	size_t n;

	if (!w->open || w->record || r->tensors < 1 || r->tensors > DTN_TENSORS_MOST)
		abort();
	enter(w);
	r->seq = w->records;
	r->first = w->samples;
	for (int i = 0; i < r->tensors; i++) {
		struct dtn_tensor *t = &r->tensor[i];
		if (!dtn_tensor_size(t, &t->bytes) || dtn_type_size(t->type) > 8)
			dtn_die(DTN_INPUT, "tensor %s: size overflow", t->name);
		if (t->batched && (t->rank == 0 || t->dim[0] != r->samples))
			abort();
	}
	n = dtn_record_print(r, NULL);
	if (n > DTN_RECD_MOST || r->samples > DTN_SAMPLES_MOST)
		dtn_die(DTN_INPUT, "record of %d tensors and %u samples is too large to describe",
			r->tensors, (unsigned)r->samples);
	dtn_record_print(r, room(w, n + DTN_FRAME_EXTRA) + DTN_FRAME_HEADER);
	dtn_index_add(&w->index, w->records, position(w), w->samples);
	add_frame(w, DTN_RECD, 0, n);
	w->records++;
	w->samples += r->samples;
	w->record = r;
	w->tensor = -1;
	w->left = 0;
	next_tensor(w);
	leave(w);
}

/* CHNK and the frame after it.  Once CHNK is in the buffer nothing can fail but the output. */
static void add_chunk(struct dtn_writer *w, const struct dtn_chunk *c, const struct iovec *piece,
		      int n)
{
	const struct iovec *end = &piece[n - 1];
	bool copy = c->stored < WORTH_A_COPY;
	uint8_t *p = room(w, DTN_CHNK_BODY + DTN_FRAME_EXTRA + (copy ? c->stored : 0)) +
		     DTN_FRAME_HEADER;

	dtn_put16(p, (uint32_t)w->tensor);
	p[2] = (uint8_t)c->codec;
	p[3] = (uint8_t)c->filter;
	dtn_put32(p + 4, w->chunk++);
	dtn_put32(p + 8, c->raw);
	dtn_put32(p + 12, c->stored);
	dtn_put32(p + 16, 0);
	add_frame(w, DTN_CHNK, 0, DTN_CHNK_BODY);
	w->chain = dtn_crc(w->chain, (const uint8_t *)end->iov_base + end->iov_len - 4, 4);
	w->left -= c->raw;
	if (!copy) {
		flush_with(w, piece, n);
		return;
	}
	for (int i = 0; i < n; i++) {
		memcpy(w->buffer + w->n, piece[i].iov_base, piece[i].iov_len);
		w->n += piece[i].iov_len;
	}
}

void dtn_write_tensor(struct dtn_writer *w, const void *data)
{
	const struct dtn_tensor *t;
	const uint8_t *from = data;

	if (!w->record)
		abort();
	t = &w->record->tensor[w->tensor];
	while (w->left > 0) {
		const struct dtn_coded *k;
		int n = dtn_encode(w->codec, t, from, w->left, w->chunk_size, &k);

		enter(w);
		for (int i = 0; i < n; i++) {
			add_chunk(w, &k[i].chunk, k[i].piece, k[i].pieces);
			from += k[i].chunk.raw;
		}
		leave(w);
	}
	enter(w);
	next_tensor(w);
	leave(w);
}

void dtn_write_chunk(struct dtn_writer *w, const struct dtn_chunk *c)
{
	struct iovec whole = { (void *)c->data, c->stored };
	const struct dtn_coded *k;

	if (!w->record || c->raw != (w->left < w->chunk_size ? w->left : w->chunk_size))
		abort();
	enter(w);
	if (c->codec == 0) {    /* stored in another way; the filter remains */
		k = dtn_encode_stored(w->codec, c);
		add_chunk(w, &k->chunk, k->piece, k->pieces);
	} else {
		add_chunk(w, c, &whole, 1);
	}
	next_tensor(w);
	leave(w);
}

void dtn_write_record(struct dtn_writer *w, struct dtn_record *r, const void *const data[])
{
	dtn_write_describe(w, r);
	for (int i = 0; i < r->tensors; i++)
		if (r->tensor[i].bytes > 0)
			dtn_write_tensor(w, data[i]);
}
