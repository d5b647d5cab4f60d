/* die.c -- two threads that die at once: one message, and every clean-up made to its end. */
#include "lib/base.h"
#include "tests/check.h"

#include <pthread.h>
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

int main(void)
{
	char said[100] = "";
	size_t n = 0;
	ssize_t got;
	int end[2], status = 0;
	pid_t child;

	if (pipe(end) != 0)
		return 1;
	child = fork();
	if (child == 0) {
		dup2(end[1], 2);
		both();
	}
	close(end[1]);
	while (n < sizeof(said) - 1 && (got = read(end[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	waitpid(child, &status, 0);
	check(WIFEXITED(status) && WEXITSTATUS(status) == DTN_ENV, "status", "another");
	check(strcmp(said, "dtn: x\n21") == 0, "two threads that die", "not one message, then all");
	return failures != 0;
}
