/* device.cu -- which devices there are, the one in use, its queue and what was recorded on it.
 *
 * A recording is a CUDA graph: what was put on the stream between begin and end of a capture, as
 * one piece that is launched as a whole. */
#include "kernels/cuda/cuda.h"

extern "C" {
#include "kernels/cuda/device.h"
}

#include <stdio.h>

enum { MARKS = 8, LEAST = 80 };         /* compute capability 8.0: bf16 products, cp.async */

char cuda_detail[320] = "not opened";
static cudaEvent_t marks[MARKS];

/* --- which ----------------------------------------------------------------------------------- */

static const char *no_device(cudaError_t status)
{
	static char text[160];
	int driver = 0, runtime = 0;

	(void)cudaDriverGetVersion(&driver);
	(void)cudaRuntimeGetVersion(&runtime);
	if (driver == 0)
		snprintf(text, sizeof(text), "no NVIDIA driver");
	else if (status == cudaErrorInsufficientDriver)
		snprintf(text, sizeof(text), "the NVIDIA driver is for CUDA %d.%d, wants %d.%d",
			 driver / 1000, driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
	else if (status == cudaErrorNoDevice)
		snprintf(text, sizeof(text), "no NVIDIA GPU");
	else
		snprintf(text, sizeof(text), "CUDA: %s", cudaGetErrorString(status));
	return text;
}

int cuda_count(const char **why)
{
	int n = 0;
	cudaError_t status = cudaGetDeviceCount(&n);

	if (status == cudaSuccess && n > 0)
		return n;
	(void)cudaGetLastError();
	*why = no_device(status == cudaSuccess ? cudaErrorNoDevice : status);
	return 0;
}

const char *cuda_describe(int device)
{
	static char text[sizeof(cuda_detail)];
	cudaDeviceProp p;

	if (cudaGetDeviceProperties(&p, device) != cudaSuccess)
		return "does not answer";
	snprintf(text, sizeof(text), "%s, compute capability %d.%d, %.1f GiB", p.name, p.major,
		 p.minor, (double)p.totalGlobalMem / (1 << 30));
	return text;
}

/* NULL, or why this device cannot be used. */
static const char *unfit(int device, int devices)
{
	static char text[sizeof(cuda_detail) + 40];
	cudaDeviceProp p;
	cudaError_t status;

	if (device >= devices) {
		snprintf(text, sizeof(text), "no device %d: there %s %d", device,
			 devices == 1 ? "is" : "are", devices);
		return text;
	}
	status = cudaSetDevice(device);
	if (status == cudaSuccess)
		status = cudaGetDeviceProperties(&p, device);
	if (status != cudaSuccess)
		return cudaGetErrorString(status);
	if (10 * p.major + p.minor >= LEAST)
		return NULL;
	snprintf(text, sizeof(text), "%s has compute capability %d.%d, wants 8.0 or more", p.name,
		 p.major, p.minor);
	return text;
}

const struct dtn_backend *cuda_open(int device, const char **why)
{
	int devices = cuda_count(why);
	cudaError_t status;

	if (devices == 0)
		return NULL;
	*why = unfit(device, devices);
	if (*why)
		return NULL;
	if (cuda_stream)
		return &cuda_backend;
	status = cudaStreamCreateWithFlags(&cuda_stream, cudaStreamNonBlocking);
	if (status != cudaSuccess) {
		*why = cudaGetErrorString(status);
		return NULL;
	}
	for (int i = 0; i < MARKS; i++)
		CUDA(cudaEventCreateWithFlags(&marks[i],
					      cudaEventDisableTiming | cudaEventBlockingSync));
	snprintf(cuda_detail, sizeof(cuda_detail), "%s", cuda_describe(device));
	return &cuda_backend;
}

/* --- the queue ------------------------------------------------------------------------------- */

void cuda_sync(void)
{
	CUDA(cudaStreamSynchronize(cuda_stream));
}

void cuda_mark(int i)
{
	CUDA(cudaEventRecord(marks[i], cuda_stream));
}

void cuda_wait(int i)
{
	CUDA(cudaEventSynchronize(marks[i]));
}

void cuda_record(void)
{
	CUDA(cudaStreamBeginCapture(cuda_stream, cudaStreamCaptureModeThreadLocal));
}

void *cuda_recorded(void)
{
	cudaGraph_t graph;
	cudaGraphExec_t recording;

	CUDA(cudaStreamEndCapture(cuda_stream, &graph));
	CUDA(cudaGraphInstantiate(&recording, graph, 0));
	CUDA(cudaGraphDestroy(graph));
	return recording;
}

void cuda_play(void *recording)
{
	CUDA(cudaGraphLaunch((cudaGraphExec_t)recording, cuda_stream));
}

void cuda_forget(void *recording)
{
	CUDA(cudaGraphExecDestroy((cudaGraphExec_t)recording));
}
