/* pick.c -- which samples of a stream are wanted: of a class, after some, up to a number. */
#include "lib/samples/pick.h"

#include <stdlib.h>
#include <string.h>

void dtn_pick_segment(struct dtn_pick *p, const struct dtn_reader *in)
{
	dtn_fields_segment(&p->fields, in);
	dtn_classes_segment(&p->classes, in);
	p->samples = 0;
}

void dtn_pick_end(const struct dtn_pick *p, const struct dtn_reader *in)
{
	if (p->samples % p->fields.frames != 0)
		dtn_reader_die(in, "%llu samples are no whole trajectories of %llu frames",
			       (unsigned long long)p->samples,
			       (unsigned long long)p->fields.frames);
}

/* Has as much begun as is wanted? */
static bool enough(const struct dtn_pick *p)
{
	return p->passed >= p->skip && p->passed - p->skip >= p->head;
}

bool dtn_pick_done(const struct dtn_pick *p)
{
	return enough(p) && (p->samples == 0 || p->samples % p->fields.frames == 0);
}

void dtn_pick_check(struct dtn_pick *p, const struct dtn_reader *in, const struct dtn_record *r)
{
	dtn_fields_record(&p->fields, in, r);
	if (p->fields.label >= 0)
		dtn_classes_check(&p->classes, in, &r->tensor[p->fields.label]);
}

/* Which samples are of the classes that are asked for? */
static void choose(struct dtn_pick *p, const struct dtn_reader *in, const struct dtn_held *held,
		   const struct dtn_spool *spool)
{
	const struct dtn_part all = { .samples = held->samples };
	const struct dtn_fields *f = &p->fields;
	struct dtn_tensor t;
	void *labels;

	if (f->label < 0)
		dtn_reader_die(in, "no labels to choose classes by");
	t = f->tensor[f->label];
	t.dim[0] = held->samples;
	labels = dtn_held_tensor(held, spool, f, f->label, &all);
	dtn_classes_choose(&p->classes, in, &t, labels, p->keep);
	free(labels);
}

/* Of those, which come after the skipped and before the end?  Returns how many. */
static uint32_t count(struct dtn_pick *p, uint32_t samples)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < samples; i++, p->samples++) {
		if (p->samples % p->fields.frames == 0) {
			p->takes = p->keep[i] && p->passed >= p->skip && !enough(p);
			p->passed += p->keep[i];
		}
		p->keep[i] = p->takes;
		kept += p->takes;
	}
	return kept;
}

struct dtn_part dtn_pick_record(struct dtn_pick *p, const struct dtn_reader *in,
				const struct dtn_record *r, const struct dtn_held *held,
				const struct dtn_spool *spool)
{
	struct dtn_part part = { .classes = &p->classes };

	if (p->room < r->samples) {
		p->room = r->samples;
		p->keep = dtn_realloc(p->keep, p->room, 1);
	}
	memset(p->keep, true, r->samples);
	if (p->classes.wishes > 0)
		choose(p, in, held, spool);
	part.samples = count(p, r->samples);
	part.keep = part.samples < r->samples ? p->keep : NULL;
	return part;
}

void dtn_pick_release(struct dtn_pick *p)
{
	dtn_fields_release(&p->fields);
	dtn_classes_release(&p->classes);
	free(p->keep);
	p->keep = NULL;
	p->room = 0;
}
