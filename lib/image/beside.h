/* beside.h -- what lies beside a file of many images: labels and names of classes. */
#ifndef DTN_BESIDE_H
#define DTN_BESIDE_H

#include "lib/image/fault.h"

/* The labels [count] of the IDX file `path`, allocated; NULL where there is no file of labels, or
 * with a fault where there is one that is wrong or cannot be read.  The fault's status is DTN_OK
 * before. */
uint8_t *dtn_beside_labels(const char *path, uint32_t count, struct dtn_fault *);

/* The first n names, allocated, in batches.meta.txt beside a CIFAR-10 file; the rest is left as it
 * is. */
void dtn_beside_names(const char *path, char **name, int n);

#endif
