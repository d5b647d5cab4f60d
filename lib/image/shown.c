/* shown.c -- what of a record is shown as pictures.
 *
 * A reader gives a record's tensors in their order, an option names them in any: each tensor that
 * is read goes wherever its name is in the list.
 */
#include "lib/image/shown.h"

#include "lib/image/tone.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static char *shape_of(const struct dtn_tensor *t)
{
	char *text = dtn_strdup("[");

	for (int i = 0; i < t->rank; i++) {
		char *more = dtn_format("%s%s%llu", text, i ? "," : "",
					(unsigned long long)t->dim[i]);
		free(text);
		text = more;
	}
	return dtn_format("%s]", text);
}

void dtn_shown_init(struct dtn_shown *s)
{
	memset(s, 0, sizeof(*s));
	s->fields = 1;
	s->tensor = dtn_alloc(1, sizeof(*s->tensor));
}

void dtn_shown_names(struct dtn_shown *s, const struct dtn_args *a)
{
	const char *p = a->value;

	s->fields = 0;
	for (size_t n;; p += n + 1) {
		n = strcspn(p, ",");
		if (n == 0)
			dtn_usage("%s %s: wants names, separated by commas", dtn_args_typed(a),
				  a->value);
		s->name = dtn_realloc(s->name, (size_t)s->fields + 1, sizeof(*s->name));
		s->name[s->fields++] = dtn_format("%.*s", (int)n, p);
		if (!p[n])
			break;
	}
	s->tensor = dtn_realloc(s->tensor, (size_t)s->fields, sizeof(*s->tensor));
}

static int find(const struct dtn_reader *in, const struct dtn_record *r, const char *name)
{
	for (int i = 0; i < r->tensors; i++)
		if (!strcmp(r->tensor[i].name, name))
			return i;
	dtn_reader_die(in, "no tensor \"%s\"", name);
}

/* Results before what they were made of. */
static int best(const struct dtn_reader *in, const struct dtn_record *r)
{
	static const int roles[] = { DTN_SAMPLE, DTN_NOISED, DTN_IMAGE, DTN_NOISE };

	for (size_t k = 0; k < sizeof(roles) / sizeof(roles[0]); k++) {
		int i = dtn_find_tensor(r, roles[k], NULL);
		if (i >= 0)
			return i;
	}
	dtn_reader_die(in, "no tensor that holds images");
}

/* Is it [N,H,W,C] of one or three channels, of a type that we know, and of the size of the
 * others? */
static void check(const struct dtn_reader *in, const struct dtn_tensor *t, struct dtn_grid *g)
{
	if (!t->batched || t->rank != 4 || (t->dim[3] != 1 && t->dim[3] != 3) || t->dim[1] == 0 ||
	    t->dim[2] == 0 || t->dim[1] > INT_MAX || t->dim[2] > INT_MAX)
		dtn_reader_die(in, "cannot make an image from shape %s", shape_of(t));
	if (t->type != DTN_U8 && t->type != DTN_F32)
		dtn_reader_die(in, "tensor %s: dtype %s not supported", t->name,
			       dtn_type_name(t->type));
	if (g->height && (t->dim[1] != g->height || t->dim[2] != g->width ||
			  (int)t->dim[3] != g->channels))
		dtn_reader_die(in, "incompatible field \"%s\": %s, expected [N,%u,%u,%d]", t->name,
			       shape_of(t), g->height, g->width, g->channels);
	g->height = (uint32_t)t->dim[1];
	g->width = (uint32_t)t->dim[2];
	g->channels = (int)t->dim[3];
}

void dtn_shown_choose(struct dtn_shown *s, const struct dtn_reader *in, const struct dtn_record *r,
		      struct dtn_grid *g)
{
	for (int k = 0; k < s->fields; k++) {
		s->tensor[k] = s->name ? find(in, r, s->name[k]) : best(in, r);
		check(in, &r->tensor[s->tensor[k]], g);
	}
	g->together = (uint32_t)s->fields;
}

void dtn_shown_room(struct dtn_shown *s, uint64_t n)
{
	if (n <= s->room)
		return;
	s->room = n > 2 * s->room ? n : 2 * s->room;
	s->pixels = dtn_realloc(s->pixels, s->room, 1);
}

/* N images of a type as bytes, each `stride` after the one before. */
static size_t put(uint8_t *to, uint64_t stride, const char *from, int type, uint64_t n,
		  uint64_t numbers)
{
	size_t strange = 0;

	for (; n > 0; n--, to += stride, from += numbers * dtn_type_size(type))
		if (type == DTN_U8)
			memcpy(to, from, numbers);
		else
			strange += dtn_tone_to_u8(to, (const float *)from, numbers);
	return strange;
}

void dtn_shown_read(struct dtn_shown *s, struct dtn_reader *in, const struct dtn_record *r,
		    const struct dtn_grid *g, uint64_t at)
{
	const uint64_t image = dtn_grid_bytes(g), one = image / g->together;

	for (int i = 0; i < r->tensors; i++) {
		const char *data = NULL;

		for (int k = 0; k < s->fields; k++) {
			if (s->tensor[k] != i)
				continue;
			if (!data)
				data = dtn_read_tensor(in, i, NULL);
			dtn_shown_room(s, at + r->samples * image);
			s->strange += put(s->pixels + at + (uint64_t)k * one, image, data,
					  r->tensor[i].type, r->samples, one);
		}
	}
}
