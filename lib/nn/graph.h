/* graph.h -- a network as an append-only list of nodes.
 *
 * The inputs of a node always have smaller ids than the node, so the order of building is an order
 * of running: nothing is sorted or searched.  Shapes are worked out while building, and a misfit
 * ends the program with the node's name and the shapes.
 */
#ifndef DTN_GRAPH_H
#define DTN_GRAPH_H

#include "lib/base.h"

typedef int dtn_id;                     /* index of a node in its graph; -1: none */

enum dtn_opcode {
	DTN_OP_INPUT,                   /* written by the caller before each run */
	DTN_OP_PARAM,                   /* trained; f32 */
#define OP(name, inputs, reads) DTN_OP_##name,
#include "lib/nn/op.def"
#undef OP
	DTN_OPS
};

enum dtn_loss_kind { DTN_L2, DTN_L1, DTN_HUBER };       /* Huber with delta 1, as smooth L1 */

union dtn_attr {
	struct { int k, stride; } conv;         /* k 1 or 3; stride 2 pads below and right only */
	struct { int groups; float eps; bool silu; } groupnorm;
	struct { int heads; } attention;        /* the width is split evenly over the heads */
	struct { float rate; } dropout;         /* of values dropped, 0 .. 1 */
	struct { int height, width; } size;     /* pad: H', W'; crop: H, W */
	struct { int width; } timestep;         /* C, even */
	struct { enum dtn_loss_kind kind; } loss;
	/* initial weights: fill + uniform in +-bound */
	struct { float bound; float fill; } param;
};

enum { DTN_INPUTS = 4 };

struct dtn_span {                       /* arena memory, and when it is needed */
	size_t bytes, offset;
	int first, last;                /* steps, inclusive; last < 0: never */
};

struct dtn_node {
	enum dtn_opcode op;
	int type;                       /* DTN_F32, DTN_BF16; of an input also DTN_I32 */
	struct dtn_shape shape;
	int inputs;
	dtn_id in[DTN_INPUTS];
	union dtn_attr attr;
	bool grad;                      /* is its gradient wanted? */
	char name[80];                  /* of a parameter: its name in a model file */
	size_t param;                   /* of a parameter: offset in the flat arrays, in elements */
	bool taken;                     /* is it an input of some node? */
	struct dtn_span value, gradient, saved;
};

struct dtn_graph {
	struct dtn_node *node;
	int n, cap;
	int type;                       /* element type of activations: DTN_F32 or DTN_BF16 */
	/* elements of the flat parameter arrays, padding included */
	size_t params;
	char scope[64];                 /* prefix of the names of new nodes, "down_blocks.0." */
};

void dtn_graph_init(struct dtn_graph *, int type);
void dtn_graph_release(struct dtn_graph *);

/* Names of nodes made from now on begin with this and a dot; "" for none. */
void dtn_scope(struct dtn_graph *, const char *format, ...) DTN_PRINTF(2, 3);

dtn_id dtn_input(struct dtn_graph *, const char *name, int type, struct dtn_shape);

/* A parameter "SCOPE.NAME"; starts at fill + uniform(-bound, bound). */
dtn_id dtn_param(struct dtn_graph *, const char *name, struct dtn_shape, float bound, float fill);

/* Append an operation.  in[i] may be -1 only for a trailing optional input.  Of those whose
 * gradient is wanted no two may be the same, and a parameter is an input of one node: else, and
 * where shapes do not fit, death with a line. */
dtn_id dtn_apply(struct dtn_graph *, enum dtn_opcode, const char *name, union dtn_attr,
		 const dtn_id in[], int inputs);

const char *dtn_op_name(enum dtn_opcode);
int dtn_op_reads(enum dtn_opcode);              /* bits: see op.def */

/* What lib/nn/op/NAME.c gives: the shape of the result, bytes kept from forward to backward. */
struct dtn_rule {
	/* NULL, or what the inputs should have been.  Fills y->shape (y->type is set before). */
	const char *(*shape)(struct dtn_node *y, const struct dtn_node *const x[]);
	/* NULL: none */
	size_t (*saved)(const struct dtn_node *y, const struct dtn_node *const x[]);
};
#define OP(name, inputs, reads) extern const struct dtn_rule dtn_rule_##name;
#include "lib/nn/op.def"
#undef OP

#endif
