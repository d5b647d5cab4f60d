/* reader.h -- the state of a reader.
 *
 * Segments and records are read in reader.c, chunks in chunk.c; trouble.c says what is wrong.
 */
#ifndef DTN_READER_H
#define DTN_READER_H

#include "format/frame.h"

struct dtn_reader {
	struct dtn_source source;
	enum dtn_kind wanted;
	bool check_index;
	struct dtn_writer *others_to;   /* gets frames that nobody here understands, or NULL */

	/* the segment */
	bool open;                      /* between HEAD and END */
	int segments;                   /* begun in this input */
	int kind, minor;
	uint32_t chunk_size, chain;
	uint64_t start;                 /* of HEAD in this input */
	uint64_t records, samples;      /* of this segment, so far */
	uint64_t index_at;              /* of INDX from HEAD, 0: none */
	struct dtn_meta meta;
	struct dtn_prov prov;
	struct dtn_index index;         /* kept where it is to be checked */
	struct dtn_names names;

	/* the record; its tensors before `tensor` are done */
	int64_t place;                  /* its number, for messages; -1: outside */
	bool in_record;
	struct dtn_record record;
	int tensor;
	uint32_t chunk;                 /* the next of this tensor */
	uint64_t left;                  /* bytes of this tensor in that and later chunks */
	uint8_t *own;                   /* dtn_read_tensor's buffer */
	size_t own_size;
	void *context;                  /* ZSTD_DCtx */
	uint8_t *scratch;
	uint32_t scratch_size;
};

struct dtn_frame {
	uint32_t tag, flags;
	size_t length;                  /* L */
	size_t n;                       /* bytes of the body */
};

/* Look at the next frame's header; the input must go on. */
struct dtn_frame dtn_frame_peek(struct dtn_reader *);

/* Read that frame whole, check its checksum and move behind it; the body is valid until the next
 * call. */
const uint8_t *dtn_frame_read(struct dtn_reader *, struct dtn_frame *, size_t least, size_t most);

/* Its tag as text, valid until the next call; is it one of version 1.0? */
const char *dtn_tag_text(uint32_t tag);
bool dtn_tag_known(uint32_t tag);

/* What ends the program: a frame out of place, FAIL, the input's end within `frame` or (NULL) where
 * one should begin. */
_Noreturn void dtn_frame_unexpected(struct dtn_reader *, const struct dtn_frame *);
_Noreturn void dtn_frame_fail(struct dtn_reader *, struct dtn_frame *);         /* at FAIL */
_Noreturn void dtn_reader_truncated(struct dtn_reader *, const struct dtn_frame *);

/* dtn_reader_die without the record, for messages that name it in their own way. */
#define DIE_OUTSIDE(r, ...) do { (r)->place = -1; dtn_reader_die(r, __VA_ARGS__); } while (0)

/* Chunks: begin a record, skip what is left of it. */
void dtn_chunks_begin(struct dtn_reader *);
void dtn_chunks_skip(struct dtn_reader *);

#endif
