/* known.c -- the classes of the images to train on.
 *
 * A name that a closed list lacks is no error until an image is of that class: a part of a data set
 * names all classes of the whole.
 */
#include "lib/train/known.h"

#include "lib/nn/unet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The number of a name, appended if it is new and the list open; -1: not in it. */
static int place(struct dtn_known *c, const struct dtn_reader *r, const char *name)
{
	int i = dtn_labels_number(&c->list, name);

	if (i >= 0 || c->closed)
		return i;
	if (c->list.n == DTN_MAX_CLASSES)
		dtn_reader_die(r, "more than %d classes", DTN_MAX_CLASSES);
	dtn_labels_append(&c->list, dtn_strdup(name));
	return c->list.n - 1;
}

static void append(struct dtn_known *c, const struct dtn_reader *r, const char *name)
{
	if (c->numbers == c->number_room) {
		c->number_room = c->number_room ? 2 * c->number_room : 16;
		c->number = dtn_realloc(c->number, (size_t)c->number_room, sizeof(*c->number));
	}
	c->number[c->numbers++] = place(c, r, name);
}

void dtn_known_segment(struct dtn_known *c, const struct dtn_reader *r)
{
	const char *text = dtn_meta_get(dtn_reader_meta(r), "labels");
	char **name;
	int n;

	if (!c->wanted)
		return;
	if (text || c->named)           /* without names, the same numbers are the same classes */
		c->numbers = 0;
	c->named = text != NULL;
	n = dtn_labels_split(text, &name);
	for (int i = 0; i < n; i++) {
		append(c, r, name[i]);
		free(name[i]);
	}
	free(name);
}

void dtn_known_want(struct dtn_known *c, const struct dtn_reader *r, const char *names)
{
	char **name;
	int n = dtn_labels_split(names, &name);

	c->wanted = true;
	for (int i = 0; i < n; i++)
		dtn_labels_append(&c->list, name[i]);
	free(name);
	c->closed = names != NULL;
	dtn_known_segment(c, r);
}

/* A class that the segment calls `label`. */
static int32_t number_of(struct dtn_known *c, const struct dtn_reader *r, int32_t label)
{
	char digits[16];

	if (label == DTN_NO_CLASS)
		return label;
	if (label < 0 || (c->named && label >= c->numbers) || label >= DTN_MAX_CLASSES)
		dtn_reader_die(r, "label %d, but there are %d classes", label,
			       c->named ? c->numbers : DTN_MAX_CLASSES);
	while (label >= c->numbers) {
		sprintf(digits, "%d", c->numbers);
		append(c, r, digits);
	}
	if (c->number[label] < 0) {
		char **name;
		const char *text = dtn_meta_get(dtn_reader_meta(r), "labels");

		sprintf(digits, "%d", label);
		dtn_labels_split(text, &name);
		dtn_reader_die(r, "an image of class \"%s\", which the model does not know",
			       c->named ? name[label] : digits);
	}
	return c->number[label];
}

_Noreturn void dtn_known_missing(const struct dtn_reader *r)
{
	dtn_reader_die(r, "images without labels, but training is with classes "
		       "(see dtn-load --labels)");
}

void dtn_known_record(struct dtn_known *c, struct dtn_reader *r, const struct dtn_record *record,
		      int i, uint64_t first)
{
	const struct dtn_tensor *t = &record->tensor[i];
	const int32_t *label;

	if (t->type != DTN_I32 || t->rank != 1 || !t->batched)
		dtn_reader_die(r, "tensor \"%s\": labels are i32 [N]", t->name);
	if (!c->begun)
		c->begun_named = c->named;
	c->begun = true;
	if (c->begun_named != c->named)
		dtn_reader_die(r, c->named ? "classes with names, after classes without names" :
			       "classes without names, after classes with names");
	if (first + record->samples > c->room) {
		c->room = 2 * c->room > first + record->samples ? 2 * c->room :
			  first + record->samples;
		c->label = dtn_realloc(c->label, c->room, sizeof(*c->label));
	}
	label = dtn_read_tensor(r, i, NULL);
	for (uint32_t k = 0; k < record->samples; k++)
		c->label[first + k] = number_of(c, r, label[k]);
}

char *dtn_known_text(const struct dtn_known *c)
{
	return dtn_labels_join(c->list.name, c->list.n);
}

void dtn_known_release(struct dtn_known *c)
{
	dtn_labels_release(&c->list);
	free(c->label);
	free(c->number);
	memset(c, 0, sizeof(*c));
}
