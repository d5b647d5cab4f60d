/* noised.c -- is each noised image of a stream what it should be, to the last bit?
 *
 *      noised [-p] FILE
 *
 * Prints "t IMAGE NOISE" for each sample: its timestep; "exact" where x_t is a x_0 + b eps with one
 * rounding for each of a, b, b eps and the sum, else "off"; the number of the image whose noise it
 * has under the stream's seed, or "-". With -p: "IMAGE" alone, for initial noise.
 */
#include "format/dtn.h"
#include "lib/diffusion/schedule.h"
#include "lib/model.h"
#include "lib/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 100 };    /* images that are looked for */

static bool pure;
static uint64_t seed;
static struct dtn_schedule schedule;

static const void *get(struct dtn_reader *in, const struct dtn_record *r, int role)
{
	int i = dtn_find_tensor(r, role, NULL);
	void *data;

	if (i < 0)
		dtn_die(DTN_INPUT, "no tensor of role %s", dtn_role_name(role));
	data = dtn_alloc(r->tensor[i].bytes, 1);
	dtn_read_tensor(in, i, data);
	return data;
}

static int whose(const float *eps, size_t n)
{
	float *own = dtn_alloc(n, sizeof(*own));
	int found = -1;

	for (int i = 0; i < MOST && found < 0; i++) {
		dtn_rng_normal(dtn_rng(seed, pure ? DTN_RNG_START : DTN_RNG_NOISE, (uint64_t)i, 0),
			       own, n);
		if (!memcmp(own, eps, n * sizeof(*own)))
			found = i;
	}
	free(own);
	return found;
}

static bool exact(const void *image, bool bytes, const float *xt, const float *eps, size_t at,
		  size_t n, int t)
{
	const float a = (float)sqrt(schedule.alpha_bar[t]),
		    b = (float)sqrt(1 - schedule.alpha_bar[t]);

	for (size_t k = at; k < at + n; k++) {
		float x0 = bytes ? (float)((const uint8_t *)image)[k] * (2.0f / 255) - 1 :
				   ((const float *)image)[k];
		float rebuilt = fmaf(a, x0, b * eps[k]);
		if (memcmp(&rebuilt, &xt[k], sizeof(rebuilt)))
			return false;
	}
	return true;
}

static void show(struct dtn_reader *in, const struct dtn_record *r)
{
	const int i = dtn_find_tensor(r, DTN_IMAGE, NULL);
	const bool bytes = i >= 0 && r->tensor[i].type == DTN_U8;
	const size_t n = (size_t)(r->tensor[dtn_find_tensor(r, DTN_NOISE, NULL)].bytes / 4 /
				  r->samples);
	const void *image = pure ? NULL : get(in, r, DTN_IMAGE);
	const float *xt = pure ? NULL : get(in, r, DTN_NOISED);
	const int32_t *t = pure ? NULL : get(in, r, DTN_TIMESTEP);
	const float *eps = get(in, r, DTN_NOISE);

	for (size_t j = 0; j < r->samples; j++) {
		int owner = whose(eps + j * n, n);
		if (!pure)
			printf("%d %s ", t[j],
			       exact(image, bytes, xt, eps, j * n, n, t[j]) ? "exact" : "off");
		printf(owner < 0 ? "-\n" : "%d\n", owner);
	}
}

int main(int argc, char **argv)
{
	struct dtn_schedule_config config;
	const struct dtn_record *r;
	struct dtn_reader *in;

	dtn_begin(argv);
	pure = argc > 2 && !strcmp(argv[1], "-p");
	in = dtn_reader_open(1, &argv[argc - 1], DTN_SAMPLES);
	while (dtn_next_segment(in)) {
		seed = strtoull(dtn_meta_get(dtn_reader_meta(in), "noise.seed"), NULL, 10);
		if (!pure) {
			dtn_schedule_from_meta(&config, dtn_reader_meta(in), argv[argc - 1]);
			dtn_schedule_init(&schedule, &config);
		}
		while ((r = dtn_next_record(in)))
			show(in, r);
	}
	return 0;
}
