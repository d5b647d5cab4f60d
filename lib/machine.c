/* machine.c -- how many processors and how much memory this process may use. */
#include "lib/machine.h"

#include "lib/base.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int dtn_cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* The number in the file, if it is less than `bytes`; without a limit it says "max". */
static uint64_t least(const char *path, uint64_t bytes)
{
	FILE *f = fopen(path, "re");
	unsigned long long limit;

	if (f && fscanf(f, "%llu", &limit) == 1 && limit < bytes)
		bytes = limit;
	if (f)
		fclose(f);
	return bytes;
}

/* A group such as /jobs/7 is bound by the limits of /jobs/7, of /jobs and of the root, which in a
 * container is the container's. */
static uint64_t bound(const char *root, char *group, const char *file, uint64_t bytes)
{
	for (char *slash = group; slash; ) {
		char *path = dtn_format("%s%s/%s", root, group, file);

		bytes = least(path, bytes);
		free(path);
		slash = strrchr(group, '/');
		if (slash)
			*slash = '\0';
	}
	return bytes;
}

/* Lines are "0::GROUP" of control groups version 2, and "4:memory:GROUP" of version 1. */
uint64_t dtn_memory(void)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4096], *group;

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "0::", 3))
			bytes = bound("/sys/fs/cgroup", line + 3, "memory.max", bytes);
		else if ((group = strstr(line, ":memory:")))
			bytes = bound("/sys/fs/cgroup/memory", group + 8, "memory.limit_in_bytes",
				      bytes);
	}
	if (f)
		fclose(f);
	return bytes;
}
