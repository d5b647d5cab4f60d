/* summary.h -- what is in a stream, summed up while it passes. */
#ifndef DTN_SUMMARY_H
#define DTN_SUMMARY_H

#include "format/dtn.h"

#include <stdio.h>

/* A tensor that one record has, or many under the same role and name. */
struct dtn_field {
	struct dtn_tensor t;            /* as it was first seen */
	uint64_t records, rows;         /* rows: the sum of dim[0] where it is a batch */
	uint64_t bytes, stored;         /* decoded and in the stream */
	bool varies;                    /* not of the same type and shape everywhere */
	bool counted;                   /* a single i64 of role counter: its last value is known */
	int64_t count;
};

struct dtn_summary {
	int kind, minor, n, cap;        /* kind -1: several */
	uint64_t segments, records, samples, bytes, stored;
	uint64_t parameters;            /* elements of tensors of role param */
	uint64_t more;                  /* tensors that found no place in the table */
	struct dtn_field *field;        /* in the order of their first appearance */
	struct dtn_meta meta;           /* of the first segment; "labels" is the longest list */
	bool classes_differ;            /* no list that all the others begin */
	struct dtn_prov prov;           /* of all */
};

/* Read to the end of the input, skipping the data. */
void dtn_summary_add(struct dtn_summary *, struct dtn_reader *);
void dtn_summary_release(struct dtn_summary *);

const char *dtn_summary_kind(const struct dtn_summary *); /* "samples", "model", "mixed", … */
const char *dtn_field_type(const struct dtn_field *); /* "u8", "0x73"; until the next call */
uint64_t dtn_field_extent(const struct dtn_field *, int d); /* along d, of all records together */

void dtn_summary_json(FILE *, const struct dtn_summary *);

#endif
