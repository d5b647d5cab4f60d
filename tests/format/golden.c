/* golden.c -- a stream that an early version of the writer wrote must stay readable.
 *
 *      golden                  read tests/files/good-written.dtn and compare
 *      golden --write FILE     write it anew; its compressed bytes depend on the version of zstd
 */
#include "format/dtn.h"
#include "lib/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 300 * 300 };

/* What it holds: every type, ranks 0 to 4, an empty tensor, one of more than a chunk. */
static const struct { const char *name; int role, type, rank; uint64_t dim[4]; } tensors[] = {
	{ "image", DTN_IMAGE, DTN_U8, 4, { 3, 5, 7, 3 } },
	{ "label", DTN_LABEL, DTN_I32, 1, { 3 } },
	{ "i64", DTN_COUNTER, DTN_I64, 0, { 0 } },
	{ "f16", DTN_NOISE, DTN_F16, 2, { 3, 100 } },
	{ "bf16", DTN_NOISED, DTN_BF16, 2, { 3, 100 } },
	{ "f32", DTN_SAMPLE, DTN_F32, 3, { 3, 10, 10 } },
	{ "f64", DTN_BUFFER, DTN_F64, 2, { 10, 10 } },
	{ "empty", DTN_NONE, DTN_F32, 2, { 0, 1000000 } },
	{ "large", 200, DTN_U8, 2, { 300, 300 } },
	{ "i8/odd:name-1.x", DTN_NONE, 0x10, 1, { 17 } },
};
enum { TENSORS = sizeof(tensors) / sizeof(tensors[0]) };

static void fill(uint8_t *p, int i, int record, uint64_t n)
{
	for (uint64_t k = 0; k < n; k++)
		p[k] = (uint8_t)(k * k / 7 + k / 300 + (uint64_t)(31 * i + 17 * record));
}

static struct dtn_tensor describe(int i)
{
	return dtn_tensor(tensors[i].name, tensors[i].role, tensors[i].type, tensors[i].dim[0] == 3,
			  tensors[i].rank, tensors[i].dim);
}

static void write_to(const char *path)
{
	static uint8_t data[TENSORS][MOST];
	struct dtn_tensor t[TENSORS];
	const void *from[TENSORS];
	struct dtn_meta meta = { 0 };
	struct dtn_prov prov = { 0 };
	struct dtn_output o;
	struct dtn_writer *w;
	char name[] = "golden", one[] = "a b", two[] = "it's", *argv[] = { name, one, two };

	dtn_output_open(&o, path, false);
	w = dtn_writer_open(&o, 1);
	dtn_writer_chunk_size(w, 1 << 16);
	dtn_meta_set(&meta, "image.layout", "NHWC");
	dtn_meta_set(&meta, "x.text", "line\nand\ttab and \\ and \xe2\x82\xac");
	dtn_prov_add(&prov, 3, argv, NULL, 0, NULL);
	dtn_prov_add(&prov, 3, argv, NULL, 0, NULL);
	dtn_write_segment(w, DTN_SAMPLES, &meta, &prov);
	for (int record = 0; record < 2; record++) {
		struct dtn_record r = { .samples = 3, .tensors = TENSORS, .tensor = t };
		for (int i = 0; i < TENSORS; i++) {
			t[i] = describe(i);
			fill(data[i], i, record, t[i].bytes);
			from[i] = data[i];
		}
		dtn_write_record(w, &r, from);
	}
	dtn_write_end(w);
	dtn_writer_close(w);
	dtn_output_commit(&o);
	dtn_meta_release(&meta);
	dtn_prov_release(&prov);
}

static const char *compare(struct dtn_reader *in)
{
	static uint8_t want[MOST];
	const struct dtn_record *r;
	int record = 0;

	if (!dtn_next_segment(in) || dtn_reader_kind(in) != DTN_SAMPLES)
		return "no samples";
	if (strcmp(dtn_meta_get(dtn_reader_meta(in), "x.text"),
		   "line\nand\ttab and \\ and \xe2\x82\xac"))
		return "other metadata";
	if (dtn_reader_prov(in)->n != 2 || strcmp(dtn_reader_prov(in)->line[1].parents, "1") ||
	    strcmp(dtn_reader_prov(in)->line[1].command, "golden 'a b' 'it'\\''s'"))
		return "other provenance";
	for (; (r = dtn_next_record(in)); record++)
		for (int i = 0; i < r->tensors; i++) {
			struct dtn_tensor t = describe(i);
			if (r->tensors != TENSORS || memcmp(&t, &r->tensor[i], sizeof(t)) != 0)
				return "another description";
			fill(want, i, record, t.bytes);
			if (memcmp(dtn_read_tensor(in, i, NULL), want, t.bytes) != 0)
				return "other data";
		}
	return record == 2 && !dtn_next_segment(in) ? NULL : "another number of records";
}

int main(int argc, char **argv)
{
	static char path[] = "tests/files/good-written.dtn";
	char *const operand[] = { path };
	struct dtn_reader *in;
	const char *why;

	dtn_program = "golden";
	if (argc == 3 && !strcmp(argv[1], "--write"))
		return write_to(argv[2]), 0;
	in = dtn_reader_open(1, operand, DTN_ANY);
	dtn_reader_check_index(in);
	why = compare(in);
	dtn_reader_close(in);
	printf(why ? "not ok %s: %s\n" : "ok %s\n", "a stream of an early version", why);
	return why != NULL;
}
