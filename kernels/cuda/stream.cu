/* stream.cu -- the stream that everything runs on, and what is said when CUDA fails. */
#include "kernels/cuda/cuda.h"

cudaStream_t cuda_stream;

/* A fault in a kernel appears at some later call, so `what` is only where it was noticed. */
void cuda_check(cudaError_t status, const char *what)
{
	if (status != cudaSuccess)
		dtn_die(DTN_ENV, "CUDA: %s: %s", what, cudaGetErrorString(status));
}
