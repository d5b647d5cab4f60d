/* tests/diffusion/sample.c -- images come out in order and alone of (seed, index), whatever the
 * workers, slots, neighbours and frames; and each is what the sampler makes of the network's
 * outputs. */
#include "lib/diffusion/frames.h"
#include "lib/image/tone.h"
#include "tests/diffusion/small.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { Most = 100 };

struct wish {
	enum dtn_sampler_kind kind;
	int workers, slots, n, frames, type;
	uint64_t first;
	bool x0_frames;
};

/* All samples of a wish; free with free(). */
static void *make(struct wish w, size_t *n)
{
	struct dtn_sampler_config config = { .kind = w.kind, .steps = Steps, .clip = true };
	struct dtn_sampler sampler;
	struct dtn_frames frames;
	struct dtn_net net;
	struct collected all = { .bytes = Image * dtn_type_size(w.type) };
	struct dtn_sampling s = {
		.graph = &graph, .net = &net, .sampler = &sampler, .seed = 3, .first = w.first,
		.n = w.n, .frames = w.frames, .x0_frames = w.x0_frames, .type = w.type,
		.slots = w.slots, .emit = collect, .arg = &all
	};

	all.data = dtn_alloc((size_t)w.n * (size_t)w.frames, all.bytes);
	dtn_sampler_init(&sampler, &config, &schedule, DTN_EPS);
	dtn_frames_even(&frames, w.frames, &sampler);
	s.after = frames.after;
	dtn_net_init(&net, &graph.graph, graph.prediction, false, dtn_cpu(NULL), w.workers,
		     weights);
	dtn_net_pack(&net);
	dtn_sample(&s);
	dtn_net_release(&net);
	dtn_frames_release(&frames);
	dtn_sampler_release(&sampler);
	*n = all.n;
	return all.data;
}

static void test_same(void)
{
	const struct wish all = { DTN_DDPM, 1, 1, Most, 1, DTN_F32, 0, false };
	static const struct { int workers, slots; uint64_t first; int n; } other[] = {
		{ 1, 2, 0, Most }, { 2, 2, 0, Most }, { 3, 4, 0, Most }, { 7, 14, 0, Most },
		{ 7, 1, 0, Most }, { 2, 4, 0, 1 }, { 2, 4, 1, 1 }, { 2, 4, 16, 16 },
		{ 2, 4, 15, 2 }, { 2, 4, 13, 50 }, { 2, 4, 32, 68 }, { 3, 3, 99, 1 }
	};
	size_t n;
	float *x = make(all, &n);
	bool same = n == Most, differ = memcmp(x, x + Image, Image * sizeof(*x)) != 0;

	check(same && differ, "as many images as wanted", "not so, or all the same");
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		struct wish w = all;
		float *y;
		w.workers = other[i].workers;
		w.slots = other[i].slots;
		w.first = other[i].first;
		w.n = other[i].n;
		y = make(w, &n);
		if (n != (size_t)w.n || memcmp(y, x + w.first * Image, n * Image * sizeof(*x))) {
			printf("# %d workers, %d slots, %d from %d\n", w.workers, w.slots, w.n,
			       (int)w.first);
			same = false;
		}
		free(y);
	}
	check(same, "any workers, slots and parts", "other images");
	free(x);
}

/* The loop written out, one slice, which is not the first, and no threads. */
static void test_loop(void)
{
	const uint64_t first = 3 * (uint64_t)graph.slice;

	static const char *const way[] = { "the way, ddim", "the way, ddpm", "the way, dpm++" },
				 *const frames[] = { "x0 frames, ddim", "x0 frames, ddpm",
						     "x0 frames, dpm++" };

	for (int kind = DTN_DDIM; kind <= DTN_DPM; kind++) {
		struct dtn_sampler_config config = {
			.kind = (enum dtn_sampler_kind)kind, .steps = Steps, .clip = true
		};
		const struct wish w = {
			config.kind, 2, 2, graph.slice, Steps + 1, DTN_F32, first, false
		};
		const struct wish w0 = {
			config.kind, 2, 2, graph.slice, Steps + 1, DTN_F32, first, true
		};
		const size_t all = (size_t)graph.slice * Image;
		struct dtn_sampler s;
		struct dtn_net net;
		size_t n, n0;
		float *got = make(w, &n), *got0 = make(w0, &n0), z[Image],
		      *x = dtn_alloc(all, sizeof(*x));
		float *x0 = dtn_alloc(all, sizeof(*x)), *before = dtn_alloc(all, sizeof(*x));
		bool same = n == all / Image * (Steps + 1), same0 = n0 == n;

		dtn_sampler_init(&s, &config, &schedule, DTN_EPS);
		dtn_net_init(&net, &graph.graph, graph.prediction, false, dtn_cpu(NULL), 1,
			     weights);
		dtn_net_pack(&net);
		for (int k = 0; k < graph.slice; k++)
			dtn_rng_normal(dtn_rng(3, DTN_RNG_START, first + (uint64_t)k, 0),
				       x + k * Image, Image);
		for (int i = 0; i <= Steps; i++) {
			const float *output = dtn_value(&net.run[0], graph.prediction);
			for (int k = 0; k < graph.slice; k++)
				same = same &&
				       !memcmp(x + k * Image, got + (k * (Steps + 1) + i) * Image,
					       Image * sizeof(*x));
			if (i == Steps)
				break;
			memcpy(dtn_value(&net.run[0], graph.x), x, all * sizeof(*x));
			for (int k = 0; k < graph.slice; k++)
				((int32_t *)dtn_value(&net.run[0], graph.t))[k] = s.t[i];
			dtn_forward(&net.run[0]);
			dtn_sampler_x0(&s, i, x0, x, output, all);
			for (int k = 0; k < graph.slice; k++) {
				dtn_rng_normal(
					dtn_rng(3, DTN_RNG_STEP, first + (uint64_t)k, (uint32_t)i),
					z, Image);
				dtn_sampler_step(&s, i, x + k * Image, output + k * Image, z,
						 before + k * Image, Image);
				same0 = same0 && !memcmp(x0 + k * Image,
							 got0 + (k * (Steps + 1) + i) * Image,
							 Image * sizeof(*x));
			}
		}
		for (int k = 0; k < graph.slice; k++)
			same0 = same0 &&
				!memcmp(x + k * Image, got0 + (k * (Steps + 1) + Steps) * Image,
					Image * sizeof(*x));
		check(same, way[kind], "not the sampler's");
		check(same0, frames[kind], "not the sampler's");
		dtn_net_release(&net);
		dtn_sampler_release(&s);
		free(got);
		free(got0);
		free(x);
		free(x0);
		free(before);
	}
}

/* Fewer or more frames than states: evenly spaced, the first and the last always there. */
static void test_frames(void)
{
	static const int state[][9] = { [1] = { 7 },
					[2] = { 0, 7 },
					[3] = { 0, 4, 7 },
					[4] = { 0, 2, 5, 7 },
					[9] = { 0, 1, 2, 3, 4, 4, 5, 6, 7 } };
	const struct wish whole = { DTN_DDIM, 2, 4, 3, Steps + 1, DTN_F32, 5, false };
	size_t n;
	float *x = make(whole, &n);
	bool good = true;

	for (int frames = 1; frames <= 9; frames++) {
		struct wish w = whole;
		float *y;
		w.frames = frames;
		y = make(w, &n);
		good = good && n == 3 * (size_t)frames;
		for (int k = 0; k < 3; k++)
			for (int f = 0; f < frames && (frames < 5 || frames > 8); f++)
				good = good &&
				       !memcmp(y + (k * frames + f) * Image,
					       x + (k * (Steps + 1) + state[frames][f]) * Image,
					       Image * sizeof(*x));
		free(y);
	}
	check(good, "frames", "others than evenly spaced ones");
	free(x);
}

static void test_bytes(void)
{
	const float x[] = {
		-1,        1,        0,       -2,       2,       NAN,
		-INFINITY, INFINITY, -0.996f, -0.9922f, 0.9961f, 0.5f
	};
	const uint8_t known[] = { 0, 255, 128, 0, 255, 0, 0, 255, 1, 1, 255, 191 };
	const struct wish w = { DTN_DDIM, 2, 4, 20, 2, DTN_F32, 0, false };
	struct wish bytes = w;
	uint8_t out[sizeof(known)], *y, *z = dtn_alloc(40, Image);
	float *f;
	size_t n, strange;

	strange = dtn_tone_to_u8(out, x, sizeof(known));
	check(strange == 1 && memcmp(out, known, sizeof(known)) == 0, "bytes",
	      "not (x+1) 127.5, rounded");
	bytes.type = DTN_U8;
	f = make(w, &n);
	y = make(bytes, &n);
	dtn_tone_to_u8(z, f, 40 * Image);
	check(memcmp(y, z, 40 * Image) == 0, "images as bytes", "others than as numbers");
	free(f);
	free(y);
	free(z);
}

/* Beginning at a step in the list, and at one between two. */
static void test_begin_at(void)
{
	static const int all[] = { 49, 39, 29, 19, 9 }, from29[] = { 29, 19, 9 },
			 from30[] = { 30, 29, 19, 9 };
	struct dtn_sampler_config config = { .steps = 5 };
	struct dtn_sampler s;
	bool good;

	dtn_sampler_init(&s, &config, &schedule, DTN_EPS);
	good = memcmp(s.t, all, sizeof(all)) == 0;
	dtn_sampler_begin_at(&s, 49);
	good &= s.config.steps == 5 && memcmp(s.t, all, sizeof(all)) == 0;
	dtn_sampler_begin_at(&s, 30);
	good &= s.config.steps == 4 && memcmp(s.t, from30, sizeof(from30)) == 0;
	dtn_sampler_begin_at(&s, 29);
	good &= s.config.steps == 3 && memcmp(s.t, from29, sizeof(from29)) == 0;
	dtn_sampler_begin_at(&s, 0);
	good &= s.config.steps == 1 && s.t[0] == 0;
	check(good, "beginning in the middle", "other steps");
	dtn_sampler_release(&s);
}

int main(void)
{
	make_network(0, 0.1f);
	test_same();
	test_loop();
	test_frames();
	test_bytes();
	test_begin_at();
	return failures != 0;
}
