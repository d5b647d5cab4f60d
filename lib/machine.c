/* machine.c -- how many processors and how much memory this process may use. */
#include "lib/machine.h"

#include "lib/base.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a file of a control group permits, if that is less than `most`; without a limit both files
 * begin with "max". */
static uint64_t bytes_of(FILE *f, uint64_t most)
{
	unsigned long long limit;

	return fscanf(f, "%llu", &limit) == 1 && limit < most ? limit : most;
}

/* "QUOTA PERIOD": so much of every processor's time together.  A processor that may be used in part
 * counts as one. */
static uint64_t processors_of(FILE *f, uint64_t most)
{
	unsigned long long quota, period, n;

	if (fscanf(f, "%llu %llu", &quota, &period) != 2 || quota == 0 || period == 0)
		return most;
	n = (quota - 1) / period + 1;
	return n < most ? n : most;
}

/* A group such as /jobs/7 is bound by the limits of /jobs/7, of /jobs and of the root, which in a
 * container is the container's. */
static uint64_t bound(const char *root, char *group, const char *file, uint64_t most,
		      uint64_t (*permitted)(FILE *, uint64_t))
{
	for (char *slash = group; slash; ) {
		char *path = dtn_format("%s%s/%s", root, group, file);
		FILE *f = fopen(path, "re");

		if (f) {
			most = permitted(f, most);
			fclose(f);
		}
		free(path);
		slash = strrchr(group, '/');
		if (slash)
			*slash = '\0';
	}
	return most;
}

/* The next group that this process is in, on a line of its own: "0::GROUP" for control groups of
 * version 2, "4:memory:GROUP" of version 1.  False after the last. */
static bool next_group(FILE *f, char line[4096])
{
	if (!f || !fgets(line, 4096, f))
		return false;
	line[strcspn(line, "\n")] = '\0';
	return true;
}

int dtn_cores(void)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4096];
	cpu_set_t set;
	uint64_t n = 1;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = (uint64_t)CPU_COUNT(&set);
	while (next_group(f, line))
		if (!strncmp(line, "0::", 3))
			n = bound("/sys/fs/cgroup", line + 3, "cpu.max", n, processors_of);
	if (f)
		fclose(f);
	return (int)n;
}

uint64_t dtn_memory(void)
{
	uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[4096], *group;

	while (next_group(f, line)) {
		if (!strncmp(line, "0::", 3))
			bytes = bound("/sys/fs/cgroup", line + 3, "memory.max", bytes, bytes_of);
		else if ((group = strstr(line, ":memory:")))
			bytes = bound("/sys/fs/cgroup/memory", group + 8, "memory.limit_in_bytes",
				      bytes, bytes_of);
	}
	if (f)
		fclose(f);
	return bytes;
}
