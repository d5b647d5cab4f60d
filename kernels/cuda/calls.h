/* calls.h -- what the files of kernels/cuda give to the backend's table; C and C++. */
#ifndef DTN_CUDA_CALLS_H
#define DTN_CUDA_CALLS_H

#include "kernels/backend.h"

/* NAME.cu defines the kernel of op NAME. */
#define OP(name, inputs, reads) extern const struct dtn_kernel cuda_##name;
#include "lib/nn/op.def"
#undef OP

/* adam.cu: sweeps over flat arrays, on the stream; norm2 waits for its result */
void cuda_adam(const struct dtn_adam_call *);
double cuda_norm2(const float *, size_t n);
void cuda_accumulate(float *to, const float *from, size_t n);

/* update.cu, layout.cu: the end of a training step */
void cuda_update(const struct dtn_update_call *);
size_t cuda_partials(size_t n);
void *cuda_layout(const struct dtn_graph *, const struct dtn_place *, int n);

/* noise.cu, sample.cu: the beginning of a training step; sampling */
void cuda_noise(const struct dtn_noise_call *);
void cuda_tally(const struct dtn_tally_call *);
void cuda_start(float *x, const uint64_t *draw, int S, size_t image);
void cuda_step(const struct dtn_step_call *);

#endif
