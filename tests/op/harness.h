/* harness.h -- test an operation of a backend against a slow reference in f64.
 *
 * A case gives shapes and a reference for the forward pass, written from the formula.  The harness
 * then checks, for every instruction set that this processor has, for CUDA, and for both element
 * types:
 *
 *   - forward against the reference, when training and when sampling;
 *   - backward against differences of the reference, for each gradient alone and all together;
 *   - that gradients are added where asked, and written over garbage where not;
 *   - that nothing depends on what lies in outputs, saved and scratch memory (NaN first);
 *   - that two runs give the same bits, inputs stay as they are, and nothing outside a buffer is
 *     written;
 *   - that a NaN in an input or in the gradient of the result is not lost.
 */
#ifndef DTN_TESTS_HARNESS_H
#define DTN_TESTS_HARNESS_H

#include "kernels/backend.h"

struct op_input {
	/* 'x' of the element type tested, 'f' always f32, 'w' a parameter, 't' i32; 0 absent */
	char kind;
	struct dtn_shape shape;
	bool constant;  /* has no gradient */
};

struct op_case {
	const char *name;
	enum dtn_opcode op;
	union dtn_attr attr;
	struct op_input in[DTN_INPUTS];

	/* y from x; both as f64 in the layout of the kernel.  x[i] NULL: absent. */
	void (*slow)(const struct op_case *, struct dtn_shape y, const double *const x[],
		     double *out);

	/* Values of input i, rounded afterwards to its type.  NULL: numbers around 0, most within
	 * +-2. */
	void (*fill)(const struct op_case *, int i, double *x, size_t n);

	/* Allowed error, relative to the value plus the root mean square of all values of the
	 * tensor.  0: 1e-5 in f32; in bf16 1/128, the roundings of a result and of a value it is
	 * added to. */
	double f32, bf16;
	double least;           /* to be used for the root mean square where that is smaller */
	int every;              /* check the gradient of every n-th value only; 0: of all */
	bool sampling;          /* only as when sampling: no backward */
	bool bf16_products;     /* in bf16, only where the backend says it is fast */
	bool f32_only;          /* the op has no activations */
	bool cpu_only;          /* its size is about the CPU's caches */
};

/* of the calls, for dropout; the node's id is op_id() */
enum { OP_SEED = 77, OP_INDEX = 1234567 };
int op_id(const struct op_case *);

/* Element [n,i,j,k] of a tensor of this shape. */
static inline size_t op_at(struct dtn_shape s, int n, int i, int j, int k)
{
	return (((size_t)n * (size_t)s.dim[1] + (size_t)i) * (size_t)s.dim[2] + (size_t)j) *
	       (size_t)s.dim[3] + (size_t)k;
}

/* Runs all cases (for the one instruction set or device that DTN_TEST_ISA names, where it does);
 * prints "ok ..." or "not ok ..." for each; returns the exit status. */
int op_test(const struct op_case *, int cases);

#define OP_TEST(cases) op_test(cases, (int)(sizeof(cases) / sizeof(cases[0])))

/* The backend of build/SET/tests/cuda/dtn-cuda.so, the stand-in for CUDA, or of the file that
 * DTN_TEST_CUDA names; NULL: there is none. */
const struct dtn_backend *dtn_test_cuda(void);

/* [N,H,W,C], [N,C] and [C], for cases. */
#define NHWC(n, h, w, c) { 4, { n, h, w, c } }
#define NC(n, c) { 2, { n, c } }
#define VECTOR(c) { 1, { c } }

#endif
