/* folder.c -- every image below a folder.
 *
 * Links are followed; a folder that contains itself through one is entered once.  A folder's
 * entries are read to the end before any below it is opened, so depth costs no descriptors.
 */
#include "lib/image/list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* The folders from the one named down to the one at work. */
struct above {
	const struct above *up;
	dev_t device;
	ino_t inode;
};

struct names { char **name; size_t n, room; };

static void keep(struct names *names, char *name)
{
	if (names->n == names->room) {
		names->room += names->room / 2 + 16;
		names->name = dtn_realloc(names->name, names->room, sizeof(*names->name));
	}
	names->name[names->n++] = name;
}

static bool ends(const char *path, const char *end)
{
	size_t n = strlen(path), k = strlen(end);

	return n > k && strcasecmp(path + n - k, end) == 0;
}

/* Of these, those that are neither PNG nor JPEG are refused when they are opened: half a data set
 * that is left out without a word would be worse. */
static bool named_as_image(const char *path)
{
	static const char *const end[] = {
		".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".webp", ".bmp", ".tif", ".tiff",
		".heic", ".heif", ".avif", ".jxl", ".jp2", ".ppm", ".pgm", ".pnm"
	};

	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++)
		if (ends(path, end[i]))
			return true;
	return false;
}

static void bad(struct dtn_list *l, const char *path)
{
	struct dtn_fault fault;

	dtn_fault_system(&fault, errno);
	dtn_bad_one(l->bad, path, &fault);
}

static void add_file(struct dtn_list *l, const char *path)
{
	size_t before = l->files;
	int fd;

	if (named_as_image(path)) {
		dtn_list_append(l, path);
		return;
	}
	if (ends(path, "idx1-ubyte") || ends(path, "idx1-ubyte.gz"))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0)
		dtn_list_recognise(l, path, fd, DTN_FOUND);
	else if (strstr(path, "idx3") || ends(path, ".bin"))
		bad(l, path);
	if (l->files == before)
		dtn_say("%s: no image, passed over", path);
}

static bool contains_itself(const struct above *a, const struct stat *status)
{
	for (; a; a = a->up)
		if (a->device == status->st_dev && a->inode == status->st_ino)
			return true;
	return false;
}

/* S_IFDIR, S_IFREG or something else, where links lead to.  Most entries say what they are, which
 * spares a system call for each. */
static mode_t kind_of(struct dtn_list *l, const char *path, const struct dirent *entry)
{
	struct stat status;

	if (entry->d_type == DT_REG || entry->d_type == DT_DIR)
		return entry->d_type == DT_REG ? S_IFREG : S_IFDIR;
	if (stat(path, &status) == 0)
		return status.st_mode & S_IFMT;
	if (named_as_image(path))
		bad(l, path);
	return 0;
}

/* Add the files of a folder; the folders in it are left in `below`. */
static void look(struct dtn_list *l, DIR *folder, const char *path, struct names *below)
{
	const struct dirent *entry;

	while ((errno = 0, entry = readdir(folder))) {
		char *name;
		mode_t kind;

		if (entry->d_name[0] == '.')
			continue;
		name = dtn_format("%s/%s", path, entry->d_name);
		kind = kind_of(l, name, entry);
		if (kind == S_IFDIR) {
			keep(below, name);
			continue;
		}
		if (kind == S_IFREG)
			add_file(l, name);
		free(name);
	}
	if (errno != 0)
		bad(l, path);
}

static void search(struct dtn_list *l, const char *path, const struct above *up)
{
	struct stat status;
	struct above here = { .up = up };
	struct names below = { 0 };
	DIR *folder = opendir(path);

	if (!folder || fstat(dirfd(folder), &status) != 0) {
		bad(l, path);
	} else if (!contains_itself(up, &status)) {
		here.device = status.st_dev;
		here.inode = status.st_ino;
		look(l, folder, path, &below);
	}
	if (folder)
		closedir(folder);
	for (size_t i = 0; i < below.n; i++) {
		search(l, below.name[i], &here);
		free(below.name[i]);
	}
	free(below.name);
}

static int by_path(const void *a, const void *b, void *text)
{
	return strcmp((char *)text + ((const struct dtn_file *)a)->path,
		      (char *)text + ((const struct dtn_file *)b)->path);
}

/* The class of a file is the folder below the named one in which it lies.  In sorted order, the
 * files of a class follow each other. */
static void classify(struct dtn_list *l, size_t from, size_t root)
{
	const char *last = NULL;
	size_t last_length = 0;
	int class = -1;

	for (size_t i = from; i < l->files; i++) {
		const char *below = l->text + l->file[i].path + root;
		const char *slash = strchr(below, '/');
		size_t length = slash ? (size_t)(slash - below) : 0;

		if (!slash || l->file[i].packed)
			continue;
		if (!last || length != last_length || memcmp(below, last, length) != 0)
			class = dtn_list_class(l, below, length);
		last = below;
		last_length = length;
		l->file[i].class = class;
	}
}

void dtn_list_folder(struct dtn_list *l, const char *path)
{
	size_t from = l->files, length = strlen(path);
	char *root;

	while (length > 1 && path[length - 1] == '/')
		length--;
	root = dtn_format("%.*s", (int)length, path);
	search(l, root, NULL);
	free(root);
	if (l->files == from)
		return;
	qsort_r(l->file + from, l->files - from, sizeof(*l->file), by_path, l->text);
	classify(l, from, length + 1);
}
