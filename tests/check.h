/* check.h -- count and print the cases of a test program: "ok NAME" or "not ok NAME: WHY" */
#ifndef DTN_CHECK_H
#define DTN_CHECK_H

#include <stdbool.h>
#include <stdio.h>

static int failures;

static inline void check(bool good, const char *name, const char *why)
{
	if (good)
		printf("ok %s\n", name);
	else
		printf("not ok %s: %s\n", name, why);
	failures += !good;
}

#endif
