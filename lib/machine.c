/* machine.c -- how many processors and how much memory this process may use.
 *
 * The kernel says what there is, and files of control groups say how much of it a group may use:
 * version 2 of them has one tree of groups for everything, version 1 one for each controller.  Both
 * may be in use at once, and this process in a group of each tree.
 */
#include "lib/machine.h"

#include "lib/base.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the limit of a group is. */
struct limit {
	const char *controller;         /* "": in the tree of version 2 */
	const char *root;               /* of the tree */
	const char *file[2];            /* with, one after the other, a limit and its unit, or 1 */
};

enum { VERSIONS = 2 };

/* So much of all processors' time together, in a period of so much. */
static const struct limit time_limit[VERSIONS] = {
	{ "", "/sys/fs/cgroup", { "cpu.max" } },
	{ "cpu", "/sys/fs/cgroup/cpu", { "cpu.cfs_quota_us", "cpu.cfs_period_us" } }
};

static const struct limit memory_limit[VERSIONS] = {
	{ "", "/sys/fs/cgroup", { "memory.max" } },
	{ "memory", "/sys/fs/cgroup/memory", { "memory.limit_in_bytes" } }
};

/* What a group permits, if that is less than `most`.  No limit is a file that begins with "max", or
 * -1, which is read as the largest number.  A unit that may be used in part counts as one. */
static uint64_t permitted(const struct limit *l, const char *group, uint64_t most)
{
	unsigned long long n[2] = { 0, 1 }, units;
	int have = 0;

	for (int i = 0; i < 2 && l->file[i]; i++) {
		char *path = dtn_format("%s%s/%s", l->root, group, l->file[i]);
		FILE *f = fopen(path, "re");

		while (f && have < 2 && fscanf(f, "%llu", &n[have]) == 1)
			have++;
		if (f)
			fclose(f);
		free(path);
	}
	if (n[0] == 0 || n[1] == 0)
		return most;
	units = (n[0] - 1) / n[1] + 1;
	return units < most ? units : most;
}

/* A group such as /jobs/7 is bound by the limits of /jobs/7, of /jobs and of the root, which in a
 * container is the container's. */
static uint64_t bound(const struct limit *l, char *group, uint64_t most)
{
	for (char *slash = group; slash; ) {
		most = permitted(l, group, most);
		slash = strrchr(group, '/');
		if (slash)
			*slash = '\0';
	}
	return most;
}

/* Is the word one of a list with commas?  The empty list is that of one empty word. */
static bool has(const char *list, const char *word)
{
	size_t length = strlen(word), n;

	for (;; list += n + 1) {
		n = strcspn(list, ",");
		if (n == length && memcmp(list, word, n) == 0)
			return true;
		if (!list[n])
			return false;
	}
}

/* Each line says which group of a tree this process is in: "0::GROUP" of version 2,
 * "4:cpu,cpuacct:GROUP" of version 1. */
static uint64_t least(const struct limit limit[VERSIONS], uint64_t most)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4096];

	while (f && fgets(line, sizeof(line), f)) {
		char *group = line, *controllers;

		line[strcspn(line, "\n")] = '\0';
		strsep(&group, ":");
		controllers = strsep(&group, ":");
		for (int i = 0; group && i < VERSIONS; i++)
			if (has(controllers, limit[i].controller))
				most = bound(&limit[i], group, most);
	}
	if (f)
		fclose(f);
	return most;
}

/* The kernel refuses a set with room for fewer processors than it was made for. */
static uint64_t scheduled(void)
{
	uint64_t n = 0;

	for (int most = CPU_SETSIZE; n == 0 && most <= 1 << 20; most *= 2) {
		size_t bytes = CPU_ALLOC_SIZE(most);
		cpu_set_t *set = dtn_alloc(bytes, 1);

		if (sched_getaffinity(0, bytes, set) == 0)
			n = (uint64_t)CPU_COUNT_S(bytes, set);
		else if (errno != EINVAL)
			n = 1;
		free(set);
	}
	return n ? n : 1;
}

int dtn_cores(void)
{
	return (int)least(time_limit, scheduled());
}

uint64_t dtn_memory(void)
{
	return least(memory_limit, (uint64_t)sysconf(_SC_PHYS_PAGES) *
				   (uint64_t)sysconf(_SC_PAGESIZE));
}
