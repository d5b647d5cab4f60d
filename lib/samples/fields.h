/* fields.h -- what the records of a stream must have in common to be one set of samples. */
#ifndef DTN_FIELDS_H
#define DTN_FIELDS_H

#include "format/dtn.h"

struct dtn_fields {
	int segments;                   /* seen */
	char *said[4];                  /* metadata that must not differ; NULL: not there */
	uint64_t frames;                /* samples that belong together; 1: none */
	int n;                          /* tensors of a record; 0: no record was seen */
	struct dtn_tensor *tensor;      /* of the first record */
	uint64_t *row;                  /* [n] bytes for each sample; not batched: in all */
	uint64_t row_bytes;             /* of a sample, all together */
	int label;                      /* which are the classes; -1: none */
	int single;                     /* the first that is not batched; -1: none */
};

/* The reader stands at a new segment, or at a new record with samples: die where it cannot belong
 * to what came before. */
void dtn_fields_segment(struct dtn_fields *, const struct dtn_reader *);
void dtn_fields_record(struct dtn_fields *, const struct dtn_reader *, const struct dtn_record *);

/* Describe a record of `samples`; its `tensor` has room for all. */
void dtn_fields_describe(const struct dtn_fields *, struct dtn_record *, uint32_t samples);

void dtn_fields_release(struct dtn_fields *);

#endif
