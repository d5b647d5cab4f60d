/* queue.c -- test what a device with a queue does before and after the network: noise, sampling,
 * losses.  All of it but the loss has the CPU's bits. */
#include "tests/op/device.h"

#include "lib/diffusion/sample.h"
#include "lib/diffusion/schedule.h"
#include "lib/rng.h"
#include "lib/train/memory.h"

#include <math.h>

/* --- noise: the CPU's bits -------------------------------------------------------------------- */

enum { S = 4, H = 5, W = 7, C = 3, IMAGE = H * W * C };

static const uint64_t draw[2] = { 0x123456789abcdef0, 0xfedcba9876543210 };

/* x_t and target of one sample as lib/train/step.c makes them. */
static void by_cpu(const struct dtn_schedule *schedule, enum dtn_predict predict,
		   const struct dtn_sample *s, const uint8_t *pixels, float *x, float *target)
{
	float x0[IMAGE], eps[IMAGE];

	for (int y = 0; y < H; y++)
		for (int i = 0; i < W; i++)
			for (int c = 0; c < C; c++) {
				int from = (y * W + (s->mirror ? W - 1 - i : i)) * C + c;
				x0[(y * W + i) * C + c] =
					(float)pixels[from] * (2.0f / 255) - 1;
			}
	dtn_rng_normal(dtn_rng(draw[0], DTN_RNG_NOISE, s->position, 0), eps, IMAGE);
	dtn_add_noise(schedule, s->t, x, x0, eps, IMAGE);
	dtn_target(schedule, s->t, predict, target, x0, eps, IMAGE);
	for (int i = 0; s->empty && i < IMAGE; i++)
		x[i] = target[i] = 0;
}

static void check_noise(const struct dtn_schedule *schedule, enum dtn_predict predict,
			const char *name)
{
	static const int kind[] = { [DTN_EPS] = 0, [DTN_X0] = 1, [DTN_V] = 2 };
	uint8_t pixels[S * IMAGE];
	struct dtn_sample sample[S] = { { 0 } };
	float x[S * IMAGE], target[S * IMAGE], want_x[IMAGE], want_target[IMAGE];
	int32_t t[S];
	struct dtn_noise_call call = { .S = S, .H = H, .W = W, .C = C, .predict = kind[predict],
				       .purpose = DTN_RNG_NOISE };
	const char *wrong = NULL;

	for (int i = 0; i < S * IMAGE; i++)
		pixels[i] = (uint8_t)bits();
	for (int s = 0; s < S; s++) {
		double ab;

		sample[s].position = ((uint64_t)bits() << 32) + bits();
		sample[s].t = (int32_t)(bits() % 1000);
		sample[s].mirror = s % 2;
		sample[s].empty = s == 3;
		ab = dtn_alpha_bar(schedule, sample[s].t);
		sample[s].image = (float)sqrt(ab);
		sample[s].noise = (float)sqrt(1 - ab);
	}
	call.draw = sent(draw, sizeof(draw));
	call.pixels = sent(pixels, sizeof(pixels));
	call.sample = sent(sample, sizeof(sample));
	call.x = garbage(sizeof(x));
	call.target = garbage(sizeof(target));
	call.t = garbage(sizeof(t));
	device->queue->noise(&call);
	receive(x, call.x, sizeof(x));
	receive(target, call.target, sizeof(target));
	receive(t, call.t, sizeof(t));
	device->free((void *)call.draw);
	device->free((void *)call.pixels);
	device->free((void *)call.sample);
	for (int s = 0; s < S; s++) {
		by_cpu(schedule, predict, &sample[s], pixels + s * IMAGE, want_x, want_target);
		if (memcmp(want_x, x + s * IMAGE, sizeof(want_x)) != 0)
			wrong = "x_t has other bits";
		if (memcmp(want_target, target + s * IMAGE, sizeof(want_target)) != 0)
			wrong = "the target has other bits";
		if (t[s] != (sample[s].empty ? 0 : sample[s].t))
			wrong = "t is wrong";
	}
	judge(name, wrong);
}

/* --- sampling --------------------------------------------------------------------------------- */

static void check_start(size_t image)
{
	float *x = malloc(S * image * sizeof(float)), *want = malloc(image * sizeof(float));
	void *on = garbage(S * image * sizeof(float)), *from = sent(draw, sizeof(draw));
	const char *wrong = NULL;

	device->queue->start(on, from, S, image);
	receive(x, on, S * image * sizeof(float));
	device->free(from);
	for (uint64_t s = 0; s < S; s++) {
		dtn_rng_normal(dtn_rng(draw[0], DTN_RNG_START, draw[1] + s, 0), want, image);
		if (memcmp(want, x + s * image, image * sizeof(float)) != 0)
			wrong = "x_T has other bits";
	}
	judge(image == 1 ? "x_T of one number" : "x_T", wrong);
	free(x);
	free(want);
}

static float held(float x, float bound)
{
	return x > bound ? bound : x < -bound ? -bound : x;
}

/* The arithmetic of dtn_sampler_step, with coefficients of any kind. */
static void step_by_cpu(const struct dtn_coefficients *k, int step, uint64_t image, float *x,
			const float *output, float *before)
{
	float z[IMAGE];

	dtn_rng_normal(dtn_rng(draw[0], DTN_RNG_STEP, draw[1] + image, (uint32_t)step), z, IMAGE);
	for (int i = 0; i < IMAGE; i++) {
		float x0 = held(k->cx * x[i] + k->co * output[i], k->bound);

		x[i] = k->x0 * x0 + k->x * x[i];
		if (k->x0_before != 0)
			x[i] += k->x0_before * before[i];
		before[i] = x0;
		if (k->noise > 0)
			x[i] += k->noise * z[i];
	}
}

static void check_step(bool guided, bool looks_back)
{
	enum { STEPS = 3 };
	struct dtn_coefficients table[STEPS + 1];
	float x[S * IMAGE], output[S * IMAGE], with[S * IMAGE], got[S * IMAGE], before[S * IMAGE];
	int32_t step = 0, t[S];
	struct dtn_step_call call = { .S = S, .image = IMAGE };
	const char *wrong = NULL;

	for (int i = 0; i <= STEPS; i++)
		table[i] = (struct dtn_coefficients){
			.cx = number(), .co = number(), .bound = i == 1 ? INFINITY : 0.5f,
			.x0 = number(), .x = number(),
			.x0_before = looks_back && i > 0 ? number() : 0,
			.noise = i == 2 ? 0 : 0.7f, .t = 900 - 17 * i
		};
	for (int i = 0; i < S * IMAGE; i++) {
		x[i] = 3 * number();
		output[i] = number();
		with[i] = number();
	}
	call.x = sent(x, sizeof(x));
	call.output = sent(output, sizeof(output));
	if (guided) {
		call.with = sent(with, sizeof(with));
		call.guidance = 2.5f;
	}
	for (int i = 0; guided && i < S * IMAGE; i++)
		output[i] += call.guidance * (with[i] - output[i]);
	if (looks_back)
		call.x0_before = garbage(sizeof(before));
	call.t = garbage(sizeof(t));
	call.table = sent(table, sizeof(table));
	call.step = sent(&step, sizeof(step));
	call.draw = sent(draw, sizeof(draw));
	for (int i = 0; i < STEPS; i++) {
		device->queue->step(&call);
		for (int s = 0; s < S; s++)
			step_by_cpu(&table[i], i, (uint64_t)s, x + s * IMAGE, output + s * IMAGE,
				    before + s * IMAGE);
		device->get(got, call.x, sizeof(got));
		device->get(t, call.t, sizeof(t));
		if (memcmp(got, x, sizeof(x)) != 0)
			wrong = "x has other bits";
		for (int s = 0; s < S; s++)
			if (t[s] != table[i + 1].t)
				wrong = "t is not that of the next step";
	}
	judge(guided ? "sampling steps with guidance" : looks_back ?
	      "sampling steps that look back" : "sampling steps", wrong);
	device->free(call.x);
	device->free((void *)call.output);
	if (guided)
		device->free((void *)call.with);
	if (looks_back)
		device->free(call.x0_before);
	device->free(call.t);
	device->free((void *)call.table);
	device->free(call.step);
	device->free((void *)call.draw);
}

/* --- the end of a training step --------------------------------------------------------------- */

static void check_tally(void)
{
	struct dtn_sample sample[S] = { { 0 } };
	struct dtn_state state;
	float loss[S], dloss[S];
	double want = 0;
	struct dtn_tally_call call = { .S = S, .first = true };
	const char *wrong = NULL;

	memset(&state, 0xff, sizeof(state));
	for (int s = 0; s < S; s++) {
		loss[s] = number();
		sample[s].weight = number();
		sample[s].gradient = number();
		want += 2 * (double)loss[s] * (double)sample[s].weight;
	}
	call.state = sent(&state, sizeof(state));
	call.loss = sent(loss, sizeof(loss));
	call.dloss = garbage(sizeof(dloss));
	call.sample = sent(sample, sizeof(sample));
	device->queue->tally(&call);
	call.first = false;
	device->queue->tally(&call);
	receive(&state, call.state, sizeof(state));
	receive(dloss, call.dloss, sizeof(dloss));
	device->free((void *)call.loss);
	device->free((void *)call.sample);
	if (!(fabs(state.loss - want) <= 1e-12))
		wrong = "the loss is wrong";
	for (int s = 0; s < S; s++)
		if (dloss[s] != sample[s].gradient)
			wrong = "a loss's gradient is wrong";
	judge("tally", wrong);
}

/* --- the size of a slice ---------------------------------------------------------------------- */

/* Of images so small that more of them would fit into memory. */
static void check_slices(void)
{
	enum { MANY = DTN_MOST_IMAGES + 5 };
	struct dtn_settings s;

	dtn_settings_default(&s);
	s.unet = (struct dtn_unet){ 2, 2, 1, 4, 1, { 1 }, .blocks = 1, .heads = 1, .groups = 1 };
	s.batch = MANY;
	judge("images of a slice when sampling",
	      dtn_sampling_slice(&s.unet, device, DTN_BF16, MANY) == DTN_MOST_IMAGES ?
		      NULL : "more than a grid has, or too few");
	judge("images of a slice when training",
	      dtn_fit_slice(&s, device, DTN_BF16) == (MANY + 1) / 2 ?
		      NULL : "not the half of too many");
}

int main(void)
{
	const struct dtn_schedule_config config = { .kind = DTN_LINEAR, .steps = 1000 };
	struct dtn_schedule schedule;

	device = dtn_test_cuda();
	if (!device) {
		printf("ok queue, cuda # skip: not on this machine\n");
		return 0;
	}
	dtn_schedule_init(&schedule, &config);
	check_noise(&schedule, DTN_EPS, "noise as target");
	check_noise(&schedule, DTN_X0, "image as target");
	check_noise(&schedule, DTN_V, "v as target");
	dtn_schedule_release(&schedule);
	check_start(1);
	check_start(1000);
	check_step(false, false);
	check_step(true, false);
	check_step(false, true);
	check_tally();
	check_slices();
	return failed;
}
