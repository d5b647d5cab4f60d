/* table.c -- the CUDA backend: one list of everything it does.
 *
 * In C, since nvcc knows no array with designators. */
#include "kernels/cuda/device.h"

static void worker(void)
{
}

static const struct dtn_queue queue = {
	.pin = cuda_pin,
	.unpin = cuda_unpin,
	.send = cuda_send,
	.mark = cuda_mark,
	.wait = cuda_wait,
	.record = cuda_record,
	.recorded = cuda_recorded,
	.play = cuda_play,
	.forget = cuda_forget,
	.memory = cuda_memory,
	.layout = cuda_layout,
	.partials = cuda_partials,
	.noise = cuda_noise,
	.tally = cuda_tally,
	.update = cuda_update,
	.start = cuda_start,
	.step = cuda_step,
};

const struct dtn_backend cuda_backend = {
	.name = "cuda",
	.detail = cuda_detail,
	.bf16 = true,
	.queue = &queue,
	.alloc = cuda_alloc,
	.free = cuda_free,
	.put = cuda_put,
	.get = cuda_get,
	.copy = cuda_copy,
	.clear = cuda_clear,
	.sync = cuda_sync,
	.worker = worker,
	.adam = cuda_adam,
	.norm2 = cuda_norm2,
	.add = cuda_accumulate,
	.kernel = {
#define OP(name, inputs, reads) [DTN_OP_##name] = &cuda_##name,
#include "lib/nn/op.def"
#undef OP
	},
};

const struct dtn_plugin dtn_plugin = {
	.version = DTN_VERSION,
	.headers = DTN_HEADERS,
	.count = cuda_count,
	.describe = cuda_describe,
	.open = cuda_open,
};
