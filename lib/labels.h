/* labels.h -- names of classes, as a stream's metadata keeps them.
 *
 * The value of `labels` is the names in the order of their numbers, with commas between: class 0 is
 * the first.  Within a name, a comma, a percent sign, a control byte and what is no UTF-8 are %XX.
 */
#ifndef DTN_LABELS_H
#define DTN_LABELS_H

char *dtn_labels_join(char *const *name, int n);        /* the text; allocated */
int dtn_labels_split(const char *text, char ***name);   /* how many; free each and the list */

/* The number of the class with this name; -1: there is none. */
int dtn_labels_find(const char *text, const char *name);

#endif
