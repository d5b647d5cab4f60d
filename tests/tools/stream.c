/* stream.c -- write a stream of samples for the tests of programs that read one.
 *
 *      stream [-n SAMPLES] [-s HxWxC] [-t u8|f32|i32] [-r ROLE] [-b PER_RECORD] [-m KEY=VALUE]...
 *             [-c COMMAND] [-x NANS] [-k CHUNK_SIZE] [-l] [-w] [-i] > FILE
 *
 * Pixel (y,x,c) of sample i is (7i + 3y + 5x + 11c) mod 256; in f32 the same from 0 .. 255 to
 * [-1,1], and -x makes the first values no numbers.  -l adds labels, -w black u8 images that are a
 * pixel wider, -i makes noise that does not compress.
 */
#include "format/dtn.h"
#include "lib/output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t chunk_size = 1 << 20;
static uint64_t samples = 10, per_record = 4, dim[4] = { 0, 8, 8, 1 };
static int type = DTN_U8, role = DTN_IMAGE;
static long strange;
static bool labels, wide, incompressible;
static struct dtn_meta meta;
static struct dtn_prov prov;

static int type_named(const char *name)
{
	static const int types[] = { DTN_U8, DTN_F32, DTN_I32 };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (!strcmp(dtn_type_name(types[i]), name))
			return types[i];
	dtn_die(DTN_USAGE, "unknown type %s", name);
}

static int role_named(const char *name)
{
	for (int i = 0; i < 16; i++)
		if (!strcmp(dtn_role_name(i), name))
			return i;
	dtn_die(DTN_USAGE, "unknown role %s", name);
}

static void shape(const char *text)
{
	char *end = NULL;

	for (int i = 1; i < 4; i++, text = end + 1)
		dim[i] = strtoull(text, &end, 10);
}

static void pair(char *text)
{
	char *value = strchr(text, '=');

	if (!value)
		dtn_die(DTN_USAGE, "-m wants KEY=VALUE");
	*value++ = '\0';
	dtn_meta_set(&meta, text, "%s", value);
}

static void command(char *text)
{
	char *blank = strchr(text, ' ');
	char *argv[] = { text, blank ? blank + 1 : NULL, NULL };

	dtn_prov_add(&prov, blank ? 2 : 1, argv, NULL, 0, NULL);
}

static void parse(int argc, char **argv)
{
	for (int c; (c = getopt(argc, argv, "n:s:t:r:b:m:c:x:k:lwi")) != -1;)
		switch (c) {
		case 'n': samples = strtoull(optarg, NULL, 10); break;
		case 's': shape(optarg); break;
		case 't': type = type_named(optarg); break;
		case 'r': role = role_named(optarg); break;
		case 'b': per_record = strtoull(optarg, NULL, 10); break;
		case 'm': pair(optarg); break;
		case 'c': command(optarg); break;
		case 'x': strange = atol(optarg); break;
		case 'k': chunk_size = (uint32_t)atol(optarg); break;
		case 'l': labels = true; break;
		case 'w': wide = true; break;
		case 'i': incompressible = true; break;
		default: exit(2);
		}
}

static int pixel(uint64_t i, uint64_t y, uint64_t x, uint64_t c)
{
	static uint32_t state = 1;

	if (incompressible)
		return (int)((state = state * 1664525u + 1013904223u) >> 24);
	return (int)((7 * i + 3 * y + 5 * x + 11 * c) & 255);
}

static void put(void *data, size_t at, int value)
{
	if (type == DTN_U8)
		((uint8_t *)data)[at] = (uint8_t)value;
	else if (type == DTN_I32)
		((int32_t *)data)[at] = value;
	else
		((float *)data)[at] = strange-- > 0 ? NAN : (float)value / 127.5f - 1;
}

static void fill(void *data, uint64_t first, uint64_t n)
{
	size_t at = 0;

	for (uint64_t i = first; i < first + n; i++)
		for (uint64_t y = 0; y < dim[1]; y++)
			for (uint64_t x = 0; x < dim[2]; x++)
				for (uint64_t c = 0; c < dim[3]; c++)
					put(data, at++, pixel(i, y, x, c));
}

static void write_record(struct dtn_writer *w, uint64_t first, uint64_t n)
{
	uint64_t count = n * dim[1] * dim[2] * dim[3];
	void *data = dtn_alloc(count, dtn_type_size(type));
	int32_t *label = dtn_alloc(n, sizeof(*label));
	const uint64_t wider[] = { n, dim[1], dim[2] + 1, dim[3] };
	void *black = dtn_alloc(n * wider[1] * wider[2] * wider[3], 1);
	const void *all[3] = { data };
	struct dtn_tensor tensor[3];
	struct dtn_record r = { .samples = (uint32_t)n, .tensors = 1, .tensor = tensor };

	dim[0] = n;
	fill(data, first, n);
	for (uint64_t i = 0; i < n; i++)
		label[i] = (int32_t)((first + i) % 10);
	tensor[0] = dtn_tensor(dtn_role_name(role), role, type, true, 4, dim);
	if (labels) {
		tensor[r.tensors] = dtn_tensor("label", DTN_LABEL, DTN_I32, true, 1, &n);
		all[r.tensors++] = label;
	}
	if (wide) {
		tensor[r.tensors] = dtn_tensor("wide", DTN_IMAGE, DTN_U8, true, 4, wider);
		all[r.tensors++] = black;
	}
	dtn_write_record(w, &r, all);
	free(data);
	free(black);
	free(label);
}

int main(int argc, char **argv)
{
	struct dtn_output out;
	struct dtn_writer *w;

	dtn_begin(argv);
	dtn_meta_set(&meta, "image.layout", "NHWC");
	parse(argc, argv);
	dtn_output_open(&out, NULL, false);
	w = dtn_writer_open(&out, 1);
	dtn_writer_chunk_size(w, chunk_size);
	dtn_write_segment(w, DTN_SAMPLES, &meta, &prov);
	for (uint64_t i = 0; i < samples; i += per_record)
		write_record(w, i, samples - i < per_record ? samples - i : per_record);
	dtn_write_end(w);
	dtn_writer_close(w);
	dtn_output_commit(&out);
	return 0;
}
