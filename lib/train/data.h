/* data.h -- the images to train on, and the noise that came with them, if any did. */
#ifndef DTN_DATA_H
#define DTN_DATA_H

#include "lib/diffusion/schedule.h"
#include "lib/train/kept.h"
#include "lib/train/known.h"

struct dtn_block;                       /* the samples of one record */

/* What there is of every sample, [H,W,C] each: the image, and where it came with noise, x_t and
 * eps. */
enum dtn_kept_part { DTN_KEPT_IMAGE, DTN_KEPT_NOISED, DTN_KEPT_NOISE, DTN_KEPT_PARTS };

struct dtn_data {
	int height, width, colours;
	size_t image_bytes;             /* height * width * colours */
	uint64_t images;
	struct dtn_block *block;
	size_t blocks, cap;
	struct dtn_keep keep;           /* where they are */
	struct dtn_tensor tensor[DTN_KEPT_PARTS];    /* describes them to the decoder */
	bool noised;                    /* they came with noise, */
	bool clean;                     /* which is of no interest: set between open and load */
	struct dtn_schedule_config schedule;    /* of this noise */
	int32_t *timestep;              /* of each image, where it came with noise */
	struct dtn_reader *reader;      /* between open and load */
	const struct dtn_record *first; /* the one that open has found, for load */
	int segment;                    /* number of the one being read */
	struct dtn_meta meta;           /* what all segments say */
	struct dtn_prov prov;           /* of all segments */
	struct dtn_known classes;       /* of the images, if wanted */
};

/* Open the operands (none: stdin) and read up to the first images, so that their size is known. */
void dtn_data_open(struct dtn_data *, int operands, char *const *operand, uint64_t max_memory);

/* Between open and load: classes are wanted, these or those that come (dtn_known_want). */
void dtn_data_classes(struct dtn_data *, const char *names);

/* Read all of it.  `count`, if not NULL, is called after each record with the images so far. */
void dtn_data_load(struct dtn_data *, void (*count)(void *arg, uint64_t images), void *arg);
void dtn_data_release(struct dtn_data *);

/* A part of sample number `image`, which must be there: a pointer into the data, or `into`,
 * filled. The image is bytes, x_t and eps are floats. */
const void *dtn_data_part(struct dtn_fetch *, const struct dtn_data *, enum dtn_kept_part,
			  uint64_t image, void *into);

#endif
