/* trainer.h -- what tests of training need: a few images, settings, a trainer of them, and formulas
 * in double precision. */
#ifndef DTN_TESTS_TRAINER_H
#define DTN_TESTS_TRAINER_H

#include "lib/output.h"
#include "lib/train/step.h"
#include "tests/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A size that the network must pad. */
enum { H = 7, W = 6, C = 2, BYTES = H * W * C, N = 23, T = 100, CLASSES = 3 };

static uint8_t pixels[N * BYTES];
static struct dtn_data data;

/* Begin the program; of the images, number 7 has no class. */
static inline void make_data(char **argv)
{
	char path[] = "/tmp/dtn-train-XXXXXX";
	uint64_t dim[] = { N, H, W, C };
	struct dtn_tensor t[] = { dtn_tensor("image", DTN_IMAGE, DTN_U8, true, 4, dim),
				  dtn_tensor("label", DTN_LABEL, DTN_I32, true, 1, dim) };
	struct dtn_record r = { .samples = N, .tensors = 2, .tensor = t };
	int32_t label[N];
	const void *tensors[] = { pixels, label };
	struct dtn_meta meta = { 0 };
	struct dtn_prov prov = { 0 };
	char *operand[] = { path };
	struct dtn_output out;
	struct dtn_writer *w;

	dtn_begin(argv);
	close(mkstemp(path));
	for (int i = 0; i < N * BYTES; i++)
		pixels[i] = (uint8_t)(i * 37 + i / BYTES * 11);
	for (int i = 0; i < N; i++)
		label[i] = i == 7 ? DTN_NO_CLASS : i % CLASSES;
	dtn_output_open(&out, path, false);
	w = dtn_writer_open(&out, 1);
	dtn_write_segment(w, DTN_SAMPLES, &meta, &prov);
	dtn_write_record(w, &r, tensors);
	dtn_write_end(w);
	dtn_writer_close(w);
	dtn_output_commit(&out);
	dtn_data_open(&data, 1, operand, UINT64_MAX);
	dtn_data_classes(&data, NULL);
	dtn_data_load(&data, NULL, NULL);
	unlink(path);
}

static inline struct dtn_settings settings(void)
{
	struct dtn_settings s;

	dtn_settings_default(&s);
	s.unet = (struct dtn_unet){ H, W, C, 8, 2, { 1, 2 }, 1, 0, { 0 }, 1, .groups = 4 };
	s.schedule = (struct dtn_schedule_config){ .steps = T, .kind = DTN_COSINE };
	s.batch = 5;
	s.seed = 11;
	s.warmup = 0;
	return s;
}

static inline struct dtn_trainer *begin(const struct dtn_settings *s, int workers)
{
	struct dtn_trainer *r = dtn_alloc(1, sizeof(*r));

	dtn_trainer_init(r, s, &data, dtn_cpu(NULL), DTN_F32, workers);
	dtn_trainer_start(r);
	return r;
}

/* A network that says 0 of everything. */
static inline struct dtn_trainer *begin_silent(const struct dtn_settings *s, int workers)
{
	struct dtn_trainer *r = begin(s, workers);

	for (dtn_id i = 0; i < r->graph.graph.n; i++) {
		const struct dtn_node *x = &r->graph.graph.node[i];

		if (x->op == DTN_OP_PARAM && !strncmp(x->name, "conv_out.", 9))
			memset(r->net.param + x->param, 0,
			       dtn_shape_count(x->shape) * sizeof(float));
	}
	dtn_optim_start(&r->optim);
	dtn_trainer_ready(r);
	return r;
}

static inline void end(struct dtn_trainer *r)
{
	dtn_trainer_release(r);
	free(r);
}

static inline bool same_weights(const struct dtn_trainer *a, const struct dtn_trainer *b)
{
	size_t bytes = a->graph.graph.params * sizeof(float);

	return memcmp(a->net.param, b->net.param, bytes) == 0 &&
	       memcmp(a->optim.m, b->optim.m, bytes) == 0 &&
	       memcmp(a->optim.v, b->optim.v, bytes) == 0 &&
	       memcmp(a->optim.ema, b->optim.ema, bytes) == 0;
}

/* --- formulas --------------------------------------------------------------------------------- */

/* The cosine schedule [Nichol & Dhariwal 2021, eq. 17], betas clipped at 0.999. */
static inline double alpha_bar(int t)
{
	const double pi = acos(-1);
	double product = 1;

	for (int i = 0; i <= t; i++) {
		double a = cos(((i + 1.0) / T + 0.008) / 1.008 * pi / 2);
		double b = cos(((double)i / T + 0.008) / 1.008 * pi / 2);
		product *= 1 - fmin(1 - a * a / (b * b), 0.999);
	}
	return product;
}

static inline double min_snr(enum dtn_predict predict, double snr)
{
	double least = fmin(snr, 5);

	return predict == DTN_X0 ? least : predict == DTN_EPS ? least / snr : least / (snr + 1);
}

/* Number i of an image as the network is shown it, in [-1,1]. */
static inline double shown(uint32_t image, bool mirror, int i)
{
	int x = i / C % W, from = mirror ? i + (W - 1 - 2 * x) * C : i;

	return pixels[image * BYTES + (uint32_t)from] / 127.5 - 1;
}

#endif
