/* output.c -- the one place where results leave a program: whole files, or a pipe.
 *
 * The life of a file:  .NAME.XXXXXX (mode 0600)  written, synced  ->  its mode  ->  renamed to
 * NAME, folder synced.  A signal between two of these leaves the old NAME; the handler below
 * removes the temporary file and then lets the signal kill the program, so that the parent sees
 * the cause. kill -9 leaves the temporary file, which no reader mistakes for the result.
 */
#include "lib/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FILES = 8, MOST_LINKS = 40 };

/* Temporary files that exist now: what the signal handler removes. */
static char *volatile unfinished[MOST_FILES];

static void remove_unfinished(int sig)
{
	for (int i = 0; i < MOST_FILES; i++)
		if (unfinished[i])
			unlink(unfinished[i]);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Signals that are ignored stay ignored, and one that the program handles itself stays with it. */
static void catch_signals(void)
{
	static const int deadly[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXCPU, SIGALRM, SIGUSR1, SIGUSR2
	};
	struct sigaction now, ours = { .sa_handler = remove_unfinished };

	sigfillset(&ours.sa_mask);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		if (sigaction(deadly[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
			sigaction(deadly[i], &ours, NULL);
	/* A file beyond the permitted size: let write say so. */
	if (sigaction(SIGXFSZ, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		signal(SIGXFSZ, SIG_IGN);
}

static void remember(char *temporary)
{
	for (int i = 0; i < MOST_FILES; i++)
		if (!unfinished[i]) {
			unfinished[i] = temporary;
			return;
		}
	abort();
}

static void forget(const char *temporary)
{
	for (int i = 0; i < MOST_FILES; i++)
		if (unfinished[i] == temporary)
			unfinished[i] = NULL;
}

static void abandon(struct dtn_output *);

static void abandon_at_death(void *arg, enum dtn_status status, const char *text)
{
	(void)status, (void)text;
	abandon(arg);
}

/* The folder of a path: "a/b" is in "a", "b" in ".", "/b" in "/"; allocated. */
static char *folder(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return dtn_strdup(".");
	return dtn_format("%.*s", slash == path ? 1 : (int)(slash - path), path);
}

/* Where the chain of symbolic links at `path` ends, which need not exist; allocated. */
static char *resolve(const char *path)
{
	char *at = dtn_strdup(path);

	for (int i = 0; i < MOST_LINKS; i++) {
		char link[PATH_MAX];
		char *dir, *next;
		ssize_t n = readlink(at, link, sizeof(link) - 1);
		if (n < 0)
			return at;
		link[n] = '\0';
		dir = folder(at);
		next = link[0] == '/' ? dtn_strdup(link) : dtn_format("%s/%s", dir, link);
		free(dir);
		free(at);
		at = next;
	}
	errno = ELOOP;
	dtn_die(DTN_ENV, "%s:", path);
}

/* The number in /dev/stdout, /dev/fd/N and their like, which mean a descriptor that is open
 * already: renaming a file over what it points to would lose what others write there.  Else -1. */
static int descriptor(const char *path)
{
	static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };
	long fd;
	char *end;

	if (!strcmp(path, "/dev/stdout"))
		return 1;
	if (!strcmp(path, "/dev/stderr"))
		return 2;
	for (int i = 0; i < 2; i++) {
		size_t n = strlen(folders[i]);
		if (strncmp(path, folders[i], n) != 0 || path[n] < '0' || path[n] > '9')
			continue;
		fd = strtol(path + n, &end, 10);
		if (!*end && fd <= INT_MAX)
			return (int)fd;
	}
	return -1;
}

static void refuse_terminal(const struct dtn_output *o, bool force)
{
	if (!force && isatty(o->fd))
		dtn_die(DTN_USAGE, "%s is a terminal: use -o FILE, a pipe or --force", o->name);
}

static void make_temporary(struct dtn_output *o)
{
	char *dir = folder(o->path);

	/* The name may be as long as a name can be already: shorten it. */
	o->temporary = dtn_format("%s/.%.200s.XXXXXX", dir, dtn_base_name(o->path));
	free(dir);
	catch_signals();
	o->fd = mkostemp(o->temporary, O_CLOEXEC);
	if (o->fd < 0) {
		int error = errno;
		free(o->temporary);
		o->temporary = NULL;
		errno = error;
		dtn_die(DTN_ENV, "%s:", o->name);
	}
	remember(o->temporary);
	dtn_at_death(abandon_at_death, o);
}

/* Written in place: what is there and is no regular file. */
static void open_directly(struct dtn_output *o, bool force)
{
	o->fd = open(o->name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (o->fd < 0)
		dtn_die(DTN_ENV, "%s:", o->name);
	refuse_terminal(o, force);
}

void dtn_output_open(struct dtn_output *o, const char *path, bool force)
{
	struct stat st;
	bool there;
	int fd;

	memset(o, 0, sizeof(*o));
	o->fd = 1;
	o->name = "stdout";
	if (!path || !strcmp(path, "-")) {
		refuse_terminal(o, force);
		return;
	}
	o->name = path;
	fd = descriptor(path);
	if (fd >= 0) {
		o->fd = dup(fd);
		if (o->fd < 0)
			dtn_die(DTN_ENV, "%s:", path);
		refuse_terminal(o, force);
		return;
	}
	there = stat(path, &st) == 0;
	if (there && !S_ISREG(st.st_mode)) {
		open_directly(o, force);        /* a folder is refused by open */
		return;
	}
	if (!there && errno == ENAMETOOLONG)    /* the temporary name is shorter */
		dtn_die(DTN_ENV, "%s:", path);
	if (*path == '\0')
		dtn_die(DTN_USAGE, "the output wants a name");
	o->path = resolve(path);
	if (path[strlen(path) - 1] == '/') {
		errno = EISDIR;
		dtn_die(DTN_ENV, "%s:", path);
	}
	if (access(o->path, F_OK) == 0 && access(o->path, W_OK) != 0)
		dtn_die(DTN_ENV, "%s:", path);
	make_temporary(o);
}

static bool is_open(const char *path)
{
	return !path || !strcmp(path, "-") || descriptor(path) >= 0;
}

bool dtn_output_renames(const char *path)
{
	struct stat st;

	return !is_open(path) && (stat(path, &st) != 0 || S_ISREG(st.st_mode));
}

void dtn_output_check(const char *path)
{
	struct dtn_output o;
	struct stat st;

	if (is_open(path))
		return;
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
		/* Opening a pipe would wait for its reader. */
		if (S_ISDIR(st.st_mode))
			errno = EISDIR;
		else if (access(path, W_OK) == 0)
			return;
		dtn_die(DTN_ENV, "%s:", path);
	}
	dtn_output_open(&o, path, true);
	abandon(&o);
}

static bool same_inode(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool dtn_same_file(const char *a, const char *b)
{
	struct stat st;
	char *one, *other;
	bool same;

	if (stat(a, &st) == 0 && !S_ISREG(st.st_mode))
		return false;
	one = folder(a);
	other = folder(b);
	same = same_inode(a, b) ||
	       (!strcmp(dtn_base_name(a), dtn_base_name(b)) && same_inode(one, other));
	free(one);
	free(other);
	return same;
}

bool dtn_output_same(const struct dtn_output *a, const struct dtn_output *b)
{
	return a->path && b->path && dtn_same_file(a->path, b->path);
}

/* Wait until `fd`, which does not block, is ready; false where errno is another trouble. */
static bool wait_for(int fd, short events)
{
	struct pollfd p = { fd, events, 0 };

	if (errno == EINTR)
		return true;
	if (errno != EAGAIN && errno != EWOULDBLOCK)
		return false;
	return poll(&p, 1, -1) >= 0 || errno == EINTR;
}

void dtn_output_gather(struct dtn_output *o, struct iovec *piece, int pieces)
{
	while (pieces > 0) {
		ssize_t n = writev(o->fd, piece, pieces);
		if (n < 0 && wait_for(o->fd, POLLOUT))
			continue;
		if (n < 0)
			dtn_die(DTN_ENV, "%s:", o->name);
		for (; pieces > 0 && (size_t)n >= piece->iov_len; pieces--)
			n -= (ssize_t)piece++->iov_len;
		if (pieces > 0) {
			piece->iov_base = (char *)piece->iov_base + n;
			piece->iov_len -= (size_t)n;
		}
	}
}

void dtn_output_write(struct dtn_output *o, const void *data, size_t bytes)
{
	dtn_output_gather(o, &(struct iovec){ (void *)data, bytes }, 1);
}

size_t dtn_input_read(int fd, const char *name, void *data, size_t bytes)
{
	char *p = data;
	size_t have = 0;

	while (have < bytes) {
		ssize_t n = read(fd, p + have, bytes - have);
		if (n < 0 && wait_for(fd, POLLIN))
			continue;
		if (n < 0)
			dtn_die(DTN_ENV, "%s:", name);
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return have;
}

static ssize_t cookie_write(void *output, const char *data, size_t bytes)
{
	dtn_output_write(output, data, bytes);
	return (ssize_t)bytes;
}

FILE *dtn_output_stream(struct dtn_output *o)
{
	FILE *f = fopencookie(o, "w", (cookie_io_functions_t){ .write = cookie_write });

	if (!f)
		dtn_die(DTN_ENV, "out of memory");
	return f;
}

/* Close, where a network file system may first tell that the disk is full.  Standard output stays
 * open, for what else is printed: a copy is closed. */
static void close_checked(struct dtn_output *o)
{
	int fd = o->fd == 1 ? dup(1) : o->fd;

	o->fd = -1;
	if (fd >= 0 && close(fd) != 0 && errno != EINTR)
		dtn_die(DTN_ENV, "%s:", o->name);
}

/* The new file's mode: that of the file it replaces, else what creat would have given. */
static mode_t mode_for(const char *path)
{
	struct stat st;
	mode_t mask;

	if (stat(path, &st) == 0)
		return st.st_mode & 07777;
	mask = umask(0);
	umask(mask);
	return 0666 & ~mask;
}

static void sync_file(const struct dtn_output *o)
{
	/* Some file systems cannot, and say so. */
	if (fsync(o->fd) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP)
		dtn_die(DTN_ENV, "%s:", o->name);
}

/* The rename is on disk once the folder is.  The result is visible already, so trouble here is not
 * worth failing for. */
static void sync_folder(const char *path)
{
	char *dir = folder(path);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	free(dir);
	if (fd < 0)
		return;
	(void)fsync(fd);
	close(fd);
}

static void finish(struct dtn_output *o)
{
	forget(o->temporary);
	dtn_forget_death(abandon_at_death, o);
	free(o->temporary);
	free(o->path);
	o->temporary = o->path = NULL;
}

void dtn_output_commit(struct dtn_output *o)
{
	if (!o->temporary) {
		close_checked(o);
		return;
	}
	if (!o->hasty)
		sync_file(o);
	if (fchmod(o->fd, mode_for(o->path)) != 0)
		dtn_die(DTN_ENV, "%s:", o->name);
	close_checked(o);
	if (rename(o->temporary, o->path) != 0)
		dtn_die(DTN_ENV, "%s:", o->name);
	if (!o->hasty)
		sync_folder(o->path);
	finish(o);
}

static void abandon(struct dtn_output *o)
{
	if (o->fd > 2)
		close(o->fd);
	o->fd = -1;
	if (!o->temporary)
		return;
	unlink(o->temporary);
	finish(o);
}

/* Programs read standard input once; a second "-" would find it empty. */
static int standard_input(void)
{
	static bool given;

	if (given)
		dtn_die(DTN_USAGE, "standard input given twice");
	given = true;
	return 0;
}

int dtn_input_open(const char *operand, const char **name)
{
	bool standard = !strcmp(operand, "-");
	int fd = standard ? standard_input() : open(operand, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	*name = standard ? "stdin" : operand;
	if (fd < 0 || fstat(fd, &st) != 0)
		dtn_die(DTN_ENV, "%s:", *name);
	if (S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		dtn_die(DTN_ENV, "%s:", *name);
	}
	if (isatty(fd))
		dtn_die(DTN_USAGE, "%s is a terminal: name a file or use a pipe", *name);
	return fd;
}
