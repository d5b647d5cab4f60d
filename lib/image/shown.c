/* shown.c -- what of a record is shown as pictures. */
#include "lib/image/shown.h"

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

/* What is shown: the tensor that was asked for, else results before what they were made of. */
static int choose(const struct dtn_reader *in, const struct dtn_record *r, const char *field)
{
	static const int roles[] = { DTN_SAMPLE, DTN_NOISED, DTN_IMAGE, DTN_NOISE };

	if (field) {
		for (int i = 0; i < r->tensors; i++)
			if (!strcmp(r->tensor[i].name, field))
				return i;
		dtn_reader_die(in, "no tensor \"%s\"", field);
	}
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

int dtn_shown(const struct dtn_reader *in, const struct dtn_record *r, const char *field,
	      struct dtn_grid *g)
{
	int i = choose(in, r, field);

	check(in, &r->tensor[i], g);
	return i;
}
