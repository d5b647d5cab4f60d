/* replay.c -- stands in for libFuzzer where there is none.
 *
 *      TARGET [-runs=N] FOLDER...
 *
 * Reads every file of the folders, then N inputs made from them by a few changes each; they are the
 * same every time.  libFuzzer, which `make fuzz` links instead, understands the same arguments, and
 * others, which are passed over here.
 */
#include "lib/base.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 1 << 16 };                /* bytes of an input */

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct input { uint8_t *data; size_t n; } *input;
static unsigned inputs;

static void add(const char *folder, const char *name)
{
	char *path = dtn_format("%s/%s", folder, name);
	FILE *file = fopen(path, "r");
	struct input in = { dtn_alloc(MOST, 1), 0 };

	if (!file)
		dtn_die(DTN_ENV, "%s:", path);
	in.n = fread(in.data, 1, MOST, file);
	fclose(file);
	free(path);
	input = dtn_realloc(input, inputs + 1, sizeof(*input));
	input[inputs++] = in;
}

static void add_all(const char *folder)
{
	struct dirent **entry;
	int n = scandir(folder, &entry, NULL, alphasort);

	if (n < 0)
		dtn_die(DTN_ENV, "%s:", folder);
	for (int i = 0; i < n; i++)
		if (entry[i]->d_name[0] != '.')
			add(folder, entry[i]->d_name);
	while (n > 0)
		free(entry[--n]);
	free(entry);
}

/* Numerical Recipes' generator; its high bits. */
static unsigned below(unsigned n)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005 + 1442695040888963407;
	return (unsigned)((state >> 32) % n);
}

/* One change: a bit, a byte, a 32-bit number of the kind that goes wrong, bytes from elsewhere, an
 * early end. */
static void change(struct input *in)
{
	static const uint32_t odd[] = { 0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 1 << 20, 0x7fffffff,
					0x80000000, 0xffffffff };
	const struct input *other = &input[below(inputs)];
	size_t at = below((unsigned)in->n), from, n;

	switch (below(8)) {
	case 0: case 1:
		in->data[at] ^= (uint8_t)(1 << below(8));
		break;
	case 2: case 3:
		in->data[at] = (uint8_t)below(256);
		break;
	case 4: case 5:
		n = in->n - at < 4 ? in->n - at : 4;
		memcpy(in->data + at, &odd[below(sizeof(odd) / sizeof(odd[0]))], n);
		break;
	case 6:
		from = below((unsigned)other->n + 1);
		n = below((unsigned)(other->n - from) + 1);
		n = n < in->n - at ? n : in->n - at;
		memcpy(in->data + at, other->data + from, n);
		break;
	default:
		in->n = at + (below(4) > 0);
	}
}

static void read_changed(void)
{
	struct input in = input[below(inputs)];

	in.data = memcpy(dtn_alloc(in.n, 1), in.data, in.n);
	for (unsigned i = 1 + below(3); i > 0 && in.n > 0; i--)
		change(&in);
	LLVMFuzzerTestOneInput(in.data, in.n);
	free(in.data);
}

int main(int argc, char **argv)
{
	long runs = 0;

	dtn_begin(argv);
	for (int i = 1; i < argc; i++)
		if (argv[i][0] == '-')
			sscanf(argv[i], "-runs=%ld", &runs);
		else
			add_all(argv[i]);
	for (unsigned i = 0; i < inputs; i++)
		LLVMFuzzerTestOneInput(input[i].data, input[i].n);
	while (runs-- > 0)
		read_changed();
	printf("%u inputs read, and others made from them\n", inputs);
	return inputs == 0;
}
