/* runtime.cc -- the host's calls: memory, streams, events, graphs.
 *
 * A stream does at once what it is asked for, unless it is being captured: then it is recorded, and
 * done whenever the graph is launched.  What CUDA forbids during a capture fails here too.  Device
 * memory is new with garbage (NaN) in it, and STANDIN_MEMORY bytes can be had of it.
 */
#include "tests/cuda/standin.h"

#include <stdio.h>
#include <time.h>

#include <vector>

struct standin_graph { std::vector<std::function<void()>> work; };
struct standin_stream { struct standin_graph *capture; };
struct standin_event { double time; bool recorded; };

static struct standin_stream first_stream;
static struct standin_stream *capturing;
static cudaError_t last_error;

static cudaError_t fail(cudaError_t e)
{
	last_error = e;
	return e;
}

static size_t memory()
{
	const char *text = getenv("STANDIN_MEMORY");

	return text ? strtoull(text, NULL, 10) : (size_t)4 << 30;
}

/* STANDIN_DEVICES=0: a machine without a GPU. */
static int devices()
{
	const char *text = getenv("STANDIN_DEVICES");

	return text ? atoi(text) : 1;
}

static struct standin_stream *stream_of(cudaStream_t s)
{
	return s ? s : &first_stream;
}

cudaError_t standin_do(cudaStream_t s, const std::function<void()> &work)
{
	if (stream_of(s)->capture)
		stream_of(s)->capture->work.push_back(work);
	else
		work();
	return cudaSuccess;
}

void standin_launch(const char *name, dim3 grid, dim3 block, size_t bytes,
		    const std::function<void()> &thread)
{
	extern cudaStream_t cuda_stream;

	if (grid.x == 0 || grid.y == 0 || grid.z == 0)
		return;
	standin_do(cuda_stream, [=] { standin_run(name, grid, block, bytes, thread); });
}

extern "C" {

/* --- memory ----------------------------------------------------------------------------------- */

cudaError_t cudaMalloc(void **p, size_t bytes)
{
	*p = NULL;
	if (capturing)
		return fail(cudaErrorStreamCaptureUnsupported);
	if (bytes == 0)
		return cudaSuccess;
	if (bytes > memory() || standin_device_used() > memory() - bytes)
		return fail(cudaErrorMemoryAllocation);
	*p = standin_device_new(bytes);
	return *p ? cudaSuccess : fail(cudaErrorMemoryAllocation);
}

cudaError_t cudaFree(void *p)
{
	if (capturing)
		return fail(cudaErrorStreamCaptureUnsupported);
	return !p || standin_device_delete(p) ? cudaSuccess : fail(cudaErrorInvalidValue);
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
	*p = malloc(bytes ? bytes : 1);
	return *p ? cudaSuccess : fail(cudaErrorMemoryAllocation);
}

cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned)
{
	return cudaMallocHost(p, bytes);
}

cudaError_t cudaFreeHost(void *p)
{
	free(p);
	return cudaSuccess;
}

static void check_range(const void *p, size_t bytes, bool on_device, const char *what)
{
	if (bytes > 0 && (on_device ? !standin_is_device(p, bytes) : standin_in_device(p)))
		standin_fault("%s: %zu bytes at %p are not %s", what, bytes, p,
			      on_device ? "device memory" : "the host's memory");
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
			    cudaStream_t stream)
{
	bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
	bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;

	if (kind == cudaMemcpyDefault) {
		to_device = standin_in_device(to);
		from_device = standin_in_device(from);
	}
	check_range(to, bytes, to_device, "copy to");
	check_range(from, bytes, from_device, "copy from");
	return standin_do(stream, [=] {
		standin_device_open();
		memmove(to, from, bytes);
		standin_device_close();
	});
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
	if (capturing)
		return fail(cudaErrorStreamCaptureUnsupported);
	return cudaMemcpyAsync(to, from, bytes, kind, NULL);
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t stream)
{
	check_range(p, bytes, true, "memset");
	return standin_do(stream, [=] {
		standin_device_open();
		memset(p, value, bytes);
		standin_device_close();
	});
}

cudaError_t cudaMemset(void *p, int value, size_t bytes)
{
	if (capturing)
		return fail(cudaErrorStreamCaptureUnsupported);
	return cudaMemsetAsync(p, value, bytes, NULL);
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *all)
{
	*all = memory();
	*left = memory() - standin_device_used();
	return cudaSuccess;
}

/* --- streams and graphs ----------------------------------------------------------------------- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
	*s = new standin_stream();
	return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *s)
{
	return cudaStreamCreateWithFlags(s, 0);
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
	delete s;
	return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
	return stream_of(s)->capture ? fail(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t s)
{
	return cudaStreamSynchronize(s);
}

cudaError_t cudaDeviceSynchronize(void)
{
	return capturing ? fail(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned)
{
	return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode)
{
	if (!s || capturing)
		return fail(cudaErrorStreamCaptureUnsupported);
	s->capture = new standin_graph();
	capturing = s;
	return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *graph)
{
	if (!s || !s->capture)
		return fail(cudaErrorInvalidValue);
	*graph = s->capture;
	s->capture = NULL;
	capturing = NULL;
	return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus *status)
{
	*status = stream_of(s)->capture ? cudaStreamCaptureStatusActive :
		  cudaStreamCaptureStatusNone;
	return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
	*exec = new standin_graph(*graph);
	return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s)
{
	if (capturing)
		return fail(cudaErrorStreamCaptureUnsupported);
	for (const auto &work : exec->work)
		standin_do(s, work);
	return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
	delete graph;
	return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
	delete exec;
	return cudaSuccess;
}

/* --- events ----------------------------------------------------------------------------------- */

static double seconds()
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned)
{
	*e = new standin_event();
	return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *e)
{
	return cudaEventCreateWithFlags(e, 0);
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
	delete e;
	return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
	return standin_do(s, [=] {
		e->time = seconds();
		e->recorded = true;
	});
}

cudaError_t cudaEventSynchronize(cudaEvent_t)
{
	return capturing ? fail(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t)
{
	return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
	if (!from->recorded || !to->recorded)
		return fail(cudaErrorInvalidValue);
	*ms = (float)(1e3 * (to->time - from->time));
	return cudaSuccess;
}

/* --- the device ------------------------------------------------------------------------------- */

cudaError_t cudaGetDeviceCount(int *n)
{
	*n = devices();
	return *n > 0 ? cudaSuccess : fail(cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device)
{
	return device >= 0 && device < devices() ? cudaSuccess : fail(cudaErrorInvalidDevice);
}

cudaError_t cudaGetDevice(int *device)
{
	*device = 0;
	return cudaSuccess;
}

/* The smallest that the kernels are written for. */
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device)
{
	if (device < 0 || device >= devices())
		return fail(cudaErrorInvalidDevice);
	*p = {};
	snprintf(p->name, sizeof(p->name), "stand-in");
	p->totalGlobalMem = memory();
	p->sharedMemPerBlockOptin = STANDIN_SHARED;
	p->major = 8;
	p->minor = 0;
	p->multiProcessorCount = 4;
	p->l2CacheSize = 1 << 20;
	p->memoryBusWidth = 64;
	return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr what, int device)
{
	cudaDeviceProp p;
	cudaError_t e = cudaGetDeviceProperties(&p, device);

	if (e != cudaSuccess)
		return e;
	switch (what) {
	case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = STANDIN_SHARED; break;
	case cudaDevAttrMultiProcessorCount: *value = p.multiProcessorCount; break;
	case cudaDevAttrComputeCapabilityMajor: *value = p.major; break;
	case cudaDevAttrComputeCapabilityMinor: *value = p.minor; break;
	case cudaDevAttrL2CacheSize: *value = p.l2CacheSize; break;
	default: return fail(cudaErrorInvalidValue);
	}
	return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
	*version = 13000;
	return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
	*version = 13000;
	return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
	cudaError_t e = last_error;

	last_error = cudaSuccess;
	return e;
}

cudaError_t cudaPeekAtLastError(void)
{
	return last_error;
}

const char *cudaGetErrorString(cudaError_t e)
{
	switch (e) {
	case cudaSuccess: return "no error";
	case cudaErrorMemoryAllocation: return "out of memory";
	case cudaErrorNoDevice: return "no CUDA-capable device is detected";
	case cudaErrorInvalidDevice: return "invalid device ordinal";
	case cudaErrorStreamCaptureUnsupported:
		return "operation not permitted when stream is capturing";
	default: return "invalid argument";
	}
}

const char *cudaGetErrorName(cudaError_t e)
{
	return cudaGetErrorString(e);
}

}
