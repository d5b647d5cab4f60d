/* harness.h -- what a fuzz target is: something that reads bytes nobody vouches for.
 *
 * What is read may die with status 3; the harness returns then from the middle of it, so whatever
 * must be freed lies in a static variable that target_clean knows.
 */
#ifndef FUZZ_HARNESS_H
#define FUZZ_HARNESS_H

#include "lib/base.h"

/* Of each target: read n bytes, which are at `data` and in the file that descriptor 0 is; then free
 * what is left. */
void target_read(const uint8_t *data, size_t n);
void target_clean(void);

/* The name of that file. */
extern char fuzz_path[];

/* End the program where this is not so. */
void fuzz_must(bool good, const char *what);

#endif
