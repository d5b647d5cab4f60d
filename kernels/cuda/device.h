/* device.h -- the device itself: its memory, its queue, what it is called; C and C++. */
#ifndef DTN_CUDA_DEVICE_H
#define DTN_CUDA_DEVICE_H

#include "kernels/cuda/calls.h"

extern const struct dtn_backend cuda_backend;
extern char cuda_detail[];

/* memory.cu */
void *cuda_alloc(size_t bytes);
void cuda_free(void *);
void cuda_put(void *device, const void *host, size_t bytes);
void cuda_get(void *host, const void *device, size_t bytes);
void cuda_copy(void *to, const void *from, size_t bytes);
void cuda_clear(void *device, size_t bytes);
void *cuda_pin(size_t bytes);
void cuda_unpin(void *);
void cuda_send(void *device, const void *pinned, size_t bytes);
size_t cuda_memory(void);

/* device.cu */
int cuda_count(const char **why);
const char *cuda_describe(int);
const struct dtn_backend *cuda_open(int device, const char **why);
void cuda_sync(void);
void cuda_mark(int);
void cuda_wait(int);
void cuda_record(void);
void *cuda_recorded(void);
void cuda_play(void *recording);
void cuda_forget(void *recording);

#endif
