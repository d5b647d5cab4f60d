/* packed.c -- files that hold many images of one size: MNIST's IDX, CIFAR-10 binary.
 *
 * A compressed file can only be read from its beginning to its end: whoever asks for images out of
 * turn waits until those before were asked for.  Where any order is wanted, it is unpacked first,
 * into a temporary file without a name.
 */
#include "lib/image/packed.h"

#include "lib/image/beside.h"
#include "lib/image/gzip.h"
#include "lib/scratch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	IDX_HEADER = 16,
	CIFAR_SIDE = 32, CIFAR_PLANE = CIFAR_SIDE * CIFAR_SIDE, CIFAR_IMAGE = 3 * CIFAR_PLANE,
	CIFAR_RECORD = 1 + CIFAR_IMAGE, CIFAR_CLASSES = 10,
	MOST_CLASSES = 256
};

struct dtn_packed {
	int fd;
	gzFile gz;                      /* NULL: read from fd */
	bool cifar;
	struct dtn_seen seen;
	uint32_t count;
	size_t header, record;          /* bytes before the first and of each image */
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

static bool idx_labels(struct dtn_packed *p, const char *path, struct dtn_fault *fault)
{
	p->label = dtn_beside_labels(path, p->count, fault);
	for (uint32_t i = 0; p->label && i < p->count; i++)
		if (p->label[i] >= p->classes)
			p->classes = p->label[i] + 1;
	return fault->status == DTN_OK;
}

/* Classes without a name are called by their numbers. */
static void number_classes(struct dtn_packed *p)
{
	for (int i = 0; i < p->classes; i++)
		if (!p->class[i])
			p->class[i] = dtn_format("%d", i);
}

/* --- opening --------------------------------------------------------------------------------- */

static bool idx_header(struct dtn_packed *p, const uint8_t head[IDX_HEADER], uint64_t max_pixels,
		       struct dtn_fault *fault)
{
	uint32_t n = big(head + 4), h = big(head + 8), w = big(head + 12);

	if (big(head) == 0x801)
		return dtn_fault(fault, DTN_INPUT, "IDX file of labels, wants images");
	if (big(head) != 0x803)
		return dtn_fault(fault, DTN_INPUT, "IDX file without images (wants [N,H,W] bytes)");
	if (w == 0 || h == 0 || n > INT32_MAX)
		return dtn_fault(fault, DTN_INPUT, "corrupt IDX header: %u images of %ux%u", n,
				 w, h);
	if ((uint64_t)w * h > max_pixels || (uint64_t)w * h > 1 << 30)
		return dtn_fault(fault, DTN_INPUT, "too large: %ux%u pixels, --max-pixels is %llu",
				 w, h, (unsigned long long)max_pixels);
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
		return dtn_fault(fault, DTN_INPUT, "truncated: %llu of %u images",
				 (unsigned long long)((size - p->header) / p->record), p->count);
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
	p->classes = labels ? CIFAR_CLASSES : 0;
	if (labels && path)
		dtn_beside_names(path, p->class, CIFAR_CLASSES);
}

/* Unpack the images of gz behind the header into a file without a name, which takes its place.
 * What comes after them could be of any length, and is only looked for. */
static bool unpack(struct dtn_packed *p, struct dtn_fault *fault)
{
	enum { BLOCK = 1 << 18 };
	uint8_t *block = dtn_alloc(BLOCK, 1);
	int fd = dtn_scratch_open();
	uint64_t total = p->header, left = (uint64_t)p->count * p->record;
	size_t n;
	bool good;

	dtn_scratch_write(fd, block, p->header);
	while ((n = dtn_gzip_read(p->gz, block, left < BLOCK ? (size_t)left : BLOCK)) > 0) {
		dtn_scratch_write(fd, block, n);
		total += n;
		left -= n;
	}
	free(block);
	good = dtn_gzip_end(p->gz, fault) && length_fits(p, total, fault);
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

	if (n < sizeof(head) && errno != 0)
		return dtn_fault_system(fault, errno);
	if (n < sizeof(head) || fstat(p->fd, &status) != 0)
		return false;
	if (head[0] == 0x1f && head[1] == 0x8b) {
		lseek(p->fd, 0, SEEK_SET);
		p->gz = gzdopen(dup(p->fd), "rb");
		if (!p->gz)
			return dtn_fault_system(fault, errno);
		gzbuffer(p->gz, 128 * 1024);
		if (dtn_gzip_read(p->gz, head, 4) != 4)
			return dtn_gzip_fault(p->gz, fault);
		if (big(head) >> 8 != 8)
			return dtn_fault(fault, DTN_INPUT, "gzip file without IDX images in it");
		if (dtn_gzip_read(p->gz, head + 4, sizeof(head) - 4) != sizeof(head) - 4)
			return dtn_gzip_fault(p->gz, fault);
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

/* --- reading --------------------------------------------------------------------------------- */

/* Bytes of n images in their turn; after the last one, what follows must be the end of the file. */
static size_t in_turn(struct dtn_packed *p, uint32_t first, uint32_t n, uint8_t *to,
		      struct dtn_fault *fault)
{
	size_t done = 0, want = n * p->record;
	bool last = first + n == p->count;

	pthread_mutex_lock(&p->lock);
	while (p->next < first)
		pthread_cond_wait(&p->moved, &p->lock);
	if (p->broken) {
		fault->status = DTN_INPUT;
		fault->text[0] = '\0';
	} else {
		done = dtn_gzip_read(p->gz, to, want);
		if (done < want)
			dtn_gzip_fault(p->gz, fault);
	}
	if (last && done == want && !dtn_gzip_end(p->gz, fault))
		done -= p->record;
	p->broken = done < want;
	if (p->next < first + n)
		p->next = first + n;
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

uint32_t dtn_packed_read(struct dtn_packed *p, uint32_t first, uint32_t n, uint8_t *pixels,
			 int *labels, struct dtn_fault *fault)
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
			dtn_fault_system(fault, errno);
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
