/* noise.cu -- what the network is shown of a slice of images, with the bits that the CPU gives.
 *
 * A thread has the four numbers of one counter of the generator: x_0 from the pixels, eps, x_t and
 * the target.
 *
 *      image   | 4 numbers | 4 numbers | ...      x: blocks over counters, y: images
 *
 * For the bits' sake every product that meets a sum is written as fma or as __fmul_rn, exactly as
 * lib/diffusion/schedule.c and lib/image/tone.h round: x_0 = v (2/255) - 1 in two roundings, a sum
 * a x + b z as fma(a, x, b z).
 *
 * Bytes a number: 1 read, 8 written; some 100 operations.  It is small next to the network. */
#include "kernels/cuda/rng.h"

enum { BLOCK = 128, EACH = 4 };

/* Number e of the image, mirrored if asked, in [-1,1]. */
DEVICE float x0_at(const struct dtn_noise_call &c, const uint8_t *pixels, unsigned e, bool mirror)
{
	const unsigned row = (unsigned)(c.W * c.C), in_row = e % row;
	const unsigned x = in_row / (unsigned)c.C, channel = in_row % (unsigned)c.C;
	const unsigned from = mirror ? e - in_row + ((unsigned)c.W - 1 - x) * c.C + channel : e;

	return __fadd_rn(__fmul_rn((float)pixels[from], 2.0f / 255), -1);
}

/* a x + b z */
DEVICE float blend(float a, float x, float b, float z)
{
	return __fmaf_rn(a, x, __fmul_rn(b, z));
}

DEVICE float target(const struct dtn_noise_call &c, const struct dtn_sample &s, float x0, float eps)
{
	if (c.predict == 2)
		return blend(s.image, eps, -s.noise, x0);
	return c.predict == 1 ? x0 : eps;
}

__global__ void prepare(struct dtn_noise_call c)
{
	const unsigned n = (unsigned)(c.H * c.W * c.C), image = blockIdx.y;
	const unsigned counter = blockIdx.x * BLOCK + threadIdx.x, first = counter * EACH;
	const struct dtn_sample s = c.sample[image];
	const size_t at = (size_t)image * n;
	float eps[EACH] = { };

	if (counter == 0) {
		c.t[image] = s.empty ? 0 : s.t;
		if (c.label)
			c.label[image] = s.label;
	}
	if (first < n && !s.empty)
		rng_normal(eps, c.draw[0], c.purpose, s.position, 0, counter);
	for (unsigned i = first; i < first + EACH && i < n; i++) {
		const float x0 = s.empty ? 0 : x0_at(c, c.pixels + at, i, s.mirror);
		const float e = eps[i - first];

		c.x[at + i] = s.empty ? 0 : blend(s.image, x0, s.noise, e);
		c.target[at + i] = s.empty ? 0 : target(c, s, x0, e);
	}
}

void cuda_noise(const struct dtn_noise_call *c)
{
	const dim3 grid(cuda_blocks((size_t)c->H * c->W * c->C, BLOCK * EACH), c->S);

	LAUNCH(prepare, grid, BLOCK, 0, *c);
}
