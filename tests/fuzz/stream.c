/* stream.c -- fuzz target: a stream, read as programs read it. */
#include "tests/fuzz/harness.h"

#include "format/dtn.h"

#include <stdlib.h>

static struct dtn_reader *in;
static void *decoded;

/* As dtn-cat keeps tensors: the chunks as they are, decoded later. */
static void read_chunks(const struct dtn_tensor *t, int i)
{
	struct dtn_chunk chunk;

	while (dtn_read_chunk(in, i, &chunk)) {
		decoded = dtn_realloc(decoded, chunk.raw, 1);
		dtn_decode_chunk("input", t, &chunk, decoded);
	}
}

static void read_tensor(const struct dtn_record *r, int i)
{
	size_t n;

	switch ((r->seq + (uint64_t)i) % 4) {
	case 0:
		dtn_read_tensor(in, i, NULL);
		break;
	case 1:
		while (dtn_read_part(in, i, &n))
			;
		break;
	case 2:
		read_chunks(&r->tensor[i], i);
	}                               /* else it is skipped */
}

void target_read(const uint8_t *data, size_t n)
{
	const struct dtn_record *r;
	char *operand = fuzz_path;

	(void)data;
	dtn_max_record = 1 << 24;
	in = dtn_reader_open(1, &operand, DTN_ANY);
	if (n % 2 == 0)
		dtn_reader_check_index(in);
	while (dtn_next_segment(in))
		while ((r = dtn_next_record(in)))
			for (int i = 0; i < r->tensors; i++)
				read_tensor(r, i);
}

void target_clean(void)
{
	dtn_reader_close(in);
	free(decoded);
	decoded = NULL;
}
