/* noticed.cu -- does the stand-in for CUDA notice what is wrong with a kernel?
 *
 * Each kernel here is run twice: as it should be, and with one mistake.  Right, it must give the
 * right numbers; wrong, the stand-in must end the process with the message that fits. */
#include "kernels/cuda/ptx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 128 };

/* --- kernels, each with a mistake to ask for -------------------------------------------------- */

/* y = x reversed, by way of shared memory. */
__global__ void reverse(int *y, const int *x, bool wrong)
{
	SHARED(int, kept, [N]);

	kept[threadIdx.x] = x[threadIdx.x];
	if (!wrong)
		__syncthreads();
	y[threadIdx.x] = kept[N - 1 - threadIdx.x];
}

/* The same, one thread's value for all: right by luck where threads run from the first on. */
__global__ void spread(int *y, const int *x, bool wrong)
{
	SHARED(int, first, [1]);

	if (threadIdx.x == 0)
		first[0] = x[0];
	if (!wrong)
		__syncthreads();
	y[threadIdx.x] = first[0];
}

/* Two rounds in one array: the second may not begin before all have read the first. */
__global__ void twice(int *y, const int *x, bool wrong)
{
	SHARED(int, kept, [N]);
	int sum = 0;

	for (int round = 0; round < 2; round++) {
		kept[threadIdx.x] = x[threadIdx.x] + round;
		__syncthreads();
		sum += kept[(threadIdx.x + 1) % N];
		if (!wrong)
			__syncthreads();
	}
	y[threadIdx.x] = sum;
}

__global__ void within_warp(int *y, const int *x, bool wrong)
{
	SHARED(int, kept, [N]);

	kept[threadIdx.x] = x[threadIdx.x];
	if (!wrong)
		__syncwarp();
	y[threadIdx.x] = kept[threadIdx.x ^ 1];
}

__global__ void between_warps(int *y, const int *x, bool wrong)
{
	SHARED(int, kept, [N]);

	kept[threadIdx.x] = x[threadIdx.x];
	if (wrong)
		__syncwarp();
	else
		__syncthreads();
	y[threadIdx.x] = kept[threadIdx.x ^ WARP];
}

__global__ void past_end(int *y, const int *x, bool wrong)
{
	y[threadIdx.x + wrong] = x[threadIdx.x];
}

__global__ void past_array(int *y, const int *x, bool wrong)
{
	SHARED(int, kept, [N]);

	kept[threadIdx.x + wrong] = x[threadIdx.x];
	__syncthreads();
	y[threadIdx.x] = kept[threadIdx.x + wrong];
}

__global__ void unset(int *y, const int *x, bool wrong)
{
	SHARED(int, kept, [2 * N]);

	kept[threadIdx.x] = x[threadIdx.x];
	__syncthreads();
	y[threadIdx.x] = kept[threadIdx.x + (wrong && threadIdx.x == N - 1)];
}

__global__ void some_of_warp(int *y, const int *x, bool wrong)
{
	int v = x[threadIdx.x];

	if (!wrong || threadIdx.x % WARP < 16)
		v = __shfl_xor_sync(ALL_LANES, v, 1);
	y[threadIdx.x] = v;
}

/* Threads that wait at the barrier for others that wait in a warp. */
__global__ void parted(int *y, const int *x, bool wrong)
{
	if (wrong && threadIdx.x == 5)
		__syncthreads();
	y[threadIdx.x] = __shfl_xor_sync(ALL_LANES, x[threadIdx.x], 1);
	__syncthreads();
}

__global__ void blocks_meet(int *y, const int *x, bool wrong)
{
	const int i = wrong ? (int)threadIdx.x : (int)(blockIdx.x * blockDim.x + threadIdx.x);

	y[i] = x[i];
}

__global__ void misaligned(int *y, const int *x, bool wrong)
{
	const int i = 2 * (int)threadIdx.x, from = i + (wrong && i + 2 < N ? 1 : 0);
	float pair[2];

	if (i >= N)
		return;
	load<2>(pair, (const float *)(x + from));
	store<2>((float *)(y + i), pair);
}

/* Asynchronous copies: read before they have been waited for. */
__global__ void copied(int *y, const int *x, bool wrong)
{
	SHARED(int, kept, [2][N]);

	for (int half = 0; half < 2; half++) {
		if (threadIdx.x < N / 4)
			cp_async_16(&kept[half][4 * threadIdx.x], x + 4 * threadIdx.x);
		cp_async_commit();
	}
	if (wrong)
		cp_async_wait<1>();
	else
		cp_async_wait<0>();
	__syncthreads();
	y[threadIdx.x] = kept[1][threadIdx.x];
}

/* The host's pointer where a device's is wanted; here `x` is read from where the host put it. */
static int host_values[N];

__global__ void of_host(int *y, const int *x, const int *host, bool wrong)
{
	y[threadIdx.x] = wrong ? host[threadIdx.x] : x[threadIdx.x];
}

static void of_host_launch(int *y, const int *x, bool wrong)
{
	int *host = (int *)memcpy(malloc(sizeof(host_values)), host_values, sizeof(host_values));

	LAUNCH(of_host, 1, N, 0, y, x, host, wrong);
	free(host);
}

/* --- what comes of them ----------------------------------------------------------------------- */

#define ONE_BLOCK(name) \
static void name##_launch(int *y, const int *x, bool wrong) \
{ \
	LAUNCH(name, 1, N, 0, y, x, wrong); \
}

ONE_BLOCK(reverse)
ONE_BLOCK(spread)
ONE_BLOCK(twice)
ONE_BLOCK(within_warp)
ONE_BLOCK(between_warps)
ONE_BLOCK(past_end)
ONE_BLOCK(past_array)
ONE_BLOCK(unset)
ONE_BLOCK(some_of_warp)
ONE_BLOCK(parted)
ONE_BLOCK(misaligned)
ONE_BLOCK(copied)

static void blocks_meet_launch(int *y, const int *x, bool wrong)
{
	LAUNCH(blocks_meet, 2, N / 2, 0, y, x, wrong);
}

static int same(int i) { return 3 * i; }
static int reversed(int i) { return 3 * (N - 1 - i); }
static int first_one(int) { return 0; }
static int next_twice(int i) { return 6 * ((i + 1) % N) + 1; }
static int neighbour(int i) { return 3 * (i ^ 1); }
static int next_warp(int i) { return 3 * (i ^ WARP); }

#define NO_BARRIER "with no barrier between"

static const struct {
	const char *name;
	void (*launch)(int *y, const int *x, bool wrong);
	int (*want)(int i);
	const char *said;               /* of the mistake */
} cases[] = {
	{ "a missing barrier before reading", reverse_launch, reversed, "which is unset" },
	{ "a missing barrier that the order hides", spread_launch, first_one, NO_BARRIER },
	{ "a missing barrier before writing again", twice_launch, next_twice, NO_BARRIER },
	{ "a missing barrier in a warp", within_warp_launch, neighbour, "which is unset" },
	{ "a warp's barrier between warps", between_warps_launch, next_warp, "which is unset" },
	{ "an index past device memory", past_end_launch, same, "outside of device memory" },
	{ "an index past a shared array", past_array_launch, same, "outside of its shared" },
	{ "shared memory that nobody wrote", unset_launch, same, "which is unset" },
	{ "half a warp", some_of_warp_launch, neighbour, "only 16 lanes come" },
	{ "a barrier for some", parted_launch, neighbour, "lanes come" },
	{ "two blocks that write one place", blocks_meet_launch, same, "another block wrote" },
	{ "an address that is not aligned", misaligned_launch, same, "not aligned" },
	{ "a copy that is still under way", copied_launch, same, "still being copied" },
	{ "the host's memory", of_host_launch, same, "the host's memory" },
};

static bool right(int k)
{
	int *x, *y, got[N];
	bool equal = true;

	CUDA(cudaMalloc(&x, sizeof(host_values)));
	CUDA(cudaMalloc(&y, sizeof(host_values)));
	CUDA(cudaMemcpy(x, host_values, sizeof(host_values), cudaMemcpyHostToDevice));
	cases[k].launch(y, x, false);
	CUDA(cudaMemcpy(got, y, sizeof(got), cudaMemcpyDeviceToHost));
	for (int i = 0; i < N; i++)
		equal &= got[i] == cases[k].want(i);
	cases[k].launch(y, x, true);    /* ends the process */
	return equal;
}

/* Exit status 70 and the message: noticed.  99: the right kernel went wrong. */
static bool noticed(int k)
{
	char text[2000] = "";
	int out[2], status;
	ssize_t n;
	size_t have = 0;
	pid_t child;

	fflush(stdout);
	if (pipe(out) != 0 || (child = fork()) < 0)
		return false;
	if (child == 0) {
		dup2(out[1], 2);
		_exit(right(k) ? 0 : 99);
	}
	close(out[1]);
	while ((n = read(out[0], text + have, sizeof(text) - 1 - have)) > 0)
		have += (size_t)n;
	close(out[0]);
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return false;
	if (WEXITSTATUS(status) != 70 || !strstr(text, cases[k].said))
		printf("# %s: status %d, %s\n", cases[k].name, WEXITSTATUS(status), text);
	return WEXITSTATUS(status) == 70 && strstr(text, cases[k].said);
}

/* What is recorded is done when it is played, every time. */
static bool played()
{
	cudaGraph_t graph;
	cudaGraphExec_t exec;
	int *x, *y, got[N];

	CUDA(cudaStreamCreateWithFlags(&cuda_stream, cudaStreamNonBlocking));
	CUDA(cudaMalloc(&x, sizeof(host_values)));
	CUDA(cudaMalloc(&y, sizeof(host_values)));
	CUDA(cudaMemcpy(x, host_values, sizeof(host_values), cudaMemcpyHostToDevice));
	CUDA(cudaMemset(y, 0, sizeof(host_values)));
	CUDA(cudaStreamBeginCapture(cuda_stream, cudaStreamCaptureModeGlobal));
	reverse_launch(y, x, false);
	reverse_launch(x, y, false);
	spread_launch(y, x, false);
	if (cudaMalloc((void **)&y, 1) == cudaSuccess)
		return false;
	CUDA(cudaStreamEndCapture(cuda_stream, &graph));
	CUDA(cudaGraphInstantiate(&exec, graph));
	CUDA(cudaMemcpy(got, x, sizeof(got), cudaMemcpyDeviceToHost));
	if (got[1] != same(1))
		return false;
	CUDA(cudaGraphLaunch(exec, cuda_stream));
	CUDA(cudaMemcpy(got, x, sizeof(got), cudaMemcpyDeviceToHost));
	return got[1] == same(1) && cudaGraphDestroy(graph) == cudaSuccess;
}

/* D = A B of one tile, A [16,16] and B [16,8] of small integers. */
__global__ void tile(float *d, const bf16 *a, const bf16 *b)
{
	SHARED(bf16, sa, [16][24]);
	SHARED(bf16, sb, [16][16]);     /* twice */
	const int lane = (int)threadIdx.x;
	unsigned ra[4], rb[4];
	float rd[4] = { 0, 0, 0, 0 };

	for (int i = lane; i < 256; i += WARP)
		sa[i / 16][i % 16] = a[i];
	for (int i = lane; i < 256; i += WARP)
		sb[i / 16][i % 16] = b[i / 16 * 8 + i % 8];
	__syncwarp();
	ldmatrix_4(ra, &sa[lane % 16][lane / 16 * 8]);
	ldmatrix_4t(rb, &sb[lane % 16][lane / 16 * 8]);
	mma_bf16(rd, ra, rb + 2);
	for (int i = 0; i < 4; i++)
		d[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = rd[i];
}

static uint16_t small(int i)
{
	float f = (float)(i % 17 - 8);
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return (uint16_t)(u >> 16);
}

static bool multiplied()
{
	uint16_t a[256], b[128];
	float d[128], *out;
	bf16 *da, *db;
	bool equal = true;

	for (int i = 0; i < 256; i++)
		a[i] = small(i);
	for (int i = 0; i < 128; i++)
		b[i] = small(7 * i);
	CUDA(cudaMalloc(&da, sizeof(a)));
	CUDA(cudaMalloc(&db, sizeof(b)));
	CUDA(cudaMalloc(&out, sizeof(d)));
	CUDA(cudaMemcpy(da, a, sizeof(a), cudaMemcpyHostToDevice));
	CUDA(cudaMemcpy(db, b, sizeof(b), cudaMemcpyHostToDevice));
	LAUNCH(tile, 1, WARP, 0, out, da, db);
	CUDA(cudaMemcpy(d, out, sizeof(d), cudaMemcpyDeviceToHost));
	for (int i = 0; i < 16; i++)
		for (int j = 0; j < 8; j++) {
			int sum = 0;
			for (int k = 0; k < 16; k++)
				sum += ((16 * i + k) % 17 - 8) * (7 * (8 * k + j) % 17 - 8);
			equal &= d[8 * i + j] == (float)sum;
		}
	return equal;
}

int main(void)
{
	int failed = 0;

	for (int i = 0; i < N; i++)
		host_values[i] = same(i);
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		bool good = noticed((int)k);
		printf("%s cuda stand-in notices %s\n", good ? "ok" : "not ok", cases[k].name);
		failed |= !good;
	}
	const bool graph = played(), product = multiplied();
	printf("%s cuda stand-in plays what was recorded\n", graph ? "ok" : "not ok");
	printf("%s cuda stand-in multiplies a tile\n", product ? "ok" : "not ok");
	return failed || !graph || !product;
}
