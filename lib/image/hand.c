/* hand.c -- images of a list in a row, decoded by one thread, each with its class or its fault. */
#include "lib/image/hand.h"

#include <errno.h>
#include <stdlib.h>

struct dtn_hand {
	const struct dtn_order *order;
	struct dtn_decoder *decoder;
	size_t bytes;                   /* of one image */
	uint8_t *raw;                   /* images of a packed file before they are resized */
	size_t raw_room;
};

struct dtn_hand *dtn_hand_open(const struct dtn_order *o, uint64_t max_pixels)
{
	struct dtn_hand *h = dtn_alloc(1, sizeof(*h));

	h->order = o;
	h->decoder = dtn_decoder_open(max_pixels);
	h->bytes = dtn_wanted_bytes(&o->wanted);
	return h;
}

void dtn_hand_close(struct dtn_hand *h)
{
	dtn_decoder_close(h->decoder);
	free(h->raw);
	free(h);
}

/* A reason as it is kept for the caller. */
static struct dtn_fault *kept(const struct dtn_fault *fault)
{
	struct dtn_fault *copy = dtn_alloc(1, sizeof(*copy));

	*copy = *fault;
	return copy;
}

/* 1 if the image is bad. */
static uint32_t decode_file(struct dtn_hand *h, size_t file, uint8_t *out, struct dtn_fault **fault)
{
	const struct dtn_order *o = h->order;
	int fd = dtn_list_open(o->list, file);
	struct dtn_fault why;

	if (fd < 0) {
		dtn_fault_system(&why, errno);
	} else {
		bool good = dtn_decode(h->decoder, fd, &o->wanted, out, &why);

		dtn_list_close(o->list, file, fd);
		if (good)
			return 0;
	}
	*fault = kept(&why);
	return 1;
}

/* n images of a packed file, as far as the first that is bad; how many were before it.  Those that
 * are as wanted are read to where they belong. */
static uint32_t decode_packed(struct dtn_hand *h, const struct dtn_file *file, uint32_t first,
			      uint32_t n, uint8_t *out, int32_t *class, struct dtn_fault **fault)
{
	const struct dtn_wanted *wanted = &h->order->wanted;
	struct dtn_seen seen = dtn_packed_seen(file->packed);
	size_t bytes = (size_t)seen.width * (size_t)seen.height * (size_t)seen.channels;
	bool same = seen.width == wanted->width && seen.height == wanted->height &&
		    seen.channels == wanted->channels;
	struct dtn_fault why;
	uint32_t good;

	if (!same && n * bytes > h->raw_room)
		h->raw = dtn_realloc(h->raw, h->raw_room = n * bytes, 1);
	good = dtn_packed_read(file->packed, first, n, same ? out : h->raw, class, &why);
	for (uint32_t i = 0; i < good; i++) {
		if (!same)
			dtn_convert(h->decoder, h->raw + i * bytes, &seen, wanted,
				    out + i * h->bytes);
		class[i] = file->map ? file->map[class[i]] : file->class;
	}
	if (good < n)
		fault[good] = kept(&why);
	return good;
}

uint32_t dtn_hand_decode(struct dtn_hand *h, uint64_t position, uint32_t n, uint8_t *images,
			 int32_t *class, struct dtn_fault **fault)
{
	const struct dtn_order *o = h->order;
	uint32_t bad = 0;

	for (uint32_t i = 0, some; i < n; i += some) {
		uint64_t image = dtn_order_image(o, position + i);
		size_t at = dtn_list_find(o->list, image);
		const struct dtn_file *file = &o->list->file[at];
		uint8_t *out = images + i * h->bytes;
		uint32_t good;

		some = 1;
		class[i] = file->class;
		if (!file->packed) {
			bad += decode_file(h, at, out, &fault[i]);
			continue;
		}
		if (!o->shuffled) {
			uint64_t left = file->first + dtn_packed_count(file->packed) - image;

			some = left < n - i ? (uint32_t)left : n - i;
		}
		good = decode_packed(h, file, (uint32_t)(image - file->first), some, out,
				     &class[i], &fault[i]);
		if (good < some) {      /* those after it may be good again */
			bad++;
			some = good + 1;
		}
	}
	return bad;
}
