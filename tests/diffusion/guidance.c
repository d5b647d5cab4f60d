/* tests/diffusion/guidance.c -- images of classes: how often the network is asked, and which steps
 * are guided. */
#include "lib/diffusion/frames.h"
#include "tests/diffusion/small.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* x before each step, and after the last: */
enum { Frames = Steps + 1, Images = 20 };

static atomic_int asked;
static const struct dtn_kernel *plain;

static void counting(const struct dtn_call *c)
{
	atomic_fetch_add(&asked, 1);
	plain->forward(c);
}

struct guidance {
	int labels;                     /* 0: images of no class */
	double scale;
	int low, high;                  /* timesteps */
	const float *start;             /* [Images,H,W,C] at step `skipped`; NULL: of noise */
	int skipped;
};

/* The frames [Images,Frames,H,W,C], fewer where steps were skipped, of images of a network with
 * three classes, and how often it was asked. */
static float *of_classes(struct guidance how, int *questions)
{
	static const int32_t labels[] = { 2, 0, 1 };
	struct dtn_sampler_config config = { .steps = Steps, .clip = true };
	struct collected all = { .bytes = Image * sizeof(float) };
	struct dtn_backend backend = *dtn_cpu(NULL);
	struct dtn_kernel last;
	struct dtn_sampler sampler;
	struct dtn_frames frames;
	struct dtn_net net;
	struct dtn_sampling s = {
		.graph = &graph, .net = &net, .sampler = &sampler, .seed = 3, .n = Images,
		.start = how.start, .frames = Frames - how.skipped, .type = DTN_F32, .slots = 4,
		.emit = collect, .arg = &all, .label = labels, .labels = how.labels,
		.guidance = how.scale, .guide_at = { how.low, how.high }
	};

	plain = backend.kernel[DTN_OP_crop];
	last = *plain;
	last.forward = counting;
	backend.kernel[DTN_OP_crop] = &last;    /* every answer of the network is cropped */
	all.data = dtn_alloc(Images * Frames, all.bytes);
	dtn_sampler_init(&sampler, &config, &schedule, DTN_EPS);
	dtn_sampler_begin_at(&sampler, sampler.t[how.skipped]);
	dtn_frames_even(&frames, s.frames, &sampler);
	s.after = frames.after;
	dtn_net_init(&net, &graph.graph, graph.prediction, false, &backend, 2, weights);
	dtn_net_pack(&net);
	atomic_store(&asked, 0);
	dtn_sample(&s);
	*questions = atomic_load(&asked);
	dtn_net_release(&net);
	dtn_frames_release(&frames);
	dtn_sampler_release(&sampler);
	return (float *)all.data;
}

/* The questions asked are as many as needed, and guidance 0 is no class, to the last bit. */
static void test_guidance(void)
{
	float *none, *zero, *one, *two;
	int asked_none, asked_zero, asked_one, asked_two, slices;
	const size_t bytes = Images * Frames * Image * sizeof(float);

	slices = (Images + graph.slice - 1) / graph.slice;
	none = of_classes((struct guidance){ .high = 49 }, &asked_none);
	zero = of_classes((struct guidance){ 3, 0, 0, 49, NULL, 0 }, &asked_zero);
	one = of_classes((struct guidance){ 3, 1, 0, 49, NULL, 0 }, &asked_one);
	two = of_classes((struct guidance){ 3, 2, 0, 49, NULL, 0 }, &asked_two);
	check(memcmp(none, zero, bytes) == 0, "guidance 0", "is not without classes");
	check(memcmp(zero, one, bytes) != 0 && memcmp(one, two, bytes) != 0, "guidance",
	      "changes nothing");
	check(asked_none == slices * Steps && asked_zero == asked_none && asked_one == asked_none,
	      "guidance 0 and 1 ask once", "another number of questions");
	check(asked_two == 2 * asked_none, "guidance 2 asks twice", "another number of questions");
	free(none);
	free(zero);
	free(one);
	free(two);
}

/* How many frames of all images are the same in two runs, up to the first that is not? */
static int same_frames(const float *a, const float *b)
{
	for (int f = 0; f < Frames; f++)
		for (int k = 0; k < Images; k++)
			if (memcmp(a + (k * Frames + f) * Image, b + (k * Frames + f) * Image,
				   Image * sizeof(*a)) != 0)
				return f;
	return Frames;
}

/* The rest of the way of `whole`, begun at its frame f with other guidance, is the same. */
static bool goes_on_as(const float *whole, int f, struct guidance how)
{
	const int left = Frames - f;
	float *start = dtn_alloc(Images * Image, sizeof(*start)), *rest;
	bool same = true;
	int questions;

	for (int k = 0; k < Images; k++)
		memcpy(start + k * Image, whole + (k * Frames + f) * Image, Image * sizeof(*start));
	how.start = start;
	how.skipped = f;
	rest = of_classes(how, &questions);
	for (int k = 0; k < Images; k++)
		same &= memcmp(rest + k * left * Image, whole + (k * Frames + f) * Image,
			       (size_t)left * Image * sizeof(*rest)) == 0;
	free(start);
	free(rest);
	return same;
}

/* Guided are the steps of an interval, with its ends, and no others: steps 2, 3 and 4 of 7. */
static void test_interval(void)
{
	const struct guidance unguided = { 3, 1, 0, 49, NULL, 0 };
	struct guidance middle = { 3, 2, 0, 0, NULL, 0 }, between = middle;
	struct dtn_sampler_config config = { .steps = Steps };
	struct dtn_sampler sampler;
	float *one, *some, *none;
	int asked_one, asked_some, asked_none, slices;

	dtn_sampler_init(&sampler, &config, &schedule, DTN_EPS);
	middle.high = sampler.t[2];
	middle.low = sampler.t[4];
	between.high = sampler.t[2] - 1;
	between.low = sampler.t[3] + 1;
	dtn_sampler_release(&sampler);
	slices = (Images + graph.slice - 1) / graph.slice;
	one = of_classes(unguided, &asked_one);
	some = of_classes(middle, &asked_some);
	none = of_classes(between, &asked_none);
	check(same_frames(one, some) == 3, "before the interval", "not the images of guidance 1");
	check(goes_on_as(some, 2, middle) && !goes_on_as(some, 2, unguided), "going on",
	      "other images");
	check(!goes_on_as(some, 4, unguided), "the end of the interval", "is not guided");
	check(goes_on_as(some, 5, unguided), "after the interval", "not the images of guidance 1");
	check(asked_one == slices * Steps && asked_some == asked_one + 3 * slices &&
	      asked_none == asked_one, "an interval", "another number of questions");
	check(same_frames(one, none) == Frames, "an interval between two steps", "changes images");
	free(one);
	free(some);
	free(none);
}

int main(void)
{
	make_network(3, 0.2f);
	test_guidance();
	test_interval();
	return failures != 0;
}
