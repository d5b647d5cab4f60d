/* labels.h -- names of classes, as a stream's metadata keeps them.
 *
 * The value of `labels` is the names in the order of their numbers, with commas between: class 0 is
 * the first.  Within a name, a comma, a percent sign, a control byte and what is no UTF-8 are %XX.
 */
#ifndef DTN_LABELS_H
#define DTN_LABELS_H

#include <stdint.h>

char *dtn_labels_join(char *const *name, int n);        /* the text; allocated */
int dtn_labels_split(const char *text, char ***name);   /* how many; free each and the list */

/* A list of names that grows; finding one takes the same time however long it is.  All zeros is an
 * empty list. */
struct dtn_labels {
	int n, cap;
	char **name;                    /* [n], in the order of their numbers */
	int *slot;                      /* a hash table of numbers + 1; 0: free */
	int slots;
};

/* The number of this name, of those that are there twice the first; -1: it is not there. */
int dtn_labels_number(const struct dtn_labels *, const char *name);

/* Append `name`, which becomes the list's. */
void dtn_labels_append(struct dtn_labels *, char *name);
void dtn_labels_release(struct dtn_labels *);

/* The numbers of the classes that --class asks for: one name, several as the text has them, or
 * "all", unless a class is called so; NULL: all.  Usage error where the text has no such name.
 * Returns how many; free *number. */
int dtn_labels_choose(const char *wanted, const char *text, int32_t **number);

#endif
