/* plan.h -- when is each buffer needed, and where does it live?
 *
 * Running a graph of n nodes takes 2n steps: step i computes node i, step 2n-1-i the gradients of
 * its inputs.  Every value, gradient and saved buffer is needed from one step to another; those
 * that are never needed together may share memory.
 */
#ifndef DTN_PLAN_H
#define DTN_PLAN_H

#include "lib/nn/graph.h"

/* Fill in every node's spans; returns the bytes of the arena.  When training, gradients flow from
 * `target` to all parameters; otherwise values live only until their last use, and `target` to the
 * end. */
size_t dtn_plan(struct dtn_graph *, dtn_id target, bool training);

/* The bytes in use at the busiest step: no arena can be smaller.  For tests. */
size_t dtn_plan_bound(const struct dtn_graph *);

#endif
