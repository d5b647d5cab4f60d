/* plugin.h -- backends in shared objects of their own, found relative to the program. */
#ifndef DTN_PLUGIN_H
#define DTN_PLUGIN_H

#include "kernels/backend.h"

#include <stdio.h>

/* PREFIX/lib/dtn/dtn-cuda.so, where the program is in PREFIX/bin; loaded at the first call.  NULL:
 * `why`, valid for the rest of the program. */
const struct dtn_plugin *dtn_cuda_plugin(const char **why);

/* Is there any sign of an NVIDIA GPU?  Much cheaper than to load the object and ask. */
bool dtn_cuda_likely(void);

/* One line for each device that could compute here; with -v also why there are no others. */
void dtn_list_devices(FILE *);

#endif
