/* cuda.h -- what the files of kernels/cuda share: launches, errors, numbers, sums over a block.
 *
 * The same files are compiled twice: by nvcc for a GPU, and by the host's C++ compiler for the
 * stand-in of tests/cuda, which has headers of the same names as CUDA's and runs every thread of a
 * block as a fibre.  So a launch and a shared array are written with the macros below, tensor-core
 * and copy instructions with the functions of ptx.h, and nothing else differs.
 *
 * C++17, as C with templates: a kernel is a template over its element type, float or bf16.
 * Everything is queued on one stream, `cuda_stream`, so calls run in the order they were made.
 */
#ifndef DTN_CUDA_H
#define DTN_CUDA_H

#undef _Noreturn
#define _Noreturn __attribute__((noreturn))     /* C's word, which C++ lacks */

extern "C" {
#include "kernels/cuda/calls.h"
#include "lib/rng.h"
}

#include <cuda_runtime.h>

#define DEVICE static __device__ __forceinline__

/* --- launches and errors ---------------------------------------------------------------------- */

extern cudaStream_t cuda_stream;        /* of this process; made when the device is opened */

/* Die with what failed and why, unless it went well. */
void cuda_check(cudaError_t, const char *what);
#define CUDA(call) cuda_check(call, #call)

/* LAUNCH(kernel, grid, block, bytes, arguments...): `bytes` of dynamic shared memory.  A template
 * with several arguments is named in parentheses: LAUNCH((up<T, true>), ...). */
#define LAUNCH(kernel, ...) cuda_launch(#kernel, kernel, __VA_ARGS__)

/* No launch has more dynamic shared memory; compute capability 8.6 has 99 KiB, the others more. */
enum { CUDA_MOST_SHARED = 96 << 10 };

/* SHARED(float, sum, [32]): a shared array.  DYNAMIC(float, tile): the launch's dynamic shared
 * memory, aligned to 128 bytes, as a pointer. */
#ifdef __CUDACC__
#define SHARED(type, name, dims) __shared__ type name dims
#define DYNAMIC(type, name) \
	extern __shared__ __align__(128) unsigned char cuda_dynamic[]; \
	type *const name = reinterpret_cast<type *>(cuda_dynamic)

/* More dynamic shared memory than this is given only when asked for: 48 KiB, less the KiB that code
 * for compute capability 9.0 counts as the kernel's own. */
enum { CUDA_FREE_SHARED = 47 << 10 };

template <class... P, class... A>
static void cuda_launch(const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
			size_t bytes, A... args)
{
	if (grid.x == 0 || grid.y == 0 || grid.z == 0)
		return;
	/* Always the same: the limit is the kernel's, and recordings hold launches of any size. */
	if (bytes > CUDA_FREE_SHARED)
		cuda_check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
						CUDA_MOST_SHARED), name);
	kernel<<<grid, block, bytes, cuda_stream>>>(static_cast<P>(args)...);
	cuda_check(cudaGetLastError(), name);
}
#endif

/* How many blocks cover n items, `each` a block. */
static inline unsigned cuda_blocks(size_t n, size_t each)
{
	return (unsigned)((n + each - 1) / each);
}

/* --- numbers ---------------------------------------------------------------------------------- */

struct bf16 { uint16_t bits; };         /* the upper half of an f32 */

DEVICE float value(float x)
{
	return x;
}

DEVICE float value(bf16 x)
{
	return __uint_as_float((unsigned)x.bits << 16);
}

/* Rounded to nearest, ties to even; a NaN stays one. */
DEVICE void set(float &to, float x)
{
	to = x;
}

DEVICE void set(bf16 &to, float x)
{
	unsigned u = __float_as_uint(x);

	to.bits = (uint16_t)((u + (x == x ? 0x7fff + (u >> 16 & 1) : 0)) >> 16);
}

#ifdef __CUDACC__
/* Two f32 as bf16 in one register, `low` in the lower half; rounded to nearest even. */
DEVICE unsigned bf16_pair(float low, float high)
{
	unsigned r;

	asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
	return r;
}
#endif

/* V neighbours, read and written in one instruction: V * sizeof(T) is 2, 4, 8 or 16, and where
 * they lie is a multiple of it. */
template <class T, int V> struct alignas(sizeof(T) * V) pack { T at[V]; };

template <int V, class T> DEVICE void load(float x[V], const T *p)
{
	const pack<T, V> v = *reinterpret_cast<const pack<T, V> *>(p);

	for (int i = 0; i < V; i++)
		x[i] = value(v.at[i]);
}

/* Two neighbours: for bf16 one instruction instead of ten. */
DEVICE void set_two(float to[2], float a, float b)
{
	to[0] = a;
	to[1] = b;
}

DEVICE void set_two(bf16 to[2], float a, float b)
{
	const unsigned both = bf16_pair(a, b);

	memcpy(to, &both, sizeof(both));
}

template <int V, class T> DEVICE void store(T *p, const float x[V])
{
	pack<T, V> v;

	for (int i = 0; i + 1 < V; i += 2)
		set_two(v.at + i, x[i], x[i + 1]);
	if (V % 2 != 0)
		set(v.at[V - 1], x[V - 1]);
	*reinterpret_cast<pack<T, V> *>(p) = v;
}

/* Onto what is there, if `add`: how a gradient is written. */
template <int V, class T> DEVICE void store(T *p, const float x[V], bool add)
{
	float sum[V];

	if (!add)
		return store<V>(p, x);
	load<V>(sum, p);
	for (int i = 0; i < V; i++)
		sum[i] += x[i];
	store<V>(p, sum);
}

/* How many elements of T make 16 bytes. */
template <class T> constexpr int wide = 16 / (int)sizeof(T);

/* f<float>(...) or f<bf16>(...) */
#define BY_TYPE(type, f, ...) ((type) == DTN_F32 ? f<float>(__VA_ARGS__) : f<bf16>(__VA_ARGS__))

DEVICE float sigmoid(float x)
{
	return __fdividef(1, 1 + __expf(-x));   /* 0 where the exponential is infinite */
}

/* --- sums over a warp and over a block -------------------------------------------------------- */

enum { WARP = 32 };
#define ALL_LANES 0xffffffffu

/* Every lane gets the result; the order of the additions is always the same. */
template <class T> DEVICE T warp_sum(T x)
{
	for (int away = WARP / 2; away > 0; away /= 2)
		x += __shfl_xor_sync(ALL_LANES, x, away);
	return x;
}

DEVICE float warp_max(float x)
{
	for (int away = WARP / 2; away > 0; away /= 2)
		x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, away));
	return x;
}

/* The sum over a block of one dimension, a multiple of 32 threads; every thread calls it and gets
 * the result.  part [32]: shared, free for other use after the next barrier. */
template <class T> DEVICE T block_sum(T x, T *part)
{
	const int warps = (int)blockDim.x / WARP, lane = (int)threadIdx.x % WARP;

	x = warp_sum(x);
	if (lane == 0)
		part[threadIdx.x / WARP] = x;
	__syncthreads();
	return warp_sum(lane < warps ? part[lane] : T(0));
}

#endif
