/* said.c -- what a picture says about itself: how the samples in it were made. */
#include "lib/image/said.h"

#include <stdlib.h>
#include <string.h>

static char *commands(const struct dtn_prov *prov)
{
	char *text = dtn_strdup("");

	for (int i = 0; i < prov->n; i++) {
		char *more = dtn_format("%s%s%s", text, i ? "\n" : "", prov->line[i].command);
		free(text);
		text = more;
	}
	return text;
}

void dtn_said_make(struct dtn_said *s, const struct dtn_meta *meta, const struct dtn_prov *prov)
{
	s->text = dtn_alloc((size_t)meta->n + 2, sizeof(*s->text));
	s->commands = commands(prov);
	s->n = 0;
	s->text[s->n++] = (struct dtn_png_text){ "Software", "dtn " DTN_VERSION };
	s->text[s->n++] = (struct dtn_png_text){ "dtn.commands", s->commands };
	for (int i = 0; i < meta->n; i++)
		s->text[s->n++] =
			(struct dtn_png_text){ meta->pair[i].key, meta->pair[i].value };
}

void dtn_said_release(struct dtn_said *s)
{
	free(s->text);
	free(s->commands);
	memset(s, 0, sizeof(*s));
}
