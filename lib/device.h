/* device.h -- the options --device and --precision: on what a network runs, in which numbers. */
#ifndef DTN_DEVICE_H
#define DTN_DEVICE_H

#include "kernels/backend.h"

/* "auto", "cpu", "cuda" or "cuda:0" and so on, or "cpu:v2", "cpu:v3", "cpu:v4" for the kernels of a
 * kind of processor; NULL: auto, which takes CUDA where it is there, else the CPU, and says so with
 * -v.  Dies with status 2 where there is no such device, 1 where this machine lacks it. */
const struct dtn_backend *dtn_device(const char *name);

/* DTN_F32 or DTN_BF16, from "auto", "f32" or "bf16"; NULL: auto.  `model`: what a model that is
 * resumed was trained in, or NULL; auto then stays with it. */
int dtn_precision(const struct dtn_backend *, const char *name, const char *model);

#endif
