/* roundtrip.c -- what the writer writes, the reader reads.
 *
 * Every element type at sizes around those of zstd's blocks and of chunks, at several levels and
 * chunk sizes; in whole, in parts and chunk by chunk; and what a writer leaves behind when it dies.
 */
#include "format/dtn.h"
#include "lib/output.h"
#include "tests/format/forge.h"

#include <unistd.h>

static int failed;
static char path[] = "/tmp/dtn-roundtrip.XXXXXX";
static char *const operand[] = { path, path };

static void report(const char *name, const char *why)
{
	if (why)
		printf("not ok %s: %s\n", name, why);
	else
		printf("ok %s\n", name);
	failed |= why != NULL;
}

static uint8_t *noise(size_t n, unsigned seed)
{
	uint8_t *p = malloc(n + 1);

	srand(seed);
	for (size_t i = 0; i < n; i++)          /* compressible here and there */
		p[i] = i / 1000 % 3 ? (uint8_t)(rand() >> 8) : (uint8_t)i;
	return p;
}

struct setting { int level; uint32_t chunk; const struct dtn_threads *threads; };

static struct dtn_writer *begin(struct dtn_output *o, const struct setting *s)
{
	struct dtn_writer *w;

	dtn_output_open(o, path, false);
	w = dtn_writer_open(o, s->level);
	dtn_writer_chunk_size(w, s->chunk);
	if (s->threads)
		dtn_writer_share(w, s->threads);
	return w;
}

static void end(struct dtn_writer *w, struct dtn_output *o)
{
	dtn_write_end(w);
	dtn_writer_close(w);
	dtn_output_commit(o);
}

/* --- types and sizes ---------------------------------------------------------------------- */

static const int types[] = {
	DTN_U8, DTN_I32, DTN_I64, DTN_F16, DTN_F32, DTN_F64, DTN_BF16, 0x10, 0x01, 0x40, 0x73
};
enum { TYPES = sizeof(types) / sizeof(types[0]), SIZES = 11 };

static uint64_t size_of(int k, int type, uint32_t chunk)
{
	uint64_t whole = chunk / dtn_type_size(type);
	const uint64_t sizes[SIZES] = {
		0, 1, 2, 255, 65535, 65536, 65537, whole - 1, whole, whole + 1, 3 * whole + 7
	};

	return sizes[k];
}

static void write_types(const struct setting *s, const uint8_t *data)
{
	struct dtn_output o;
	struct dtn_writer *w = begin(&o, s);
	struct dtn_tensor t[TYPES];
	const void *from[TYPES];

	dtn_write_segment(w, DTN_SAMPLES, NULL, NULL);
	for (int k = 0; k < SIZES; k++) {
		struct dtn_record r = { .tensors = TYPES, .tensor = t };
		for (int i = 0; i < TYPES; i++) {
			char name[16];
			snprintf(name, sizeof(name), "t%d", i);
			t[i] = dtn_tensor(name, DTN_NONE, types[i], false, 1,
					  (uint64_t[]){ size_of(k, types[i], s->chunk) });
			from[i] = data + i;
		}
		dtn_write_record(w, &r, from);
	}
	end(w, &o);
}

/* how: 0 whole, 1 in parts, 2 into the caller's memory, 3 every other tensor */
static const char *read_types(const struct setting *s, const uint8_t *data, int how)
{
	struct dtn_reader *in = dtn_reader_open(1, operand, DTN_SAMPLES);
	const struct dtn_record *r;
	int k = 0;

	dtn_reader_check_index(in);
	if (!dtn_next_segment(in))
		return "no segment";
	for (; (r = dtn_next_record(in)); k++)
		for (int i = 0; i < r->tensors; i++) {
			const struct dtn_tensor *t = &r->tensor[i];
			const uint8_t *got;
			uint8_t *own = NULL;
			size_t n, at = 0;
			if (r->tensors != TYPES || t->type != types[i] ||
			    t->dim[0] != size_of(k, types[i], s->chunk))
				return "wrong description";
			if (how == 3 && (i + k) % 2)
				continue;
			if (how == 1) {
				for (; (got = dtn_read_part(in, i, &n)); at += n)
					if (memcmp(got, data + i + at, n) != 0)
						return "a part differs";
				if (at != t->bytes)
					return "parts do not add up";
				continue;
			}
			if (how == 2)
				own = malloc(t->bytes + 1);
			got = dtn_read_tensor(in, i, own);
			if ((own && got != own) || memcmp(got, data + i, t->bytes) != 0)
				return "a tensor differs";
			free(own);
		}
	if (k != SIZES || dtn_next_segment(in))
		return "wrong number of records";
	dtn_reader_close(in);
	return NULL;
}

static void test_types(void)
{
	static const struct setting settings[] = {
		{ 1, 1 << 20, NULL }, { 0, 1 << 20, NULL }, { -5, 1 << 16, NULL },
		{ 1, 1 << 16, NULL }, { 3, 1 << 22, NULL }
	};
	uint8_t *data = noise(64 << 20, 1);

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		for (int how = 0; how < 4; how++) {
			const struct setting *s = &settings[i];
			char name[80];
			if (how == 0)
				write_types(s, data);
			snprintf(name, sizeof(name),
				 "every type and size, level %d, chunk %u, way %d", s->level,
				 (unsigned)s->chunk, how);
			report(name, read_types(s, data, how));
		}
	free(data);
}

/* --- the bytes of a file ------------------------------------------------------------------ */

static struct bytes slurp(void)
{
	struct bytes b = { malloc(64 << 20), 0 };
	FILE *f = fopen(path, "r");

	b.n = fread(b.p, 1, 64 << 20, f);
	fclose(f);
	return b;
}

static bool equal(struct bytes a, struct bytes b)
{
	return a.n == b.n && !memcmp(a.p, b.p, a.n);
}

/* --- several threads ---------------------------------------------------------------------- */

/* Three workers, each of which does the last job that is left when its turn comes. */
static void backwards(void *calls, int jobs, void (*job)(void *, int, int), void *arg)
{
	++*(int *)calls;
	for (int i = jobs - 1; i >= 0; i--)
		job(arg, i % 3, i);
}

static void test_threads(void)
{
	int calls = 0;
	const struct dtn_threads threads = { 3, backwards, &calls };
	uint8_t *data = noise(64 << 20, 1);

	for (int level = 0; level <= 1; level++) {
		struct setting s = { level, 1 << 20, NULL };
		struct bytes alone, shared;
		char name[80];

		write_types(&s, data);
		alone = slurp();
		s.threads = &threads;
		calls = 0;
		write_types(&s, data);
		shared = slurp();
		snprintf(name, sizeof(name), "the same bytes from several threads, level %d",
			 level);
		report(name, calls == 0 ? "none was called" :
		       equal(alone, shared) ? NULL : "they differ");
		free(alone.p);
		free(shared.p);
	}
	free(data);
}

/* --- two operands are one stream; kinds; copies of chunks --------------------------------- */

static void write_images(enum dtn_kind kind, int level, int records)
{
	struct setting s = { level, 1 << 18, NULL };
	struct dtn_output o;
	struct dtn_writer *w = begin(&o, &s);
	struct dtn_meta meta = { 0 };
	uint8_t *data = noise(1 << 20, 3);

	dtn_meta_set(&meta, "image.layout", "%s", "NHWC");
	dtn_write_segment(w, kind, &meta, NULL);
	dtn_meta_release(&meta);
	for (int k = 0; k < records; k++) {
		char name[24];
		struct dtn_tensor t[2];
		struct dtn_record r = { .samples = 10, .tensors = 2, .tensor = t };
		snprintf(name, sizeof(name), "image%d", kind == DTN_MODEL ? k : 0);
		t[0] = dtn_tensor(name, DTN_IMAGE, DTN_U8, true, 4,
				  (uint64_t[]){ 10, 100, 100, 3 });
		snprintf(name, sizeof(name), "w%d", kind == DTN_MODEL ? k : 0);
		t[1] = dtn_tensor(name, DTN_NONE, DTN_F32, false, 2, (uint64_t[]){ 100, 1000 });
		dtn_write_record(w, &r, (const void *[]){ data, data + k });
	}
	end(w, &o);
	free(data);
}

static void test_concatenation(void)
{
	struct dtn_reader *in = dtn_reader_open(2, operand, DTN_ANY);
	const struct dtn_record *r;
	int segments = 0, records = 0;
	uint64_t samples = 0;

	write_images(DTN_SAMPLES, 1, 3);
	while (dtn_next_segment(in)) {
		segments++;
		samples = 0;
		while ((r = dtn_next_record(in))) {
			if (r->first != samples)
				report("first sample", "wrong");
			samples += r->samples;
			records++;
		}
	}
	dtn_reader_close(in);
	report("two operands are one stream",
	       segments == 2 && records == 6 && samples == 30 ? NULL : "wrong count");
}

/* Copy the stream in `path` chunk by chunk onto itself. */
static void copy(void)
{
	struct dtn_reader *in = dtn_reader_open(1, operand, DTN_ANY);
	struct dtn_output o;
	struct dtn_writer *w = NULL;
	const struct dtn_record *r;
	struct dtn_chunk c;

	while (dtn_next_segment(in)) {
		struct setting s = { 19, dtn_reader_chunk_size(in), NULL };
		if (!w)
			w = begin(&o, &s);
		dtn_reader_pass_on(in, w);
		dtn_write_segment(w, dtn_reader_kind(in), dtn_reader_meta(in), dtn_reader_prov(in));
		while ((r = dtn_next_record(in))) {
			struct dtn_record same = *r;
			dtn_write_describe(w, &same);
			for (int i = 0; i < r->tensors; i++)
				while (dtn_read_chunk(in, i, &c))
					dtn_write_chunk(w, &c);
		}
	}
	dtn_reader_close(in);
	end(w, &o);
}

static void test_copy(void)
{
	for (int kind = DTN_SAMPLES; kind <= DTN_MODEL; kind++) {
		struct bytes before, after;
		write_images((enum dtn_kind)kind, 1, 3);
		before = slurp();
		copy();
		after = slurp();
		report(kind == DTN_SAMPLES ? "chunks of samples are copied as they are"
					   : "chunks of a model are copied as they are",
		       equal(before, after) ? NULL : "the copy differs");
		free(before.p);
		free(after.p);
	}
}

/* A stream by another hand, with frames that nobody here knows, is copied byte for byte. */
static void test_copy_forged(void)
{
	struct forge f = { 0 };
	struct bytes before, after;
	FILE *file = fopen(path, "w");

	forge_samples(&f);
	forge_frame(&f, forge_find(&f, "RECD", 1), "note", 1, "hello", 5);
	forge_frame(&f, forge_find(&f, "INDX", 0), "more", 1, "", 0);
	before = forge_join(&f);
	if (!file || fwrite(before.p, before.n, 1, file) != 1 || fclose(file) != 0)
		abort();
	copy();
	after = slurp();
	report("unknown frames are passed on where they were",
	       equal(before, after) ? NULL : "the copy differs");
	free(before.p);
	free(after.p);
	forge_free(&f);
}

/* Keep compressed chunks, decode them later, as dtn-train does with data beyond its memory. */
static void test_decode_later(void)
{
	struct dtn_reader *in;
	uint8_t *data = noise(1 << 20, 3), *got = malloc(1 << 20);
	const struct dtn_record *r;
	const char *why = NULL;

	write_images(DTN_SAMPLES, 1, 2);
	in = dtn_reader_open(1, operand, DTN_ANY);
	while (dtn_next_segment(in))
		while ((r = dtn_next_record(in)))
			for (int i = 0; i < r->tensors; i++) {
				struct dtn_chunk c;
				size_t at = 0;
				for (; dtn_read_chunk(in, i, &c); at += c.raw)
					dtn_decode_chunk("x", &r->tensor[i], &c, got + at);
				if (at != r->tensor[i].bytes ||
				    memcmp(got, data + (i ? r->seq : 0), at) != 0)
					why = "the data differ";
			}
	dtn_reader_close(in);
	free(data);
	free(got);
	report("kept chunks are decoded later", why);
}

/* --- ends that are not good --------------------------------------------------------------- */

static void read_all(void *arg)
{
	struct dtn_reader *in = dtn_reader_open(0, NULL, *(const enum dtn_kind *)arg);

	while (dtn_next_segment(in))
		while (dtn_next_record(in))
			;
}

static void expect(const char *name, const struct outcome *o, int status, const char *message)
{
	char why[5000];

	snprintf(why, sizeof(why), "status %d, said \"%s\", wanted \"%s\"", o->status, o->said,
		 message);
	report(name, o->status == status && strstr(o->said, message) ? NULL : why);
}

static void test_kinds(void)
{
	enum dtn_kind want[] = { DTN_MODEL, DTN_SAMPLES };

	for (int i = 0; i < 2; i++) {
		struct bytes b;
		struct outcome o;
		write_images(i ? DTN_MODEL : DTN_SAMPLES, 1, 1);
		b = slurp();
		o = forge_run(b, true, read_all, &want[i]);
		expect(i ? "a model instead of samples" : "samples instead of a model", &o,
		       DTN_INPUT,
		       i ? "expected samples, found a model" : "expected a model, found samples");
		free(b.p);
	}
}

/* Write to standard output, which is a pipe, and die somewhere. */
static void die_at(void *arg)
{
	int moment = *(const int *)arg;
	struct dtn_output o;
	struct dtn_writer *w;
	struct dtn_tensor t =
		dtn_tensor("image", DTN_IMAGE, DTN_U8, true, 2, (uint64_t[]){ 2, 1 << 20 });
	struct dtn_record r = { .samples = 2, .tensors = 1, .tensor = &t };
	uint8_t *data = noise(2 << 20, 4);

	dtn_output_open(&o, NULL, true);
	w = dtn_writer_open(&o, 1);
	if (moment > 0)
		dtn_write_segment(w, DTN_SAMPLES, NULL, NULL);
	if (moment > 1)
		dtn_write_record(w, &r, (const void *[]){ data });
	if (moment > 2)
		dtn_write_describe(w, &r);
	if (moment > 3)
		dtn_write_chunk(w, &(struct dtn_chunk){ 0, 0, 1 << 20, 1 << 20, data });
	if (moment == 5)
		dtn_die(DTN_INPUT, "stdin: upstream failed: dtn-first: disk on fire");
	dtn_die(DTN_INPUT, "x.png: no image");
}

static void test_death(void)
{
	for (int moment = 0; moment <= 5; moment++) {
		struct bytes none = { NULL, 0 }, b;
		enum dtn_kind samples = DTN_SAMPLES;
		int saved = dup(1);
		struct outcome o;
		char name[64];
		fflush(stdout);
		if (!freopen(path, "w", stdout))
			abort();
		o = forge_run(none, false, die_at, &moment);
		dup2(saved, 1);
		close(saved);
		b = slurp();
		snprintf(name, sizeof(name), "death at moment %d is told downstream", moment);
		if (o.status == DTN_INPUT)
			o = forge_run(b, true, read_all, &samples);
		expect(name, &o, DTN_INPUT,
		       moment == 5 ? "stdin: upstream failed: dtn-first: disk on fire\n"
				   : "stdin: upstream failed: roundtrip: x.png: no image\n");
		free(b.p);
	}
}

/* --- an index that was thinned ------------------------------------------------------------ */

static void test_index(void)
{
	struct setting s = { 1, 1 << 20, NULL };
	struct dtn_output o;
	struct dtn_writer *w = begin(&o, &s);
	struct dtn_reader *in;
	struct dtn_tensor t = dtn_tensor("x", DTN_NONE, DTN_U8, true, 1, (uint64_t[]){ 1 });
	struct dtn_record r = { .samples = 1, .tensors = 1, .tensor = &t };
	uint64_t n = 0;
	struct bytes b;

	dtn_write_segment(w, DTN_SAMPLES, NULL, NULL);
	for (int i = 0; i < 140000; i++)
		dtn_write_record(w, &r, (const void *[]){ "x" });
	end(w, &o);
	in = dtn_reader_open(1, operand, DTN_ANY);
	dtn_reader_check_index(in);
	while (dtn_next_segment(in))
		while (dtn_next_record(in))
			n++;
	dtn_reader_close(in);
	b = slurp();
	/* INDX before the 64 bytes of END: 16 + 8 + 16 * entries + 4, and 140000 / 4 entries */
	report("a long stream's index is thinned", n == 140000 &&
	       get(b.p + b.n - 64 - 28 - 16 * 35000 + 20, 4) == 4 ? NULL : "no index of stride 4");
	free(b.p);
}

int main(void)
{
	int fd = mkstemp(path);

	dtn_program = "roundtrip";
	if (fd < 0)
		return 1;
	close(fd);
	test_types();
	test_threads();
	test_concatenation();
	test_copy();
	test_copy_forged();
	test_decode_later();
	test_kinds();
	test_death();
	test_index();
	unlink(path);
	return failed;
}
