/* fields.c -- what the records of a stream must have in common to be one set of samples.
 *
 * The same tensors in the same order, of one type, and of one shape but for the number of samples:
 * whoever reads the stream wants images of one size, and better hears of it here.
 */
#include "lib/samples/fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const fixed[] = {
	"image.layout", "image.range", "sample.frames", "noise.frames"
};
enum { TRACE = 2, STRIP = 3, FIXED = sizeof(fixed) / sizeof(fixed[0]) };

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static uint64_t frames_of(const struct dtn_reader *in, const char *key, const char *text)
{
	unsigned long long n;
	char *end;

	if (!text)
		return 1;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || n < 1 || n > 1 << 24)
		dtn_reader_die(in, "%s: no number of frames: %s", key, text);
	return n;
}

/* What a segment says under a key, in words; allocated. */
static char *said_text(int i, const char *text)
{
	static const char *const what[] = { [TRACE] = "trajectories", [STRIP] = "strips" };
	static const char *const of[] = { [TRACE] = "frames", [STRIP] = "timesteps" };

	if (i == TRACE || i == STRIP)
		return text ? dtn_format("%s of %s %s", what[i], text, of[i]) :
			      dtn_format("no %s", what[i]);
	return text ? dtn_format("%s %s", fixed[i], text) : dtn_format("no %s", fixed[i]);
}

void dtn_fields_segment(struct dtn_fields *f, const struct dtn_reader *in)
{
	const struct dtn_meta *meta = dtn_reader_meta(in);

	f->segments++;
	for (int i = 0; i < FIXED; i++) {
		const char *text = dtn_meta_get(meta, fixed[i]);

		if (f->segments == 1)
			f->said[i] = text ? dtn_strdup(text) : NULL;
		else if (!same_text(text, f->said[i]))
			dtn_reader_die(in, "%s, expected %s", said_text(i, text),
				       said_text(i, f->said[i]));
	}
	f->frames = f->said[TRACE] ? frames_of(in, fixed[TRACE], f->said[TRACE]) :
		    frames_of(in, fixed[STRIP], f->said[STRIP]);
}

/* "u8 [N,8,8,1]"; allocated. */
static char *shape_text(const struct dtn_tensor *t)
{
	const char *name = dtn_type_name(t->type);
	char *text = strcmp(name, "?") ? dtn_format("%s [", name) :
		     dtn_format("0x%02x [", (unsigned)t->type);

	for (int i = 0; i < t->rank; i++) {
		char *more = i == 0 && t->batched ? dtn_format("%sN", text) :
			     dtn_format("%s%s%llu", text, i ? "," : "",
					(unsigned long long)t->dim[i]);
		free(text);
		text = more;
	}
	return dtn_format("%s]", text);
}

static char *names_text(int n, const struct dtn_tensor *tensor)
{
	char *text = dtn_strdup("");

	for (int i = 0; i < n; i++) {
		char *more = i == 8 ? dtn_format("%s and %d more", text, n - i) :
			     dtn_format("%s%s\"%s\"", text, i ? ", " : "", tensor[i].name);
		free(text);
		text = more;
		if (i == 8)
			break;
	}
	return text;
}

static bool same_field(const struct dtn_tensor *a, const struct dtn_tensor *b)
{
	return a->role == b->role && !strcmp(a->name, b->name);
}

static bool same_shape(const struct dtn_tensor *a, const struct dtn_tensor *b)
{
	if (a->type != b->type || a->rank != b->rank || a->batched != b->batched)
		return false;
	for (int i = a->batched; i < a->rank; i++)
		if (a->dim[i] != b->dim[i])
			return false;
	return true;
}

static void compare(const struct dtn_fields *f, const struct dtn_reader *in,
		    const struct dtn_record *r)
{
	bool same = r->tensors == f->n;

	for (int i = 0; same && i < f->n; i++)
		same = same_field(&r->tensor[i], &f->tensor[i]);
	if (!same)
		dtn_reader_die(in, "fields %s, expected %s", names_text(r->tensors, r->tensor),
			       names_text(f->n, f->tensor));
	for (int i = 0; i < f->n; i++)
		if (!same_shape(&r->tensor[i], &f->tensor[i]))
			dtn_reader_die(in, "incompatible field \"%s\": %s, expected %s",
				       f->tensor[i].name, shape_text(&r->tensor[i]),
				       shape_text(&f->tensor[i]));
}

void dtn_fields_record(struct dtn_fields *f, const struct dtn_reader *in,
		       const struct dtn_record *r)
{
	if (f->n > 0) {
		compare(f, in, r);
		return;
	}
	f->n = r->tensors;
	f->tensor = dtn_alloc((size_t)f->n, sizeof(*f->tensor));
	f->row = dtn_alloc((size_t)f->n, sizeof(*f->row));
	memcpy(f->tensor, r->tensor, (size_t)f->n * sizeof(*f->tensor));
	f->single = -1;
	f->label = dtn_find_tensor(r, DTN_LABEL, NULL);
	for (int i = f->n; i-- > 0;) {
		const struct dtn_tensor *t = &f->tensor[i];

		f->row[i] = t->batched ? t->bytes / r->samples : t->bytes;
		f->row_bytes += f->row[i];
		if (!t->batched)
			f->single = i;
	}
}

void dtn_fields_describe(const struct dtn_fields *f, struct dtn_record *r, uint32_t samples)
{
	r->samples = samples;
	r->tensors = f->n;
	memcpy(r->tensor, f->tensor, (size_t)f->n * sizeof(*r->tensor));
	for (int i = 0; i < f->n; i++)
		if (r->tensor[i].batched) {
			r->tensor[i].dim[0] = samples;
			r->tensor[i].bytes = samples * f->row[i];
		}
}

void dtn_fields_release(struct dtn_fields *f)
{
	for (int i = 0; i < FIXED; i++)
		free(f->said[i]);
	free(f->tensor);
	free(f->row);
	memset(f, 0, sizeof(*f));
}
