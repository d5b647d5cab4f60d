/* trial.h -- one case, one element type, one backend: what the files of the harness share.
 *
 * harness.c prepares a trial and prints how it ended, calls.c calls the kernel, values.c has the
 * numbers.
 */
#ifndef DTN_TESTS_TRIAL_H
#define DTN_TESTS_TRIAL_H

#include "tests/op/harness.h"

struct trial {
	const struct op_case *c;
	const struct dtn_backend *backend;
	const struct dtn_kernel *kernel;
	size_t guard;                           /* bytes on either side of what kernels are given */
	int type;
	struct dtn_graph graph;
	const struct dtn_node *y, *in[DTN_INPUTS];
	double *x[DTN_INPUTS], *out, *dout;     /* exact, after rounding to the types */
	double *want[DTN_INPUTS];               /* gradients; NaN where not worked out */
	void *raw[DTN_INPUTS], *raw_dout;       /* the same for the kernel */
	uint64_t random;
	const char *failed;
	char reason[300];
};

/* --- values.c --------------------------------------------------------------------------------- */

size_t op_count(const struct dtn_node *);       /* elements, and their bytes */
size_t op_bytes(const struct dtn_node *);

/* To the device, a copy from there, which is to be freed, and the same byte everywhere. */
void op_put(struct trial *, void *to, const void *from, size_t bytes);
void *op_get(struct trial *, const void *from, size_t bytes);
void op_fill(struct trial *, void *to, int garbage, size_t bytes);

/* Device memory with a guard on either side; none where every access is watched anyway.  When it is
 * given back, the trial fails for the reason `what` if a guard is not as it was. */
void *op_guarded(struct trial *, size_t bytes, int garbage);
void op_give(struct trial *, const void *at, size_t bytes, const char *what);

/* Element i of an array on the host; the values of a whole tensor, to the device. */
double op_read_value(const void *p, size_t i, int type);
void op_put_values(struct trial *, void *to, const struct dtn_node *, const double *value);

/* Random values for a tensor, input i or (-1) none: for the kernel, to be given back, and exactly
 * the same in f64, to be freed. */
void op_draw(struct trial *, const struct dtn_node *, int i, void **raw, double **exact);

/* The reference's result and gradients, from the values drawn. */
bool op_has_gradient(const struct trial *, int i);
void op_work_out(struct trial *);

/* The trial fails unless got = want + base (base may be NULL), up to the tolerance; where want is
 * NaN any number will do. */
void op_compare(struct trial *, const char *what, const void *got, int type, const double *want,
		const double *base, size_t n);

/* The trial fails for the reason `what` unless both are the same n bytes. */
void op_same(struct trial *, const char *what, const void *a, const void *b, size_t n);

/* --- calls.c ---------------------------------------------------------------------------------- */

void op_check(struct trial *);

#endif
