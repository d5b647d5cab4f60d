/* packed.c -- files that hold many images of one size: MNIST's IDX, also as .gz, and CIFAR-10 binary.
 *
 * A compressed file can only be read from its beginning to its end: whoever asks for images out of turn
 * waits until those before were asked for.  Where any order is wanted, it is unpacked first, into a
 * temporary file without a name.
 */
#include "lib/image/packed.h"

#include "lib/scratch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

enum { CIFAR_SIDE = 32, CIFAR_PLANE = 1024, CIFAR_IMAGE = 3 * CIFAR_PLANE, CIFAR_RECORD = 1 + CIFAR_IMAGE,
       CIFAR_CLASSES = 10, IDX_HEADER = 16, MOST_CLASSES = 256 };

struct dtn_packed {
	int fd;
	gzFile gz;                      /* NULL: read from fd */
	bool cifar;
	struct dtn_seen seen;
	uint32_t count;
	size_t header, record;          /* bytes before the first and of each image */
	bool labelled;
	uint8_t *label;                 /* [count], of IDX */
	int classes;
	char *class[MOST_CLASSES];
	/* of gz: whose turn is it? */
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint32_t next;
	bool broken;
};

static uint32_t big(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* How many of the n bytes could be read; errno tells an error from the end (0). */
static size_t read_at(int fd, void *to, size_t n, uint64_t offset)
{
	size_t done = 0;

	errno = 0;
	while (done < n) {
		ssize_t got = pread(fd, (uint8_t *)to + done, n - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

static size_t read_gz(gzFile gz, void *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t want = n - done < 1 << 20 ? n - done : 1 << 20;
		int got = gzread(gz, (uint8_t *)to + done, (unsigned)want);

		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

static bool gz_fault(gzFile gz, struct dtn_fault *fault)
{
	int code;
	const char *text = gzerror(gz, &code);

	if (code == Z_ERRNO)
		return dtn_fault(fault, DTN_ENV, "%s", strerror(errno));
	if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR)
		return dtn_fault(fault, DTN_INPUT, "truncated");
	return dtn_fault(fault, DTN_INPUT, "corrupt gzip data (%s)", text);
}

/* Nothing follows, and the checksum is right. */
static bool at_end(gzFile gz, struct dtn_fault *fault)
{
	uint8_t extra;
	int code;

	if (read_gz(gz, &extra, 1) > 0)
		return dtn_fault(fault, DTN_INPUT, "bytes after the last image");
	gzerror(gz, &code);
	return code == Z_OK || gz_fault(gz, fault);
}

/* --- names and labels ------------------------------------------------------------------------------ */

/* A file named `path` with its last `from` exchanged for `to`, which must follow the last slash. */
static char *beside(const char *path, const char *from, const char *to)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *at = strstr(base, from);

	return at ? dtn_format("%.*s%s%s", (int)(at - path), path, to, at + strlen(from)) : NULL;
}

/* X-images-idx3-ubyte.gz has its labels in X-labels-idx1-ubyte, which may be compressed or not. */
static gzFile open_labels(const char *path, char **name)
{
	char *other = beside(path, "images", "labels"), *base = other ? beside(other, "idx3", "idx1") : NULL;
	gzFile file = NULL;

	if (base) {
		size_t n = strlen(base);

		if (n > 3 && strcmp(base + n - 3, ".gz") == 0)
			base[n - 3] = '\0';
		*name = dtn_format("%s.gz", base);
		file = gzopen(*name, "rb");
		if (!file) {
			free(*name);
			*name = dtn_strdup(base);
			file = gzopen(*name, "rb");
		}
	}
	free(other);
	free(base);
	if (!file && base)
		free(*name);
	return file;
}

static bool read_labels(struct dtn_packed *p, const char *name, gzFile file, struct dtn_fault *fault)
{
	const char *slash = strrchr(name, '/');
	uint8_t head[8];
	int most = -1;

	name = slash ? slash + 1 : name;
	if (read_gz(file, head, sizeof(head)) != sizeof(head) || big(head) != 0x801)
		return dtn_fault(fault, DTN_INPUT, "its labels, %s, are no IDX file of bytes", name);
	if (big(head + 4) != p->count)
		return dtn_fault(fault, DTN_INPUT, "its labels, %s, are for %u images, not %u", name,
				 big(head + 4), p->count);
	p->label = dtn_alloc(p->count, 1);
	if (read_gz(file, p->label, p->count) != p->count || !at_end(file, fault))
		return dtn_fault(fault, DTN_INPUT, "its labels, %s, are truncated or corrupt", name);
	for (uint32_t i = 0; i < p->count; i++)
		if (p->label[i] > most)
			most = p->label[i];
	p->classes = most + 1;
	p->labelled = true;
	return true;
}

static bool idx_labels(struct dtn_packed *p, const char *path, struct dtn_fault *fault)
{
	char *name;
	gzFile file = open_labels(path, &name);
	bool good;

	if (!file)
		return true;
	good = read_labels(p, name, file, fault);
	gzclose_r(file);
	free(name);
	return good;
}

/* The ten names in batches.meta.txt beside the file, one a line, as the data set comes. */
static void cifar_names(struct dtn_packed *p, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *name = dtn_format("%.*sbatches.meta.txt", slash ? (int)(slash + 1 - path) : 0, path);
	FILE *file = fopen(name, "r");
	char line[256];

	for (int i = 0; file && i < CIFAR_CLASSES && fgets(line, sizeof(line), file);) {
		line[strcspn(line, "\r\n")] = '\0';
		if (*line)
			p->class[i++] = dtn_strdup(line);
	}
	if (file)
		fclose(file);
	free(name);
}

/* Classes without a name are called by their numbers. */
static void number_classes(struct dtn_packed *p)
{
	for (int i = 0; i < p->classes; i++)
		if (!p->class[i])
			p->class[i] = dtn_format("%d", i);
}

/* --- opening --------------------------------------------------------------------------------------- */

static bool idx_header(struct dtn_packed *p, const uint8_t head[IDX_HEADER], uint64_t max_pixels,
		       struct dtn_fault *fault)
{
	uint32_t n = big(head + 4), h = big(head + 8), w = big(head + 12);

	if (big(head) == 0x801)
		return dtn_fault(fault, DTN_INPUT, "IDX file of labels, wants images");
	if (big(head) != 0x803)
		return dtn_fault(fault, DTN_INPUT, "IDX file without images (wants unsigned bytes, 3 axes)");
	if (w == 0 || h == 0 || n > INT32_MAX)
		return dtn_fault(fault, DTN_INPUT, "corrupt IDX header: %u images of %ux%u", n, w, h);
	if ((uint64_t)w * h > max_pixels || (uint64_t)w * h > 1 << 30)
		return dtn_fault(fault, DTN_INPUT, "too large: %ux%u pixels, --max-pixels is %llu", w, h,
				 (unsigned long long)max_pixels);
	p->seen = (struct dtn_seen){ (int)w, (int)h, 1 };
	p->count = n;
	p->header = IDX_HEADER;
	p->record = (size_t)w * h;
	return true;
}

/* Deflate makes at most 1032 bytes out of one. */
static bool gz_could_hold(const struct dtn_packed *p, uint64_t size, struct dtn_fault *fault)
{
	if ((uint64_t)p->count * p->record / 1032 <= size)
		return true;
	return dtn_fault(fault, DTN_INPUT, "truncated: too short for %u images", p->count);
}

/* An uncompressed file's length is known before anything is read. */
static bool length_fits(const struct dtn_packed *p, uint64_t size, struct dtn_fault *fault)
{
	uint64_t want = p->header + (uint64_t)p->count * p->record;

	if (size < want)
		return dtn_fault(fault, DTN_INPUT, "truncated: %llu of %u images", p->record ?
				 (unsigned long long)((size - p->header) / p->record) : 0ull, p->count);
	if (size > want)
		return dtn_fault(fault, DTN_INPUT, "%llu bytes after the last image",
				 (unsigned long long)(size - want));
	return true;
}

static void cifar(struct dtn_packed *p, const char *path, uint64_t size, bool labels)
{
	p->cifar = true;
	p->seen = (struct dtn_seen){ CIFAR_SIDE, CIFAR_SIDE, 3 };
	p->record = CIFAR_RECORD;
	p->count = (uint32_t)(size / CIFAR_RECORD);
	p->labelled = labels;
	p->classes = labels ? CIFAR_CLASSES : 0;
	if (labels && path)
		cifar_names(p, path);
}

/* Unpack the rest of gz behind the header into a file without a name, which takes its place. */
static bool unpack(struct dtn_packed *p, struct dtn_fault *fault)
{
	enum { BLOCK = 1 << 18 };
	uint8_t *block = dtn_alloc(BLOCK, 1);
	int fd = dtn_scratch_open();
	uint64_t total = p->header;
	size_t n;
	bool good;

	dtn_scratch_write(fd, block, p->header);
	while ((n = read_gz(p->gz, block, BLOCK)) > 0) {
		dtn_scratch_write(fd, block, n);
		total += n;
	}
	free(block);
	good = at_end(p->gz, fault) && length_fits(p, total, fault);
	close(good ? p->fd : fd);
	if (!good)
		return false;
	p->fd = fd;
	gzclose_r(p->gz);
	p->gz = NULL;
	return true;
}

/* What the first bytes say; false with fault->status DTN_OK: none of ours. */
static bool recognise(struct dtn_packed *p, const char *path, const struct dtn_packed_ask *ask,
		      struct dtn_fault *fault)
{
	uint8_t head[IDX_HEADER] = { 0 };
	size_t n = read_at(p->fd, head, sizeof(head), 0);
	struct stat status;

	if (n < sizeof(head) || fstat(p->fd, &status) != 0)
		return false;
	if (head[0] == 0x1f && head[1] == 0x8b) {
		lseek(p->fd, 0, SEEK_SET);
		p->gz = gzdopen(dup(p->fd), "rb");
		if (!p->gz)
			return dtn_fault(fault, DTN_ENV, "out of memory");
		gzbuffer(p->gz, 128 * 1024);
		if (read_gz(p->gz, head, 4) != 4)
			return gz_fault(p->gz, fault);
		if (big(head) >> 8 != 8)
			return dtn_fault(fault, DTN_INPUT, "gzip file without IDX images in it");
		if (read_gz(p->gz, head + 4, sizeof(head) - 4) != sizeof(head) - 4)
			return gz_fault(p->gz, fault);
	}
	if (big(head) >> 8 == 8) {
		if (!idx_header(p, head, ask->max_pixels, fault))
			return false;
		if (p->gz ? !gz_could_hold(p, (uint64_t)status.st_size, fault)
			  : !length_fits(p, (uint64_t)status.st_size, fault))
			return false;
		return !ask->labels || !path || idx_labels(p, path, fault);
	}
	if (status.st_size % CIFAR_RECORD != 0 || head[0] >= CIFAR_CLASSES ||
	    status.st_size / CIFAR_RECORD > INT32_MAX)
		return false;
	cifar(p, path, (uint64_t)status.st_size, ask->labels);
	return true;
}

struct dtn_packed *dtn_packed_open(const char *path, int fd, const struct dtn_packed_ask *ask,
				   struct dtn_fault *fault)
{
	struct dtn_packed *p = dtn_alloc(1, sizeof(*p));

	fault->status = DTN_OK;
	p->fd = fd;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->moved, NULL);
	if (recognise(p, path, ask, fault) && (!p->gz || !ask->any_order || unpack(p, fault))) {
		number_classes(p);
		return p;
	}
	p->fd = -1;             /* stays the caller's */
	dtn_packed_close(p);
	return NULL;
}

void dtn_packed_close(struct dtn_packed *p)
{
	if (p->gz)
		gzclose_r(p->gz);
	if (p->fd >= 0)
		close(p->fd);
	for (int i = 0; i < MOST_CLASSES; i++)
		free(p->class[i]);
	free(p->label);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->moved);
	free(p);
}

struct dtn_seen dtn_packed_seen(const struct dtn_packed *p)
{
	return p->seen;
}

uint32_t dtn_packed_count(const struct dtn_packed *p)
{
	return p->count;
}

int dtn_packed_classes(const struct dtn_packed *p)
{
	return p->classes;
}

const char *dtn_packed_class(const struct dtn_packed *p, int class)
{
	return p->class[class];
}

/* --- reading --------------------------------------------------------------------------------------- */

/* Bytes of n images in their turn; after the last one, what follows must be the end of the file. */
static size_t in_turn(struct dtn_packed *p, uint32_t first, uint32_t n, uint8_t *to, struct dtn_fault *fault)
{
	size_t done = 0, want = n * p->record;
	bool last = first + n == p->count;

	pthread_mutex_lock(&p->lock);
	while (p->next != first)
		pthread_cond_wait(&p->moved, &p->lock);
	if (p->broken) {
		fault->status = DTN_INPUT;
		fault->text[0] = '\0';
	} else {
		done = read_gz(p->gz, to, want);
		if (done < want)
			gz_fault(p->gz, fault);
	}
	if (last && done == want && !at_end(p->gz, fault))
		done -= p->record;
	p->broken = done < want;
	p->next += n;
	pthread_cond_broadcast(&p->moved);
	pthread_mutex_unlock(&p->lock);
	return done;
}

/* [3,32,32] to [32,32,3] */
static void interleave(uint8_t *to, const uint8_t *planes)
{
	for (int i = 0; i < CIFAR_PLANE; i++) {
		to[3 * i] = planes[i];
		to[3 * i + 1] = planes[CIFAR_PLANE + i];
		to[3 * i + 2] = planes[2 * CIFAR_PLANE + i];
	}
}

/* Records of label and planes, to be taken apart; how many have a label that can be. */
static uint32_t take_apart(const uint8_t *records, uint32_t n, uint8_t *pixels, int *labels,
			   struct dtn_fault *fault)
{
	for (uint32_t i = 0; i < n; i++, records += CIFAR_RECORD, pixels += CIFAR_IMAGE) {
		labels[i] = records[0];
		if (records[0] >= CIFAR_CLASSES) {
			dtn_fault(fault, DTN_INPUT, "corrupt CIFAR-10 data (label %d)", records[0]);
			return i;
		}
		interleave(pixels, records + 1);
	}
	return n;
}

uint32_t dtn_packed_read(struct dtn_packed *p, uint32_t first, uint32_t n, uint8_t *pixels, int *labels,
			 struct dtn_fault *fault)
{
	uint8_t *records = p->cifar ? dtn_alloc(n, CIFAR_RECORD) : pixels;
	size_t want = n * p->record, done;
	uint32_t got;

	fault->status = DTN_OK;
	if (p->gz) {
		done = in_turn(p, first, n, records, fault);
	} else {
		done = read_at(p->fd, records, want, p->header + (uint64_t)first * p->record);
		if (done < want && errno != 0)
			dtn_fault(fault, DTN_ENV, "%s", strerror(errno));
		else if (done < want)
			dtn_fault(fault, DTN_INPUT, "truncated");
	}
	got = (uint32_t)(done / p->record);
	if (p->cifar) {
		got = take_apart(records, got, pixels, labels, fault);
		free(records);
	} else {
		for (uint32_t i = 0; i < got; i++)
			labels[i] = p->label ? p->label[first + i] : 0;
	}
	return got;
}
