/* absent.c -- kernels that are still to come: empty, so that the others can be linked and tested. */
#include "kernels/cpu/cpu.h"

const struct dtn_kernel CPU(attention);
