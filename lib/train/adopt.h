/* adopt.h -- begin with the weights of another model, to train it on other images. */
#ifndef DTN_ADOPT_H
#define DTN_ADOPT_H

#include "lib/model.h"

/* Read to the end of the opened model `from`: its averaged weights, where it has them, into the
 * parameters of the same names.  A table of classes that it lacks becomes zero, so the network says
 * what it said before.  Dies with status 3 where the networks differ otherwise. */
void dtn_adopt(const struct dtn_graph *, float *param, struct dtn_reader *,
	       const struct dtn_model *from);

#endif
