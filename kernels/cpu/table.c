/* table.c -- the CPU's backend for one instruction set: memory, and the list of kernels. */
#include "kernels/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

/* Large blocks lie on huge pages where the system has them: fewer misses in the page tables. */
static void *get_memory(size_t bytes)
{
	bool large = bytes >= 2 * (size_t)HUGE_PAGE;
	void *p = NULL;

	if (posix_memalign(&p, large ? HUGE_PAGE : 64, bytes ? bytes : 64) != 0)
		return NULL;
	if (large)
		(void)madvise(p, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
	return p;
}

static void put(void *device, const void *host, size_t bytes)
{
	memcpy(device, host, bytes);
}

static void get(void *host, const void *device, size_t bytes)
{
	memcpy(host, device, bytes);
}

static void clear(void *device, size_t bytes)
{
	memset(device, 0, bytes);
}

static void sync(void)
{
}

/* Numbers below 1e-38 are taken as zero (bits 15 and 6 of MXCSR): they would cost a hundred cycles
 * each where moments die away. */
static void worker(void)
{
	__builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040);
}

const struct dtn_backend CPU(backend) = {
	.name = "cpu",
	.alloc = get_memory,
	.free = free,
	.put = put,
	.get = get,
	.copy = put,
	.clear = clear,
	.sync = sync,
	.worker = worker,
	.adam = CPU(adam),
	.norm2 = CPU(norm2),
	.add = CPU(accumulate),
	.kernel = {
#define OP(name, inputs, reads) [DTN_OP_##name] = &CPU(name),
#include "lib/nn/op.def"
#undef OP
	},
};
