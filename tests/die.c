/* die.c -- how a program dies: what it says, and two threads at once.
 *
 * Of two threads that die, one message is printed, and every clean-up is made to its end.
 */
#include "lib/base.h"
#include "tests/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void clean(void *arg, enum dtn_status status, const char *text)
{
	(void)status, (void)text;
	usleep(50000);          /* for the other thread to die meanwhile */
	(void)!write(2, arg, 1);
}

static void *die(void *arg)
{
	dtn_die(DTN_ENV, "%s", (const char *)arg);
}

static _Noreturn void both(void)
{
	static char one[] = "1", two[] = "2", same[] = "x";
	pthread_t thread;

	dtn_at_death(clean, one);
	dtn_at_death(clean, two);
	pthread_create(&thread, NULL, die, same);
	die(same);
	_exit(0);
}

/* The colon is the user's, and no errno is meant. */
static _Noreturn void colon(void)
{
	errno = ENOENT;
	dtn_die(DTN_ENV, "there is no %s", "class:");
}

static _Noreturn void reason(void)
{
	errno = ENOENT;
	dtn_die(DTN_ENV, "%s:", "file");
}

/* What the process said that ran `last` to its end. */
static void expect(const char *what, void (*last)(void), const char *expected)
{
	char said[100] = "";
	size_t n = 0;
	ssize_t got;
	int end[2], status = 0;
	pid_t child;

	if (pipe(end) != 0)
		abort();
	fflush(stdout);
	child = fork();
	if (child == 0) {
		dup2(end[1], 2);
		last();
		_exit(0);
	}
	close(end[1]);
	while (n < sizeof(said) - 1 && (got = read(end[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	close(end[0]);
	waitpid(child, &status, 0);
	check(WIFEXITED(status) && WEXITSTATUS(status) == DTN_ENV, what, "another status");
	check(strcmp(said, expected) == 0, what, said);
}

int main(void)
{
	expect("two threads that die: one message, then all clean-ups", both, "dtn: x\n21");
	expect("a format that ends with a colon gets the reason", reason,
	       "dtn: file: No such file or directory\n");
	expect("an argument that ends with a colon does not", colon, "dtn: there is no class:\n");
	return failures != 0;
}
