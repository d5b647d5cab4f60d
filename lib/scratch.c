/* scratch.c -- room on disk that nobody else sees and nobody has to clean up. */
#include "lib/scratch.h"

#include "lib/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const char *folder(void)
{
	const char *name = getenv("TMPDIR");

	return name && *name ? name : "/tmp";
}

int dtn_scratch_open(void)
{
	int fd = open(folder(), O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	char *name;

	if (fd >= 0)
		return fd;
	/* Not every file system makes files without a name; and this names the folder in the
	 * message. */
	name = dtn_format("%s/dtn.XXXXXX", folder());
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		dtn_die(DTN_ENV, "temporary file in %s:", folder());
	unlink(name);
	free(name);
	return fd;
}

void dtn_scratch_write(int fd, const void *data, size_t bytes)
{
	for (const char *p = data; bytes > 0;) {
		ssize_t n = write(fd, p, bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			dtn_die(DTN_ENV, "temporary file in %s:", folder());
		p += n;
		bytes -= (size_t)n;
	}
}

void dtn_scratch_read(int fd, void *into, size_t bytes, uint64_t at)
{
	for (char *p = into; bytes > 0;) {
		ssize_t n = pread(fd, p, bytes, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			dtn_die(DTN_ENV, "temporary file in %s:", folder());
		p += n;
		at += (uint64_t)n;
		bytes -= (size_t)n;
	}
}
