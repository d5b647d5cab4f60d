/* data.h -- the images to train on: in memory, and beyond a limit in a file without a name. */
#ifndef DTN_DATA_H
#define DTN_DATA_H

#include "format/dtn.h"

struct dtn_block;                       /* the images of one record */

struct dtn_data {
	int height, width, colours;
	size_t image_bytes;             /* height * width * colours */
	uint64_t images;
	struct dtn_block *block;
	size_t blocks, cap;
	uint64_t memory, max_memory;    /* bytes of images kept, and the limit */
	int spool;                      /* the file, -1 while there is none */
	uint64_t spooled;               /* its bytes */
	size_t largest_raw, largest_stored;     /* of its chunks */
	struct dtn_tensor tensor;       /* describes images to the decoder */
	struct dtn_reader *reader;      /* between open and load */
	const struct dtn_record *first; /* the one that open has found, for load */
	int segment;                    /* number of the one being read, for messages */
	struct dtn_meta meta;           /* of the first segment */
	struct dtn_prov prov;           /* of all segments */
};

/* Open the operands (none: stdin) and read up to the first images, so that their size is known. */
void dtn_data_open(struct dtn_data *, int operands, char *const *operand, uint64_t max_memory,
		   int threads);

/* Read all of it.  `count`, if not NULL, is called after each record with the images so far. */
void dtn_data_load(struct dtn_data *, void (*count)(void *arg, uint64_t images), void *arg);
void dtn_data_release(struct dtn_data *);

/* What one worker needs to fetch images: room for a chunk of the spool. */
struct dtn_fetch {
	char *stored, *raw;
	uint64_t at;                    /* of the chunk in raw in the spool; UINT64_MAX: none */
};

void dtn_fetch_init(struct dtn_fetch *, const struct dtn_data *);
void dtn_fetch_release(struct dtn_fetch *);

/* Image number `image` [H,W,C]: a pointer into the data, or `into` [image_bytes], filled. */
const uint8_t *dtn_fetch_image(struct dtn_fetch *, const struct dtn_data *, uint64_t image,
			       uint8_t *into);

#endif
