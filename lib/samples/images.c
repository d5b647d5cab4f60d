/* images.c -- records of images and of their classes. */
#include "lib/samples/images.h"

enum { RECORD_BYTES = 4 << 20 };

uint32_t dtn_images_most(size_t bytes)
{
	return bytes >= RECORD_BYTES ? 1 : (uint32_t)(RECORD_BYTES / bytes);
}

void dtn_images_write(struct dtn_writer *writer, int type, const int side[3], uint32_t n,
		      const void *images, const int32_t *label)
{
	const void *data[] = { images, label };
	const uint64_t dim[] = { n, (uint64_t)side[0], (uint64_t)side[1], (uint64_t)side[2] };
	struct dtn_tensor tensor[2];
	struct dtn_record record = { .samples = n, .tensors = label ? 2 : 1, .tensor = tensor };

	tensor[0] = dtn_tensor("image", DTN_IMAGE, type, true, 4, dim);
	tensor[1] = dtn_tensor("label", DTN_LABEL, DTN_I32, true, 1, dim);
	dtn_write_record(writer, &record, data);
}
