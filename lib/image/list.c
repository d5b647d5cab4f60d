/* list.c -- which images are there, and of which class is each? */
#include "lib/image/list.h"

#include "lib/output.h"
#include "lib/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void dtn_bad_one(struct dtn_bad *bad, const char *path, const struct dtn_fault *fault)
{
	if (!bad->skip || dtn_fault_of_program(fault))
		dtn_die(fault->status, "%s: %s", path, fault->text);
	if (fault->text[0])
		dtn_warn("%s: %s", path, fault->text);
	bad->count++;
}

void dtn_list_init(struct dtn_list *l, const struct dtn_packed_ask *ask, struct dtn_bad *bad)
{
	memset(l, 0, sizeof(*l));
	l->ask = *ask;
	l->bad = bad;
}

struct dtn_file *dtn_list_append(struct dtn_list *l, const char *path)
{
	size_t length = strlen(path) + 1;
	struct dtn_file *f;

	if (l->text_room - l->text_used < length) {
		l->text_room += l->text_room / 2 + length + 4096;
		l->text = dtn_realloc(l->text, l->text_room, 1);
	}
	if (l->files == l->file_room) {
		l->file_room += l->file_room / 2 + 64;
		l->file = dtn_realloc(l->file, l->file_room, sizeof(*l->file));
	}
	f = &l->file[l->files++];
	*f = (struct dtn_file){ .path = l->text_used, .class = -1, .fd = -1 };
	memcpy(l->text + l->text_used, path, length);
	l->text_used += length;
	return f;
}

const char *dtn_list_path(const struct dtn_list *l, size_t file)
{
	return l->text + l->file[file].path;
}

int dtn_list_open(const struct dtn_list *l, size_t file)
{
	const struct dtn_file *f = &l->file[file];

	return f->fd >= 0 ? f->fd : open(l->text + f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
}

void dtn_list_close(const struct dtn_list *l, size_t file, int fd)
{
	if (l->file[file].fd < 0)
		close(fd);
}

void dtn_list_recognise(struct dtn_list *l, const char *path, int fd, enum dtn_how how)
{
	struct dtn_fault fault = { 0 };
	struct dtn_packed *packed;
	uint8_t first[16];
	ssize_t n = pread(fd, first, sizeof(first), 0);
	const char *format = n > 0 ? dtn_image_format(first, (size_t)n) : NULL;
	bool named = how != DTN_FOUND;
	bool image = format && (!strcmp(format, "PNG") || !strcmp(format, "JPEG"));

	if (format && !image && strcmp(format, "gzip") != 0 && !named) {
		close(fd);
		return;
	}
	packed = image ? NULL :
		 dtn_packed_open(how == DTN_PIPED ? NULL : path, fd, &l->ask, &fault);
	if (packed) {
		dtn_list_append(l, path)->packed = packed;
	} else if (fault.status == DTN_ENV ||
		   (fault.status == DTN_INPUT && (named || strstr(path, "idx3")))) {
		close(fd);
		dtn_bad_one(l->bad, path, &fault);
	} else if (how == DTN_PIPED) {
		dtn_list_append(l, path)->fd = fd;
	} else {
		/* Thousands may follow, so it is opened again in its turn.  If it is no image after
		 * all, that is told then. */
		close(fd);
		if (image || named)
			dtn_list_append(l, path);
	}
}

/* --- what a user names ----------------------------------------------------------------------- */

enum { BLOCK = 1 << 18 };

/* More than this from a pipe is no set of images, but a mistake that would fill the disk. */
static const uint64_t most_from_pipe = (uint64_t)16 << 30;

/* A pipe can be read only once and in order, so it is copied into a file without a name. */
static int spool(int pipe, const char *name)
{
	char *block = dtn_alloc(BLOCK, 1);
	uint64_t total = 0;
	size_t n;
	int fd = dtn_scratch_open();

	while ((n = dtn_input_read(pipe, name, block, BLOCK)) > 0) {
		if ((total += n) > most_from_pipe)
			dtn_die(DTN_INPUT, "%s: longer than any set of images", name);
		dtn_scratch_write(fd, block, n);
	}
	free(block);
	return fd;
}

static void add_open(struct dtn_list *l, const char *name, int fd, const struct stat *status,
		     enum dtn_how how)
{
	if (S_ISREG(status->st_mode)) {
		dtn_list_recognise(l, name, fd, how);
	} else if (S_ISFIFO(status->st_mode) || S_ISSOCK(status->st_mode)) {
		int copy = spool(fd, name);

		close(fd);
		dtn_list_recognise(l, name, copy, DTN_PIPED);
	} else if (isatty(fd)) {
		dtn_die(DTN_USAGE, "%s is a terminal: name a file or use a pipe", name);
	} else {
		struct dtn_fault fault;
		char byte;
		ssize_t n = read(fd, &byte, 1);

		if (n < 0)
			dtn_fault_system(&fault, errno);
		else
			dtn_fault(&fault, DTN_INPUT,
				  n == 0 ? "empty file" : "a device, wants images");
		close(fd);
		dtn_bad_one(l->bad, name, &fault);
	}
}

static void bad_file(struct dtn_list *l, const char *path)
{
	struct dtn_fault fault;

	dtn_fault_system(&fault, errno);
	dtn_bad_one(l->bad, path, &fault);
}

void dtn_list_add(struct dtn_list *l, const char *path)
{
	struct stat status;
	const char *name;
	int fd;

	if (strcmp(path, "-") == 0) {
		fd = dtn_input_open(path, &name);
		if (fstat(fd, &status) == 0)
			add_open(l, name, fd, &status, DTN_PIPED);
	} else if (stat(path, &status) != 0) {
		bad_file(l, path);
	} else if (S_ISDIR(status.st_mode)) {
		dtn_list_folder(l, path);
	} else {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			bad_file(l, path);
		else
			add_open(l, path, fd, &status, DTN_NAMED);
	}
}

/* The whole of a file that need not be a regular one. */
static char *read_all(int fd, const char *name, size_t *length)
{
	char *text = dtn_alloc(BLOCK, 1);
	size_t n;

	for (*length = 0; (n = dtn_input_read(fd, name, text + *length, BLOCK)) > 0;) {
		*length += n;
		text = dtn_realloc(text, *length + BLOCK, 1);
	}
	return text;
}

/* Zeros end the names where there are any, as `find -print0` writes them; otherwise lines do. */
void dtn_list_add_from(struct dtn_list *l, const char *path)
{
	const char *name;
	int fd = dtn_input_open(path, &name);
	size_t length;
	char *text = read_all(fd, name, &length);
	int end = memchr(text, '\0', length) ? '\0' : '\n';

	close(fd);
	for (size_t at = 0; at < length;) {
		char *stop = memchr(text + at, end, length - at);
		size_t n = stop ? (size_t)(stop - text) - at : length - at;
		char *one = dtn_format("%.*s", (int)n, text + at);

		if (n > 0)
			dtn_list_add(l, one);
		free(one);
		at += n + 1;
	}
	free(text);
}

/* --- numbers --------------------------------------------------------------------------------- */

int dtn_list_class(struct dtn_list *l, const char *name, size_t length)
{
	if (!l->ask.labels)
		return -1;
	if (l->classes == l->class_room) {
		l->class_room += l->class_room / 2 + 16;
		l->class = dtn_realloc(l->class, (size_t)l->class_room, sizeof(*l->class));
	}
	l->class[l->classes] = strndup(name, length);
	if (!l->class[l->classes])
		dtn_die(DTN_ENV, "out of memory");
	return l->classes++;
}

static int find_name(char *const *name, int n, const char *what)
{
	for (int i = 0; i < n; i++)
		if (strcmp(name[i], what) == 0)
			return i;
	return -1;
}

struct named { char *name; int old; };

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* Classes of packed files keep their numbers and come first; then folders' names, sorted. */
static void number_classes(struct dtn_list *l)
{
	struct named *folder = dtn_alloc((size_t)l->classes, sizeof(*folder));
	int *now = dtn_alloc((size_t)l->classes, sizeof(*now)), folders = l->classes, fixed;

	for (int i = 0; i < folders; i++)
		folder[i] = (struct named){ l->class[i], i };
	qsort(folder, (size_t)folders, sizeof(*folder), by_name);
	l->classes = 0;
	for (size_t i = 0; i < l->files; i++) {
		struct dtn_packed *p = l->file[i].packed;
		int n = p ? dtn_packed_classes(p) : 0;

		if (n == 0)
			continue;
		l->file[i].map = dtn_alloc((size_t)n, sizeof(int));
		for (int k = 0; k < n; k++) {
			const char *name = dtn_packed_class(p, k);
			int at = find_name(l->class, l->classes, name);

			l->file[i].map[k] = at >= 0 ? at : dtn_list_class(l, name, strlen(name));
		}
	}
	fixed = l->classes;
	for (int i = 0; i < folders; i++) {
		const char *name = folder[i].name;
		bool again = i > 0 && strcmp(name, folder[i - 1].name) == 0;
		int at = again ? now[folder[i - 1].old] : find_name(l->class, fixed, name);

		now[folder[i].old] = at >= 0 ? at : dtn_list_class(l, name, strlen(name));
	}
	for (size_t i = 0; i < l->files; i++)
		if (l->file[i].class >= 0)
			l->file[i].class = now[l->file[i].class];
	for (int i = 0; i < folders; i++)
		free(folder[i].name);
	free(folder);
	free(now);
}

/* A label for some images and none for others cannot be written, so then there are none. */
static void check_labels(struct dtn_list *l)
{
	size_t without = 0, first = 0;

	for (size_t i = l->files; i-- > 0;)
		if (l->file[i].class < 0 && !l->file[i].map) {
			without++;
			first = i;
		}
	if (without == 0 || without == l->files)
		return;
	dtn_warn("no labels written, because %zu of %zu files have none: %s is the first", without,
		 l->files, dtn_list_path(l, first));
	for (int i = 0; i < l->classes; i++)
		free(l->class[i]);
	l->classes = 0;
}

void dtn_list_finish(struct dtn_list *l)
{
	l->images = 0;
	for (size_t i = 0; i < l->files; i++) {
		l->file[i].first = l->images;
		l->images += l->file[i].packed ? dtn_packed_count(l->file[i].packed) : 1;
	}
	if (l->ask.labels) {
		number_classes(l);
		check_labels(l);
	}
}

size_t dtn_list_find(const struct dtn_list *l, uint64_t i)
{
	size_t low = 0, high = l->files;        /* first[low] <= i < first[high] */

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (l->file[middle].first <= i)
			low = middle;
		else
			high = middle;
	}
	return low;
}

void dtn_list_release(struct dtn_list *l)
{
	for (size_t i = 0; i < l->files; i++) {
		if (l->file[i].packed)
			dtn_packed_close(l->file[i].packed);
		if (l->file[i].fd >= 0)
			close(l->file[i].fd);
		free(l->file[i].map);
	}
	for (int i = 0; i < l->classes; i++)
		free(l->class[i]);
	free(l->class);
	free(l->file);
	free(l->text);
}
