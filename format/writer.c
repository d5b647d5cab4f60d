/* writer.c -- segments and records, written so that a reader can notice whatever happens to them.
 *
 * After each record the buffer is written, so that the next program can begin.
 */
#include "format/encode.h"
#include "format/sink.h"

#include <stdlib.h>
#include <string.h>

struct dtn_writer {
	struct dtn_sink sink;
	struct dtn_encoder *codec;
	uint32_t next_chunk_size;

	/* the segment */
	uint64_t records, samples;
	struct dtn_index index;

	/* the record */
	const struct dtn_record *record;        /* the caller's, while it is written */
	int tensor;                     /* the one whose chunks are due */
	uint32_t chunk;
	uint64_t left;                  /* its bytes that were not written yet */
};

/* --- segments ----------------------------------------------------------------------------- */

struct dtn_writer *dtn_writer_open(struct dtn_output *output, int level)
{
	struct dtn_writer *w = dtn_alloc(1, sizeof(*w));

	w->next_chunk_size = DTN_CHUNK_SIZE;
	w->codec = dtn_encoder_open(level);
	dtn_sink_init(&w->sink, output);
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

static void add_text(struct dtn_writer *w, uint32_t tag, char *text, size_t n, size_t most)
{
	if (n > most)
		dtn_die(DTN_INPUT, "%s of %zu bytes: a stream holds %zu",
			tag == DTN_META ? "metadata" : "provenance", n, most);
	if (n > 0) {
		memcpy(dtn_sink_room(&w->sink, n, 0), text, n);
		dtn_sink_frame(&w->sink, tag, 0, n);
	}
	free(text);
}

void dtn_write_segment(struct dtn_writer *w, enum dtn_kind kind, const struct dtn_meta *meta,
		       const struct dtn_prov *prov)
{
	size_t n;
	char *text;

	if (w->sink.open)
		abort();
	w->records = w->samples = 0;
	dtn_index_clear(&w->index);
	dtn_sink_head(&w->sink, kind, w->next_chunk_size);
	if (meta) {
		text = dtn_meta_print(meta, &n);
		add_text(w, DTN_META, text, n, DTN_META_MOST);
	}
	if (prov) {
		text = dtn_prov_print(prov, &n);
		add_text(w, DTN_PROV, text, n, DTN_PROV_MOST);
	}
}

void dtn_write_frame(struct dtn_writer *w, uint32_t tag, uint32_t flags, const void *body, size_t n)
{
	if (!w->sink.open || w->record)
		abort();
	memcpy(dtn_sink_room(&w->sink, n, 0), body, n);
	dtn_sink_frame(&w->sink, tag, flags, n);
}

void dtn_write_end(struct dtn_writer *w)
{
	struct dtn_sink *s = &w->sink;
	uint64_t index_at = dtn_sink_position(s);
	uint8_t *p;

	if (!s->open || w->record)
		abort();
	p = dtn_sink_room(s, 8 + 16 * (size_t)w->index.n, 0);
	dtn_sink_frame(s, DTN_INDX, 0, dtn_index_print(&w->index, p));
	p = dtn_sink_room(s, DTN_END_BODY, 0);
	dtn_put64(p, w->records);
	dtn_put64(p + 8, w->samples);
	dtn_put64(p + 16, dtn_sink_position(s) + DTN_END_BODY + DTN_FRAME_EXTRA);
	dtn_put64(p + 24, index_at);
	dtn_put32(p + 32, s->chain);
	dtn_put32(p + 36, 0);
	dtn_put32(p + 40, DTN_EOT);
	dtn_sink_frame(s, DTN_END, 0, DTN_END_BODY);
}

void dtn_writer_close(struct dtn_writer *w)
{
	if (w->sink.open)
		dtn_die(DTN_ENV, "%s: the stream was left unfinished", w->sink.output->name);
	dtn_sink_release(&w->sink);
	dtn_encoder_close(w->codec);
	dtn_index_clear(&w->index);
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
			dtn_sink_flush(&w->sink);
		}
}

void dtn_write_describe(struct dtn_writer *w, struct dtn_record *r)
{
	size_t n;

	if (!w->sink.open || w->record || r->tensors < 1 || r->tensors > DTN_TENSORS_MOST)
		abort();
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
	dtn_record_print(r, dtn_sink_room(&w->sink, n, 0));
	dtn_index_add(&w->index, w->records, dtn_sink_position(&w->sink), w->samples);
	dtn_sink_frame(&w->sink, DTN_RECD, 0, n);
	w->records++;
	w->samples += r->samples;
	w->record = r;
	w->tensor = -1;
	w->left = 0;
	next_tensor(w);
}

static void add_chunk(struct dtn_writer *w, const struct dtn_chunk *c, const struct iovec *piece,
		      int pieces)
{
	uint8_t *p = dtn_sink_room(&w->sink, DTN_CHNK_BODY, c->stored);

	dtn_put16(p, (uint32_t)w->tensor);
	p[2] = (uint8_t)c->codec;
	p[3] = (uint8_t)c->filter;
	dtn_put32(p + 4, w->chunk++);
	dtn_put32(p + 8, c->raw);
	dtn_put32(p + 12, c->stored);
	dtn_put32(p + 16, 0);
	dtn_sink_chunk(&w->sink, DTN_CHNK_BODY, piece, pieces);
	w->left -= c->raw;
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
		int n = dtn_encode(w->codec, t, from, w->left, w->sink.chunk_size, &k);

		for (int i = 0; i < n; i++) {
			add_chunk(w, &k[i].chunk, k[i].piece, k[i].pieces);
			from += k[i].chunk.raw;
		}
	}
	next_tensor(w);
}

void dtn_write_chunk(struct dtn_writer *w, const struct dtn_chunk *c)
{
	struct iovec whole = { (void *)c->data, c->stored };
	const uint32_t most = w->sink.chunk_size;
	const struct dtn_coded *k;

	if (!w->record || c->raw != (w->left < most ? w->left : most))
		abort();
	if (c->codec == 0) {    /* stored in another way; the filter remains */
		k = dtn_encode_stored(w->codec, c);
		add_chunk(w, &k->chunk, k->piece, k->pieces);
	} else {
		add_chunk(w, c, &whole, 1);
	}
	next_tensor(w);
}

void dtn_write_record(struct dtn_writer *w, struct dtn_record *r, const void *const data[])
{
	dtn_write_describe(w, r);
	for (int i = 0; i < r->tensors; i++)
		if (r->tensor[i].bytes > 0)
			dtn_write_tensor(w, data[i]);
}
