/* said.h -- what a picture says about itself: how the samples in it were made. */
#ifndef DTN_SAID_H
#define DTN_SAID_H

#include "format/dtn.h"
#include "lib/image/png_write.h"

struct dtn_said {
	int n;
	struct dtn_png_text *text;      /* [n]; the metadata's are the metadata's own */
	char *commands;
};

/* The program, the commands, one a line, and the metadata, which must outlive it. */
void dtn_said_make(struct dtn_said *, const struct dtn_meta *, const struct dtn_prov *);
void dtn_said_release(struct dtn_said *);

#endif
