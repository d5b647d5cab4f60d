/* cuda_runtime.h -- CUDA for a machine without a GPU: the part that kernels/cuda uses.
 *
 * Stands where NVIDIA's header of this name would be found.  Kernels become plain functions, which
 * block.cc runs for every thread of every block as fibres of one host thread; watch.cc sees every
 * access that they make to memory; runtime.cc has the calls of the host.  It shows whether indices,
 * barriers and logic are right.  It says nothing about speed, and nothing about what the hardware
 * does where CUDA leaves it open.
 */
#ifndef STANDIN_CUDA_RUNTIME_H
#define STANDIN_CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <functional>
#include <tuple>

#define __global__ static
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

/* --- vectors --------------------------------------------------------------------------------- */

struct uint3 { unsigned x, y, z; };
struct dim3 {
	unsigned x, y, z;
	constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) { }
};
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };

static inline int2 make_int2(int x, int y) { return { x, y }; }
static inline int4 make_int4(int x, int y, int z, int w) { return { x, y, z, w }; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return { x, y }; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w)
{
	return { x, y, z, w };
}
static inline float2 make_float2(float x, float y) { return { x, y }; }
static inline float4 make_float4(float x, float y, float z, float w) { return { x, y, z, w }; }

/* --- inside a kernel ------------------------------------------------------------------------- */

/* Of the fibre that runs. */
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
enum { warpSize = 32 };

void __syncthreads();
int __syncthreads_or(int);
int __syncthreads_and(int);
int __syncthreads_count(int);
void __syncwarp(unsigned mask = 0xffffffffu);
void __threadfence();
static inline void __threadfence_block() { }

/* All 32 lanes must arrive, at the same instruction.  what: 's' shuffle and vote, 'l' ldmatrix, 'm'
 * mma.  Gives the words of all lanes [32][8], valid until this lane's next meeting. */
const uint32_t (*standin_meet(char what, unsigned mask, const uint32_t *words, int n))[8];

template <class T> static inline T standin_from(unsigned mask, T x, int lane)
{
	static_assert(sizeof(T) == 4 || sizeof(T) == 8, "32 or 64 bits");
	uint32_t word[2];
	T result;

	memcpy(word, &x, sizeof(T));
	const uint32_t(*all)[8] = standin_meet('s', mask, word, sizeof(T) / 4);
	memcpy(&result, all[lane & 31], sizeof(T));
	return result;
}

int standin_lane();

template <class T> static inline T __shfl_sync(unsigned mask, T x, int lane, int width = 32)
{
	return standin_from(mask, x, standin_lane() / width * width + lane % width);
}

template <class T> static inline T __shfl_xor_sync(unsigned mask, T x, int away, int width = 32)
{
	int lane = standin_lane(), from = lane ^ away;

	return standin_from(mask, x, from / width > lane / width ? lane : from);
}

template <class T> static inline T __shfl_down_sync(unsigned mask, T x, int away, int width = 32)
{
	int lane = standin_lane();

	return standin_from(mask, x, lane % width + away < width ? lane + away : lane);
}

template <class T> static inline T __shfl_up_sync(unsigned mask, T x, int away, int width = 32)
{
	int lane = standin_lane();

	return standin_from(mask, x, lane % width >= away ? lane - away : lane);
}

unsigned __ballot_sync(unsigned mask, int);
static inline int __any_sync(unsigned mask, int x) { return __ballot_sync(mask, x) != 0; }
static inline int __all_sync(unsigned mask, int x) { return __ballot_sync(mask, !x) == 0; }

/* Where an atomic operation may write: checks the place, and races with plain accesses. */
void standin_atomic(const void *p, size_t bytes);

template <class T> static inline T atomicAdd(T *p, T x)
{
	T was;

	standin_atomic(p, sizeof(T));
	memcpy(&was, p, sizeof(T));
	x = was + x;
	memcpy(p, &x, sizeof(T));
	return was;
}

template <class T> static inline T atomicMax(T *p, T x)
{
	T was;

	standin_atomic(p, sizeof(T));
	memcpy(&was, p, sizeof(T));
	x = was > x ? was : x;
	memcpy(p, &x, sizeof(T));
	return was;
}

template <class T> static inline T atomicExch(T *p, T x)
{
	T was;

	standin_atomic(p, sizeof(T));
	memcpy(&was, p, sizeof(T));
	memcpy(p, &x, sizeof(T));
	return was;
}

template <class T> static inline T atomicCAS(T *p, T expected, T x)
{
	T was;

	standin_atomic(p, sizeof(T));
	memcpy(&was, p, sizeof(T));
	if (was == expected)
		memcpy(p, &x, sizeof(T));
	return was;
}

/* --- arithmetic ------------------------------------------------------------------------------ */

static inline float __uint_as_float(unsigned u)
{
	float f;

	memcpy(&f, &u, sizeof(f));
	return f;
}

static inline unsigned __float_as_uint(float f)
{
	unsigned u;

	memcpy(&u, &f, sizeof(u));
	return u;
}

static inline float __int_as_float(int i) { return __uint_as_float((unsigned)i); }
static inline int __float_as_int(float f) { return (int)__float_as_uint(f); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float __frcp_rn(float a) { return 1 / a; }
static inline float __int2float_rn(int a) { return (float)a; }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float rsqrtf(float a) { return 1 / sqrtf(a); }
/* The C library declares functions of these names. */
#define __expf(a) expf(a)
#define __logf(a) logf(a)
#define __sinf(a) sinf(a)
#define __cosf(a) cosf(a)
static inline unsigned __umulhi(unsigned a, unsigned b)
{
	return (unsigned)((uint64_t)a * b >> 32);
}
static inline int __popc(unsigned u) { return __builtin_popcount(u); }
static inline int __clz(int u) { return u ? __builtin_clz((unsigned)u) : 32; }
static inline int __ffs(int u) { return __builtin_ffs(u); }
template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcs(const T *p) { return *p; }
template <class T> static inline T min(T a, T b) { return b < a ? b : a; }
template <class T> static inline T max(T a, T b) { return a < b ? b : a; }

/* --- what ptx.h has under nvcc: see there ---------------------------------------------------- */

void standin_copy(void *shared, const void *global, int bytes, bool valid);
void standin_wait(int left);
void cp_async_commit();
static inline void cp_async_16(void *shared, const void *global, bool valid = true)
{
	standin_copy(shared, global, 16, valid);
}
template <int left> static inline void cp_async_wait() { standin_wait(left); }
void ldmatrix_4(unsigned r[4], const void *shared);
void ldmatrix_4t(unsigned r[4], const void *shared);
void mma_bf16(float d[4], const unsigned a[4], const unsigned b[2]);
unsigned bf16_pair(float low, float high);

/* --- shared memory and launches, for cuda.h -------------------------------------------------- */

/* The block's array with this key; unset when the first thread of a block comes to it. */
void *standin_shared(const void *key, size_t bytes, const char *name);
void *standin_dynamic();

#define SHARED(type, name, dims) \
	static const char name##_key = 0; \
	typedef type name##_array dims; \
	name##_array &name = \
		*static_cast<name##_array *>(standin_shared(&name##_key, sizeof(name##_array), \
							    #name))
#define DYNAMIC(type, name) type *const name = static_cast<type *>(standin_dynamic())

/* Run the kernel, or record it where the stream is being captured. */
void standin_launch(const char *name, dim3 grid, dim3 block, size_t bytes,
		    const std::function<void()> &thread);
/* From here on this fibre's accesses are watched: its arguments are on its own stack. */
void standin_begin();

template <class... P, class... A>
static void cuda_launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
			size_t bytes, A... args)
{
	std::tuple<P...> values(static_cast<P>(args)...);

	standin_launch(name, grid, block, bytes, [=] {
		std::apply([=](P... value) {
			standin_begin();
			kernel(value...);
		}, values);
	});
}

/* --- the host's calls ------------------------------------------------------------------------ */

enum cudaError_t {
	cudaSuccess, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2,
	cudaErrorNoDevice = 100, cudaErrorInvalidDevice = 101, cudaErrorNotReady = 600,
	cudaErrorStreamCaptureUnsupported = 900, cudaErrorInsufficientDriver = 35,
	cudaErrorIllegalAddress = 700, cudaErrorNoKernelImageForDevice = 209
};
enum cudaMemcpyKind {
	cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost,
	cudaMemcpyDeviceToDevice, cudaMemcpyDefault
};
enum cudaStreamCaptureMode {
	cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal,
	cudaStreamCaptureModeRelaxed
};
enum cudaStreamCaptureStatus {
	cudaStreamCaptureStatusNone, cudaStreamCaptureStatusActive,
	cudaStreamCaptureStatusInvalidated
};
enum { cudaStreamDefault = 0, cudaStreamNonBlocking = 1 };
enum { cudaEventDefault = 0, cudaEventBlockingSync = 1, cudaEventDisableTiming = 2 };
enum { cudaHostAllocDefault = 0, cudaHostAllocPortable = 1, cudaHostAllocMapped = 2,
       cudaHostAllocWriteCombined = 4 };
enum cudaDeviceAttr {
	cudaDevAttrMaxSharedMemoryPerBlockOptin = 97, cudaDevAttrMultiProcessorCount = 16,
	cudaDevAttrComputeCapabilityMajor = 75, cudaDevAttrComputeCapabilityMinor = 76,
	cudaDevAttrL2CacheSize = 38
};

struct cudaDeviceProp {
	char name[256];
	size_t totalGlobalMem, sharedMemPerBlockOptin;
	int major, minor, multiProcessorCount, l2CacheSize, memoryBusWidth;
};

typedef struct standin_stream *cudaStream_t;
typedef struct standin_event *cudaEvent_t;
typedef struct standin_graph *cudaGraph_t;
typedef struct standin_graph *cudaGraphExec_t;

extern "C" {
cudaError_t cudaMalloc(void **, size_t);
cudaError_t cudaFree(void *);
cudaError_t cudaMallocHost(void **, size_t);
cudaError_t cudaHostAlloc(void **, size_t, unsigned flags);
cudaError_t cudaFreeHost(void *);
cudaError_t cudaMemcpy(void *, const void *, size_t, cudaMemcpyKind);
cudaError_t cudaMemcpyAsync(void *, const void *, size_t, cudaMemcpyKind, cudaStream_t);
cudaError_t cudaMemset(void *, int, size_t);
cudaError_t cudaMemsetAsync(void *, int, size_t, cudaStream_t);
cudaError_t cudaMemGetInfo(size_t *left, size_t *all);

cudaError_t cudaStreamCreate(cudaStream_t *);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t);
cudaError_t cudaStreamSynchronize(cudaStream_t);
cudaError_t cudaStreamQuery(cudaStream_t);
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned flags = 0);
cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode);
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *);
cudaError_t cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus *);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *, cudaGraph_t, unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t);
cudaError_t cudaGraphDestroy(cudaGraph_t);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t);

cudaError_t cudaEventCreate(cudaEvent_t *);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t);
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t);
cudaError_t cudaEventSynchronize(cudaEvent_t);
cudaError_t cudaEventQuery(cudaEvent_t);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to);

cudaError_t cudaGetDeviceCount(int *);
cudaError_t cudaSetDevice(int);
cudaError_t cudaGetDevice(int *);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *, int device);
cudaError_t cudaDeviceGetAttribute(int *, cudaDeviceAttr, int device);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaDriverGetVersion(int *);
cudaError_t cudaRuntimeGetVersion(int *);
cudaError_t cudaGetLastError(void);
cudaError_t cudaPeekAtLastError(void);
const char *cudaGetErrorString(cudaError_t);
const char *cudaGetErrorName(cudaError_t);
}

template <class T> static inline cudaError_t cudaMalloc(T **p, size_t bytes)
{
	return cudaMalloc((void **)p, bytes);
}

#endif
