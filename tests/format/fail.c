/* fail.c -- a thread dies while another writes: what arrives is whole frames, and FAIL with the
 * reason.
 *
 * The thread dies at another moment in each of many runs; chunks are small enough to be buffered,
 * or large enough to be written from where they lie, through a pipe that holds a part of them.
 */
#include "format/dtn.h"
#include "lib/output.h"
#include "tests/check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 100, LARGE = 3 << 20 };

static long delay;              /* nanoseconds */

static void *die(void *arg)
{
	nanosleep(&(struct timespec){ .tv_nsec = delay }, NULL);
	dtn_die(DTN_ENV, "a thread died");
	return arg;
}

/* Write records until the other thread has died. */
static _Noreturn void write_all(int fd, uint64_t bytes)
{
	struct dtn_output output;
	struct dtn_tensor tensor[2];
	struct dtn_record record = { .tensors = 2, .tensor = tensor };
	uint8_t *data = dtn_alloc(bytes, 1);
	struct dtn_writer *w;
	pthread_t thread;

	dup2(fd, 1);
	close(2);
	dtn_output_open(&output, NULL, false);
	w = dtn_writer_open(&output, 0);
	for (int i = 0; i < 2; i++)
		tensor[i] = dtn_tensor(i ? "b" : "a", DTN_BUFFER, DTN_U8, false, 1, &bytes);
	if (pthread_create(&thread, NULL, die, NULL) != 0)
		abort();
	dtn_write_segment(w, DTN_SAMPLES, NULL, NULL);
	for (;;)
		dtn_write_record(w, &record, (const void *const[]){ data, data });
}

/* Read all of it, which dies with the reason. */
static _Noreturn void read_all(int from, int said)
{
	struct dtn_reader *r;

	dup2(from, 0);
	dup2(said, 2);
	r = dtn_reader_open(0, NULL, DTN_ANY);
	while (dtn_next_segment(r)) {
		const struct dtn_record *record;
		while ((record = dtn_next_record(r)))
			for (int i = 0; i < record->tensors; i++)
				dtn_read_tensor(r, i, NULL);
	}
	exit(0);
}

/* What the reader said; the status of both is that of a failure. */
static bool run(uint64_t bytes, char *said, size_t room)
{
	int stream[2], text[2], status = 0, other = 0;
	pid_t writer, reader;
	ssize_t n;

	if (pipe2(stream, O_CLOEXEC) != 0 || pipe2(text, O_CLOEXEC) != 0)
		return false;
	fflush(stdout);
	writer = fork();
	if (writer == 0)
		write_all(stream[1], bytes);
	close(stream[1]);
	reader = fork();
	if (reader == 0)
		read_all(stream[0], text[1]);
	close(stream[0]);
	close(text[1]);
	n = read(text[0], said, room - 1);
	said[n > 0 ? n : 0] = '\0';
	close(text[0]);
	return waitpid(writer, &status, 0) == writer && waitpid(reader, &other, 0) == reader &&
	       WEXITSTATUS(status) == DTN_ENV && WEXITSTATUS(other) == DTN_INPUT;
}

static void many(const char *name, uint64_t bytes)
{
	char said[1024] = "", first[1024] = "";

	for (int i = 0; i < RUNS && !first[0]; i++) {
		delay = i * 23456L;
		if (!run(bytes, said, sizeof(said)) ||
		    !strstr(said, "upstream failed: fail: a thread died\n"))
			snprintf(first, sizeof(first), "run %d: %s", i, said);
	}
	check(!first[0], name, first);
}

int main(int argc, char **argv)
{
	(void)argc;
	dtn_begin(argv);
	many("small records", 100);
	many("large records", LARGE);
	return failures > 0;
}
