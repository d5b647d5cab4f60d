/* standin.h -- what the parts of the stand-in for CUDA tell each other. */
#ifndef STANDIN_H
#define STANDIN_H

#include "tests/cuda/cuda_runtime.h"

enum { STANDIN_LANES = 32, STANDIN_THREADS = 1024, STANDIN_STACK = 64 << 10 };

/* What sm_80 to sm_90 all have; a kernel that wants more would not run on some of them. */
enum { STANDIN_STATIC = 48 << 10, STANDIN_SHARED = 99 << 10 };

/* --- block.cc: where the running fibre is ----------------------------------------------------- */

struct standin_place {
	bool running;                   /* is a kernel's code running, its arguments copied? */
	const char *kernel;             /* NULL: none is being run */
	int thread;                     /* in the block */
	uint32_t launch, block, now;    /* intervals between barriers, counted over all launches */
	uint16_t warp_now;              /* meetings of the thread's warp in this interval */
	const char *stack;              /* of the fibre */
};
extern struct standin_place standin_at;

void standin_run(const char *kernel, dim3 grid, dim3 block, size_t bytes,
		 const std::function<void()> &thread);

/* Say what is wrong and where, and end the process. */
[[noreturn]] void standin_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* --- watch.cc --------------------------------------------------------------------------------- */

enum standin_access { STANDIN_READ, STANDIN_WRITE, STANDIN_ATOMIC };

void standin_watch(const void *p, size_t bytes, enum standin_access);
void standin_unset(const void *p, size_t bytes);        /* of shared memory: an unfinished copy */
bool standin_is_shared(const void *p, size_t bytes);

/* Shared memory of a block: all of it given back at the block's end. */
void *standin_shared_new(size_t bytes, const char *name);
void standin_shared_clear();

/* Device memory, which the host can touch only between `open` and `close`. */
void *standin_device_new(size_t bytes);
bool standin_device_delete(void *);
bool standin_is_device(const void *p, size_t bytes);    /* all of it, in one piece */
bool standin_in_device(const void *p);                  /* in the region at all */
void standin_device_open();
void standin_device_close();
size_t standin_device_used();

/* --- runtime.cc ------------------------------------------------------------------------------- */

/* Do this now, or when the stream's graph is played. */
cudaError_t standin_do(cudaStream_t, const std::function<void()> &);

#endif
