/* beside.c -- what lies beside a file of many images: labels and names of classes. */
#include "lib/image/beside.h"

#include "lib/image/gzip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* `path` with the first `from` in its last part exchanged for `to`; NULL: there is none. */
static char *exchange(const char *path, const char *from, const char *to)
{
	const char *at = path ? strstr(dtn_base_name(path), from) : NULL;

	return at ? dtn_format("%.*s%s%s", (int)(at - path), path, to, at + strlen(from)) : NULL;
}

/* NULL where there is no such file, or with a fault where it cannot be opened. */
static gzFile open_one(const char *name, struct dtn_fault *fault)
{
	gzFile file = gzopen(name, "rb");
	int error = errno;

	if (!file && error != ENOENT) {
		dtn_fault(fault, DTN_ENV, "its labels, %s: %s", dtn_base_name(name),
			  strerror(error));
		fault->error = error;
	}
	return file;
}

/* X-images-idx3-ubyte.gz has its labels in X-labels-idx1-ubyte, which may be compressed or not;
 * zlib reads both. */
static gzFile open_labels(const char *path, char **name, struct dtn_fault *fault)
{
	char *labels = exchange(path, "images", "labels");
	char *plain = exchange(labels, "idx3", "idx1");
	gzFile file;

	free(labels);
	if (!plain)
		return NULL;
	if (strlen(plain) > 3 && strcmp(plain + strlen(plain) - 3, ".gz") == 0)
		plain[strlen(plain) - 3] = '\0';
	*name = dtn_format("%s.gz", plain);
	file = open_one(*name, fault);
	if (!file && fault->status == DTN_OK) {
		free(*name);
		*name = plain;
		return open_one(plain, fault);
	}
	free(plain);
	return file;
}

static uint32_t big(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint8_t *read_labels(const char *name, gzFile file, uint32_t count, struct dtn_fault *fault)
{
	uint8_t head[8], *label;

	if (dtn_gzip_read(file, head, sizeof(head)) != sizeof(head) || big(head) != 0x801) {
		dtn_fault(fault, DTN_INPUT, "its labels, %s, are no IDX file of labels", name);
		return NULL;
	}
	if (big(head + 4) != count) {
		dtn_fault(fault, DTN_INPUT, "its labels, %s, are for %u images, not %u", name,
			  big(head + 4), count);
		return NULL;
	}
	label = dtn_alloc(count, 1);
	if (dtn_gzip_read(file, label, count) == count && dtn_gzip_end(file, fault))
		return label;
	dtn_fault(fault, DTN_INPUT, "its labels, %s, are truncated or corrupt", name);
	free(label);
	return NULL;
}

uint8_t *dtn_beside_labels(const char *path, uint32_t count, struct dtn_fault *fault)
{
	char *name = NULL;
	gzFile file = open_labels(path, &name, fault);
	uint8_t *label = file ? read_labels(dtn_base_name(name), file, count, fault) : NULL;

	if (file)
		gzclose_r(file);
	free(name);
	return label;
}

void dtn_beside_names(const char *path, char **name, int n)
{
	char *list = dtn_format("%.*sbatches.meta.txt", (int)(dtn_base_name(path) - path), path);
	FILE *file = fopen(list, "r");
	char line[256];

	for (int i = 0; file && i < n && fgets(line, sizeof(line), file);) {
		line[strcspn(line, "\r\n")] = '\0';
		if (*line)
			name[i++] = dtn_strdup(line);
	}
	if (file)
		fclose(file);
	free(list);
}
