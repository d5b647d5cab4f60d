/* drawn.c -- what chance decides in training: timesteps, flips, what is dropped, hidden classes. */
#include "tests/train/trainer.h"

#include "lib/diffusion/noise.h"
#include "lib/train/validate.h"

/* Any 100 samples in a row hit each tenth of the steps 10 times, within one; and none is out of
 * range. */
static void spread_evenly(void)
{
	bool even = true;

	for (uint64_t from = 0; from < 5000; from += 37) {
		int hits[10] = { 0 };

		for (uint64_t p = from; p < from + 100; p++) {
			int t = dtn_timestep_of(3, p, 1000);

			even &= t >= 0 && t < 1000;
			hits[t < 1000 && t >= 0 ? t / 100 : 0]++;
		}
		for (int i = 0; i < 10; i++)
			even &= hits[i] >= 8 && hits[i] <= 12;
	}
	check(even, "timesteps are spread evenly over any run of samples", "they bunch");
	check(dtn_timestep_of(3, 0, 1000) != dtn_timestep_of(4, 0, 1000),
	      "another seed begins elsewhere", "it does not");
}

static void half_mirrored(void)
{
	struct dtn_settings s = settings();
	int mirrored = 0, never = 0, all = 20000;

	for (int p = 0; p < all; p++)
		never += dtn_mirrored(&s, (uint64_t)p);
	s.flip = true;
	for (int p = 0; p < all; p++)
		mirrored += dtn_mirrored(&s, (uint64_t)p);
	/* the standard deviation is 71 */
	check(never == 0 && abs(mirrored - all / 2) < 350,
	      "half of the images are mirrored, if any", "more or fewer");
}

static struct { uint64_t seed, index; int id; } drawn[200];
static int draws;
static const struct dtn_kernel *plain_dropout;

static void noting_dropout(const struct dtn_call *c)
{
	if (draws < 200) {
		drawn[draws].seed = c->seed;
		drawn[draws].index = c->index;
		drawn[draws].id = c->id;
	}
	draws++;
	plain_dropout->forward(c);
}

/* Each slice of each step drops others: by the seed, its first sample and the node. */
static void masks(void)
{
	struct dtn_settings s = settings();
	struct dtn_backend backend = *dtn_cpu(NULL);
	struct dtn_kernel noting = *backend.kernel[DTN_OP_dropout];
	struct dtn_trainer *r = dtn_alloc(1, sizeof(*r));
	int each, per_step;
	bool good;

	plain_dropout = backend.kernel[DTN_OP_dropout];
	noting.forward = noting_dropout;
	backend.kernel[DTN_OP_dropout] = &noting;
	s.unet.dropout = 0.1f;
	s.batch = 19;
	dtn_trainer_init(r, &s, &data, &backend, DTN_F32, 1);
	dtn_trainer_start(r);
	for (int i = 0; i < 2; i++)
		dtn_trainer_step(r, 0);
	per_step = draws / 2;
	each = per_step / r->slices;
	good = r->slices == 3 && each > 4 && draws == 2 * 3 * each;
	for (int i = 0; i < draws && good; i++) {
		int sample = i / per_step * s.batch + i % per_step / each * r->slice;

		good = drawn[i].seed == s.seed && drawn[i].index == (uint64_t)sample &&
		       (i % each == 0 || drawn[i].id > drawn[i - 1].id);
	}
	check(good, "what is dropped differs from slice to slice", "other generators");
	end(r);
}

/* --- classes --------------------------------------------------------------------------------- */

/* A class is hidden as often as asked for, and is that of the image otherwise. */
static void hidden_classes(void)
{
	struct dtn_settings s = settings();
	int hidden = 0, wrong = 0, all = 20000;

	s.unet.classes = CLASSES;
	s.label_dropout = 0.3;
	for (int p = 0; p < all; p++) {
		uint32_t image = (uint32_t)p % N;
		int32_t label = dtn_class_of(&s, &data, image, (uint64_t)p);

		hidden += label == CLASSES && image != 7;
		wrong += label != CLASSES && label != (int)image % CLASSES;
		wrong += label != CLASSES && image == 7;
	}
	/* the standard deviation is 63 */
	check(abs(hidden - (int)(0.3 * all * (N - 1) / N)) < 300, "classes are hidden",
	      "not as often as asked for");
	check(wrong == 0, "a class that is not hidden is the image's", "another");
	s.label_dropout = 0;
	for (int p = 0; p < all; p++)
		wrong += dtn_class_of(&s, &data, 1, (uint64_t)p) != 1;
	s.label_dropout = 1;
	for (int p = 0; p < all; p++)
		wrong += dtn_class_of(&s, &data, 1, (uint64_t)p) != CLASSES;
	check(wrong == 0, "never hidden, and always", "not always");
}

/* A class is all that tells one image from another where almost nothing else is left of it: with
 * classes the noisy end is learned better. */
static void classes_matter(void)
{
	double last[2], unseen = 0;

	for (int k = 0; k < 2; k++) {
		struct dtn_settings s = settings();
		struct dtn_validator v;
		struct dtn_trainer *r;

		s.unet.classes = k ? CLASSES : 0;
		s.label_dropout = 0;
		s.predict = DTN_X0;
		s.rate = 3e-3;
		s.batch = 32;
		s.schedule = (struct dtn_schedule_config){ .steps = 1, .kind = DTN_CONSTANT,
			.beta_first = 0.998, .beta_last = 0.998 };
		r = begin(&s, 2);
		for (int i = 0; i < 3 * N; i++)         /* three images, one of each class */
			r->split.train[i % N] = (uint32_t)(i % 3);
		for (int i = 0; i < 300; i++)
			last[k] = dtn_trainer_step(r, 0).loss;
		for (int i = 0; i < 3; i++)
			r->split.held[i] = (uint32_t)i;
		r->split.helds = 3;
		if (k) {
			dtn_validator_init(&v, r, NULL);
			unseen = dtn_validate(&v).loss;
			dtn_validator_release(&v);
		}
		end(r);
	}
	check(last[1] < 0.5 * last[0], "a class tells the network what the image will be",
	      "it learns as little without");
	check(unseen < 0.5 * last[0], "validation tells the classes, too", "it does not");
	printf("# loss %g without classes, %g with, %g validating\n", last[0], last[1], unseen);
}

int main(int argc, char **argv)
{
	(void)argc;
	make_data(argv);
	spread_evenly();
	half_mirrored();
	masks();
	hidden_classes();
	classes_matter();
	dtn_data_release(&data);
	return failures > 0;
}
