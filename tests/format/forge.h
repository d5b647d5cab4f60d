/* forge.h -- streams put together by hand, so that exactly one thing in them is wrong.
 *
 * A stream is a list of pieces: frames, and the zstd frames after CHNK.  forge_join seals them:
 * lengths, checksums and END's sums are made right again, except where a piece is told to keep its
 * own.  So a mutation reaches the code that must notice it and does not die of a checksum.
 *
 * Nothing here uses format/'s writer: this is the specification written down a second time.
 */
#ifndef FORGE_H
#define FORGE_H

#include "lib/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

enum { KEEP_LENGTH = 1, KEEP_CRC = 2, KEEP_END = 4, BARE = 8 };

struct piece {
	char tag[5];            /* "ZSTD" for a chunk's frame, "" for anything */
	uint8_t *p;
	size_t n;
	int keep;
};

struct forge {
	struct piece piece[64];
	int n;
};

struct bytes { uint8_t *p; size_t n; };

static inline void put(uint8_t *p, uint64_t value, int width)
{
	for (int i = 0; i < width; i++)
		p[i] = (uint8_t)(value >> 8 * i);
}

static inline uint64_t get(const uint8_t *p, int width)
{
	uint64_t v = 0;

	for (int i = 0; i < width; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

/* --- pieces ------------------------------------------------------------------------------- */

static inline struct piece *forge_insert(struct forge *f, int at, const char *tag, const void *data,
					 size_t n)
{
	struct piece *s = &f->piece[at];

	if (f->n == 64)
		abort();
	memmove(s + 1, s, (size_t)(f->n++ - at) * sizeof(*s));
	memset(s, 0, sizeof(*s));
	snprintf(s->tag, sizeof(s->tag), "%s", tag);
	s->p = calloc(n + 1, 1);
	s->n = n;
	if (data)
		memcpy(s->p, data, n);
	return s;
}

static inline void forge_remove(struct forge *f, int at)
{
	free(f->piece[at].p);
	memmove(&f->piece[at], &f->piece[at + 1], (size_t)(--f->n - at) * sizeof(f->piece[0]));
}

/* A frame with this body. */
static inline struct piece *forge_frame(struct forge *f, int at, const char *tag, uint32_t flags,
					const void *body, size_t n)
{
	struct piece *s = forge_insert(f, at, tag, NULL, n + 20);

	memcpy(s->p, "\x57\x2a\x4d\x18", 4);
	memcpy(s->p + 8, strcmp(tag, "HEAD") ? tag : "\x89" "DTN", 4);
	put(s->p + 12, strcmp(tag, "HEAD") ? flags : 0x0a1a0a0d, 4);
	if (body)
		memcpy(s->p + 16, body, n);
	return s;
}

static inline struct piece *forge_text(struct forge *f, int at, const char *tag, const char *text)
{
	return forge_frame(f, at, tag, 0, text, strlen(text));
}

/* The k-th piece with this tag. */
static inline int forge_find(const struct forge *f, const char *tag, int k)
{
	for (int i = 0; i < f->n; i++)
		if (!strcmp(f->piece[i].tag, tag) && k-- == 0)
			return i;
	abort();
}

static inline void forge_free(struct forge *f)
{
	while (f->n > 0)
		forge_remove(f, f->n - 1);
}

/* --- a record ----------------------------------------------------------------------------- */

struct forged_tensor {
	const char *name;
	int type, role, flags, rank;
	uint64_t dim[9];
};

static inline struct piece *forge_record(struct forge *f, int at, uint64_t seq, uint64_t first,
					 uint32_t samples, int n, const struct forged_tensor *t)
{
	uint8_t body[4096] = { 0 }, *p = body + 24;

	put(body, seq, 8);
	put(body + 8, first, 8);
	put(body + 16, samples, 4);
	put(body + 20, (uint64_t)n, 2);
	for (int i = 0; i < n; i++, t++) {
		size_t length = strlen(t->name);
		p[0] = (uint8_t)t->type;
		p[1] = (uint8_t)t->rank;
		p[2] = (uint8_t)t->role;
		p[3] = (uint8_t)t->flags;
		put(p + 4, length, 2);
		for (int d = 0; d < t->rank; d++)
			put(p + 8 + 8 * d, t->dim[d], 8);
		memcpy(p + 8 + 8 * t->rank, t->name, length);
		p += (8 + 8 * (size_t)t->rank + length + 7) / 8 * 8;
	}
	return forge_frame(f, at, "RECD", 0, body, (size_t)(p - body));
}

/* CHNK and its zstd frame, at places `at` and `at + 1`. */
static inline void forge_chunk(struct forge *f, int at, int tensor, int chunk, const void *data,
			       size_t n)
{
	uint8_t body[20] = { 0 };
	size_t bound = ZSTD_compressBound(n), stored;
	uint8_t *to = malloc(bound);
	ZSTD_CCtx *context = ZSTD_createCCtx();

	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	stored = ZSTD_compress2(context, to, bound, data, n);
	ZSTD_freeCCtx(context);
	put(body, (uint64_t)tensor, 2);
	body[2] = 1;
	put(body + 4, (uint64_t)chunk, 4);
	put(body + 8, n, 4);
	put(body + 12, stored, 4);
	forge_frame(f, at, "CHNK", 0, body, 20);
	forge_insert(f, at + 1, "ZSTD", to, stored);
	free(to);
}

/* HEAD META PROV, two records of two samples (image u8 [2,3,5,3], label i64 [2]), INDX END. */
enum { IMAGE = 90, LABEL = 16 };

static inline void forge_samples(struct forge *f)
{
	static const struct forged_tensor field[] = {
		{ "image", 0x00, 1, 1, 4, { 2, 3, 5, 3 } }, { "label", 0x13, 5, 1, 1, { 2 } }
	};
	uint8_t head[44] = { 1, 0, 0, 0, 1 }, image[IMAGE], label[LABEL] = { 7, [8] = 3 };

	put(head + 16, 1 << 20, 4);
	forge_frame(f, f->n, "HEAD", 0, head, sizeof(head));
	forge_text(f, f->n, "META", "image.layout=NHWC\nimage.range=0,255\n");
	forge_text(f, f->n, "PROV", "1\t-\tforge\t1\tforge a stream\n");
	for (int k = 0; k < 2; k++) {
		for (int i = 0; i < IMAGE; i++)
			image[i] = (uint8_t)(i * i + 31 * k);
		forge_record(f, f->n, (uint64_t)k, (uint64_t)(2 * k), 2, 2, field);
		forge_chunk(f, f->n, 0, 0, image, sizeof(image));
		forge_chunk(f, f->n, 1, 0, label, sizeof(label));
	}
	forge_frame(f, f->n, "INDX", 0, NULL, 8 + 16 * 2);
	forge_frame(f, f->n, "END ", 0, NULL, 44);
}

/* HEAD META, a weight of 6 floats in one record and its average in another, INDX END. */
static inline void forge_model(struct forge *f)
{
	static const struct forged_tensor param = { "conv.weight", 0x22, 16, 0, 2, { 2, 3 } };
	static const struct forged_tensor ema = { "conv.weight", 0x22, 17, 0, 2, { 2, 3 } };
	uint8_t head[44] = { 1, 0, 0, 0, 2 };
	float weight[6] = { 1, 2, 3, 4, 5, 6 };

	put(head + 16, 1 << 20, 4);
	forge_frame(f, f->n, "HEAD", 0, head, sizeof(head));
	forge_text(f, f->n, "META", "model.arch=ddpm-unet\nmodel.version=1\n");
	forge_record(f, f->n, 0, 0, 0, 1, &param);
	forge_chunk(f, f->n, 0, 0, weight, sizeof(weight));
	forge_record(f, f->n, 1, 0, 0, 1, &ema);
	forge_chunk(f, f->n, 0, 0, weight, sizeof(weight));
	forge_frame(f, f->n, "INDX", 0, NULL, 8 + 16 * 2);
	forge_frame(f, f->n, "END ", 0, NULL, 44);
}

/* --- sealing ------------------------------------------------------------------------------ */

/* What INDX says where nobody said otherwise: every record of the stream. */
static inline void fill_index(struct forge *f, struct piece *index)
{
	uint64_t at = 0, n = 0;

	for (int i = 0; i < f->n; i++) {
		struct piece *s = &f->piece[i];
		if (!strcmp(s->tag, "RECD") && 24 + 16 * n + 16 <= index->n - 4) {
			put(index->p + 24 + 16 * n, at, 8);
			put(index->p + 32 + 16 * n++, get(s->p + 24, 8), 8);
		}
		at += s->n;
	}
	put(index->p + 16, n, 4);
	put(index->p + 20, 1, 4);
}

static inline struct bytes forge_join(struct forge *f)
{
	struct bytes out = { 0 };
	uint64_t records = 0, samples = 0, index_at = 0;
	uint32_t chain = 0;

	for (int i = 0; i < f->n; i++) {
		struct piece *s = &f->piece[i];
		bool frame = !(s->keep & BARE) && s->n >= 16 && strcmp(s->tag, "ZSTD");
		if (!strcmp(s->tag, "INDX") && !(s->keep & KEEP_END))
			fill_index(f, s);
		if (!strcmp(s->tag, "INDX"))
			index_at = out.n;
		if (!strcmp(s->tag, "END ") && !(s->keep & KEEP_END)) {
			put(s->p + 16, records, 8);
			put(s->p + 24, samples, 8);
			put(s->p + 32, out.n + s->n, 8);
			put(s->p + 40, index_at, 8);
			put(s->p + 48, chain, 4);
			put(s->p + 56, 0x044e5444, 4);
		}
		if (!strcmp(s->tag, "RECD")) {
			records++;
			samples += get(s->p + 32, 4);
		}
		if (frame && !(s->keep & KEEP_LENGTH))
			put(s->p + 4, s->n - 8, 4);
		if (frame && !(s->keep & KEEP_CRC))
			put(s->p + s->n - 4, crc32(0, s->p, (unsigned)s->n - 4), 4);
		if (!(s->keep & BARE) && s->n >= 4)
			chain = (uint32_t)crc32(chain, s->p + s->n - 4, 4);
		out.p = realloc(out.p, out.n + s->n + 1);
		memcpy(out.p + out.n, s->p, s->n);
		out.n += s->n;
	}
	return out;
}

/* --- run something in a process of its own ------------------------------------------------ */

struct outcome {
	int status;             /* exit status, or 128 + signal */
	char said[4096];        /* its stderr */
	long kib;               /* its peak memory */
	double seconds;         /* of processor time: a busy machine does not count */
};

/* Run `what` with the bytes on stdin, in a file or, where `pipe`, from a pipe. */
static inline struct outcome forge_run(struct bytes in, bool through_pipe, void (*what)(void *),
				       void *arg)
{
	struct outcome o = { 0 };
	int err[2], data[2] = { -1, -1 }, status;
	FILE *file = NULL;
	struct rusage used;
	pid_t child, feeder = 0;
	size_t n = 0;
	ssize_t k;

	fflush(stdout);
	if (pipe(err) != 0 || (through_pipe && pipe(data) != 0))
		abort();
	if (!through_pipe) {
		file = tmpfile();
		if (!file || (in.n && fwrite(in.p, in.n, 1, file) != 1) || fflush(file) != 0)
			abort();
		rewind(file);
		data[0] = fileno(file);
	}
	child = fork();
	if (child == 0) {
		dup2(data[0], 0);
		dup2(err[1], 2);
		close(err[0]);
		if (data[1] >= 0)
			close(data[1]);
		what(arg);
		_exit(0);
	}
	close(err[1]);
	if (through_pipe && (feeder = fork()) == 0) {
		close(data[0]);
		close(err[0]);
		for (size_t at = 0; at < in.n && (k = write(data[1], in.p + at, in.n - at)) > 0;)
			at += (size_t)k;
		_exit(0);
	}
	if (file)
		fclose(file);
	else
		close(data[0]), close(data[1]);
	while (n < sizeof(o.said) - 1 && (k = read(err[0], o.said + n, sizeof(o.said) - 1 - n)) > 0)
		n += (size_t)k;
	close(err[0]);
	wait4(child, &status, 0, &used);
	if (feeder)
		waitpid(feeder, NULL, 0);
	o.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	o.kib = used.ru_maxrss;
	o.seconds = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
		    1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
	return o;
}

#endif
