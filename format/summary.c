/* summary.c -- what is in a stream.
 *
 * Records that hold the same tensors become one entry, so the memory grows with the number of
 * different tensors and not with the number of samples.
 */
#include "format/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FIELDS = 65536, MOST_SEARCHED = 1024 };

static bool same_shape(const struct dtn_tensor *a, const struct dtn_tensor *b)
{
	int from = a->batched && b->batched;    /* the batch may differ */

	return a->type == b->type && a->batched == b->batched && a->rank == b->rank &&
	       !memcmp(a->dim + from, b->dim + from,
		       sizeof(a->dim) - (size_t)from * sizeof(a->dim[0]));
}

static bool is(const struct dtn_field *f, const struct dtn_tensor *t)
{
	return f->t.role == t->role && !strcmp(f->t.name, t->name);
}

/* The entry of tensor t, number i of its record; NULL where there is no place for another one.  The
 * names within a model are unique, so in its only segment nothing has to be looked for. */
static struct dtn_field *place(struct dtn_summary *s, const struct dtn_tensor *t, int i)
{
	bool model = s->kind == DTN_MODEL && s->segments == 1;

	if (i < s->n && is(&s->field[i], t))
		return &s->field[i];
	for (int k = 0; k < s->n && !model; k++)
		if (is(&s->field[k], t))
			return &s->field[k];
	if (s->n >= (model ? MOST_FIELDS : MOST_SEARCHED)) {
		s->more++;
		return NULL;
	}
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 64;
		s->field = dtn_realloc(s->field, (size_t)s->cap, sizeof(*s->field));
	}
	memset(&s->field[s->n], 0, sizeof(*s->field));
	s->field[s->n].t = *t;
	return &s->field[s->n++];
}

/* Counters are so short that their value is shown instead of skipped. */
static uint64_t read_counter(struct dtn_field *f, struct dtn_reader *in, int i)
{
	uint8_t bytes[8];
	struct dtn_chunk c;

	if (!dtn_read_chunk(in, i, &c))
		return 0;
	dtn_decode_chunk(dtn_reader_name(in), &f->t, &c, bytes);
	f->counted = true;
	f->count = 0;
	for (int k = 8; k-- > 0;)
		f->count = (int64_t)((uint64_t)f->count << 8 | bytes[k]);
	return c.stored;
}

static void add_record(struct dtn_summary *s, struct dtn_reader *in, const struct dtn_record *r)
{
	s->records++;
	s->samples += r->samples;
	for (int i = 0; i < r->tensors; i++) {
		const struct dtn_tensor *t = &r->tensor[i];
		struct dtn_field *f = place(s, t, i);
		bool counter = f && t->role == DTN_COUNTER && t->type == DTN_I64 && t->bytes == 8;
		uint64_t stored = counter ? read_counter(f, in, i) : dtn_skip_tensor(in, i);
		s->bytes += t->bytes;
		s->stored += stored;
		if (t->role == DTN_PARAM)
			s->parameters += t->bytes / dtn_type_size(t->type);
		if (!f)
			continue;
		f->varies |= !same_shape(&f->t, t);
		f->records++;
		f->rows += t->batched ? t->dim[0] : 0;
		f->bytes += t->bytes;
		f->stored += stored;
	}
}

static bool begins(const char *list, const char *with)
{
	size_t n = strlen(with);

	return !strncmp(list, with, n) && (list[n] == '\0' || list[n] == ',');
}

/* dtn-cat makes each list of classes the beginning of the next one: the longest has them all.
 * Where that is not so, a number means another class in another segment. */
static void add_classes(struct dtn_summary *s, const struct dtn_meta *meta)
{
	const char *known = dtn_meta_get(&s->meta, "labels"), *list = dtn_meta_get(meta, "labels");

	if (!list)
		return;
	if (!known || begins(list, known))
		dtn_meta_set(&s->meta, "labels", "%s", list);
	else if (!begins(known, list))
		s->classes_differ = true;
}

void dtn_summary_add(struct dtn_summary *s, struct dtn_reader *in)
{
	const struct dtn_record *r;

	while (dtn_next_segment(in)) {
		int kind = (int)dtn_reader_kind(in);
		s->kind = s->segments == 0 || s->kind == kind ? kind : -1;
		s->minor = dtn_reader_minor(in);
		if (s->segments++ == 0)
			dtn_meta_copy(&s->meta, dtn_reader_meta(in));
		else
			add_classes(s, dtn_reader_meta(in));
		dtn_prov_merge(&s->prov, dtn_reader_prov(in));
		while ((r = dtn_next_record(in)))
			add_record(s, in, r);
	}
}

void dtn_summary_release(struct dtn_summary *s)
{
	dtn_meta_release(&s->meta);
	dtn_prov_release(&s->prov);
	free(s->field);
	memset(s, 0, sizeof(*s));
}

const char *dtn_summary_kind(const struct dtn_summary *s)
{
	static char other[24];

	if (s->kind == DTN_SAMPLES || s->kind == DTN_MODEL)
		return s->kind == DTN_SAMPLES ? "samples" : "model";
	snprintf(other, sizeof(other), s->kind < 0 ? "mixed" : "kind %d", s->kind);
	return other;
}

const char *dtn_field_type(const struct dtn_field *f)
{
	static char other[8];
	const char *name = dtn_type_name(f->t.type);

	snprintf(other, sizeof(other), "0x%02x", (unsigned)f->t.type & 0xff);
	return strcmp(name, "?") ? name : other;
}

uint64_t dtn_field_extent(const struct dtn_field *f, int d)
{
	return d == 0 && f->t.batched ? f->rows : f->t.dim[d];
}
