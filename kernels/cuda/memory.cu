/* memory.cu -- memory of the device and of the host, and copies between them.
 *
 * Nothing here runs inside a step but cuda_send and, while a step is recorded, cuda_copy and
 * cuda_clear; all are queued on the one stream. */
#include "kernels/cuda/cuda.h"

extern "C" {
#include "kernels/cuda/device.h"
}

void *cuda_alloc(size_t bytes)
{
	void *p = NULL;
	cudaError_t status = cudaMalloc(&p, bytes);

	if (status == cudaErrorMemoryAllocation) {
		(void)cudaGetLastError();       /* it would be found by the next check */
		return NULL;
	}
	cuda_check(status, "cudaMalloc");
	return p;
}

void cuda_free(void *p)
{
	CUDA(cudaFree(p));
}

void cuda_put(void *device, const void *host, size_t bytes)
{
	CUDA(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, cuda_stream));
	CUDA(cudaStreamSynchronize(cuda_stream));
}

void cuda_get(void *host, const void *device, size_t bytes)
{
	CUDA(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, cuda_stream));
	CUDA(cudaStreamSynchronize(cuda_stream));
}

void cuda_copy(void *to, const void *from, size_t bytes)
{
	CUDA(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, cuda_stream));
}

void cuda_clear(void *device, size_t bytes)
{
	CUDA(cudaMemsetAsync(device, 0, bytes, cuda_stream));
}

void *cuda_pin(size_t bytes)
{
	void *p = NULL;
	cudaError_t status = cudaMallocHost(&p, bytes);

	if (status == cudaErrorMemoryAllocation) {
		(void)cudaGetLastError();
		return NULL;
	}
	cuda_check(status, "cudaMallocHost");
	return p;
}

void cuda_unpin(void *p)
{
	CUDA(cudaFreeHost(p));
}

void cuda_send(void *device, const void *pinned, size_t bytes)
{
	CUDA(cudaMemcpyAsync(device, pinned, bytes, cudaMemcpyHostToDevice, cuda_stream));
}

size_t cuda_memory(void)
{
	size_t left = 0, all = 0;

	CUDA(cudaMemGetInfo(&left, &all));
	return left;
}
