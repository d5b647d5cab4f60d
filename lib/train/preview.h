/* preview.h -- pictures of what the model makes while it is trained. */
#ifndef DTN_PREVIEW_H
#define DTN_PREVIEW_H

#include "lib/diffusion/sample.h"
#include "lib/image/grid.h"
#include "lib/train/step.h"

struct dtn_preview {
	const struct dtn_trainer *trainer;
	const char *folder;
	struct dtn_sampling_graph graph;
	struct dtn_sampler sampler;
	struct dtn_net net;             /* has the averaged weights */
	struct dtn_grid grid;
	int32_t *label;                 /* of each column, in a network with classes */
	uint8_t *pixels;                /* [images,H,W,C] */
	size_t bytes;                   /* of them there now */
};

/* Make the folder if it is not there; dies with status 1 where that fails, and with 3 where such
 * images cannot be pictures. */
void dtn_preview_check(const char *folder, int colours);

void dtn_preview_init(struct dtn_preview *, const struct dtn_trainer *, const char *folder);
void dtn_preview_release(struct dtn_preview *);

/* Write FOLDER/STEP.png.  The images of all steps begin with the same noise. */
void dtn_preview_make(struct dtn_preview *);

#endif
