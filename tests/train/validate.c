/* validate.c -- a validation is the loss of the averaged weights, always on the same questions. */
#include "lib/train/validate.h"

#include "lib/rng.h"
#include "tests/train/trainer.h"

static void validation(void)
{
	struct dtn_settings s = settings();
	struct dtn_trainer *a = begin_silent(&s, 2), *b = begin_silent(&s, 2), *c;
	struct dtn_validator v;
	struct dtn_validation first, second;
	double sum = 0, whole;

	s.held_back = 0.3;
	c = begin_silent(&s, 3);
	dtn_validator_init(&v, c, NULL);
	first = dtn_validate(&v);
	second = dtn_validate(&v);
	check(memcmp(&first, &second, sizeof(first)) == 0, "a validation repeats exactly",
	      "it does not");
	for (int bin = 0; bin < DTN_BINS; bin++)
		sum += first.bin[bin] / DTN_BINS;
	check(fabs(sum - first.loss) < 0.02 * sum, "bins are parts of the whole", "they are not");
	/* The network is silent: at the noisy end v is -x0, at the clean end eps, whose mean
	 * square is 1. */
	check(fabs(first.bin[0] - 1) < 0.1, "the first bin is the clean end",
	      "its loss is not that of eps");
	whole = first.loss;
	for (int i = 0; i < 60; i++)
		dtn_trainer_step(c, 0);
	check(dtn_validate(&v).loss < 0.9 * whole,
	      "training lowers the loss of images it has not seen", "it does not");
	memcpy(c->optim.ema, a->net.param, c->graph.graph.params * sizeof(float));
	check(dtn_validate(&v).loss == whole, "averaged weights are validated", "other ones are");
	dtn_validator_release(&v);

	dtn_validator_init(&v, a, &data);
	dtn_trainer_step(a, 0);
	dtn_validate(&v);
	dtn_trainer_step(a, 0);
	dtn_validator_release(&v);
	dtn_trainer_step(b, 0);
	dtn_trainer_step(b, 0);
	check(same_weights(a, b), "validation leaves training alone", "weights differ");
	end(a);
	end(b);
	end(c);
}

/* The validation of a silent network: timesteps by the golden ratio, noise by the number of the
 * evaluation, the images in turn, as often as it takes to have enough. */
static void by_formula(enum dtn_predict predict, const char *name)
{
	struct dtn_settings s = settings();
	double want = 0, bin[DTN_BINS] = { 0 }, worst;
	int count[DTN_BINS] = { 0 }, n = 0;
	struct dtn_validation found;
	struct dtn_validator v;
	struct dtn_trainer *r;

	s.predict = predict;
	s.weight = DTN_MIN_SNR;
	s.flip = true;                  /* not here */
	s.held_back = 0.3;
	r = begin_silent(&s, 2);
	dtn_validator_init(&v, r, NULL);
	found = dtn_validate(&v);
	while (n < 256)
		n += (int)r->split.helds;
	for (int i = 0; i < n; i++) {
		uint32_t image = r->split.held[i % (int)r->split.helds];
		double u = (i + 0.5) * (sqrt(5) - 1) / 2, ab, loss = 0;
		int t = (int)((u - floor(u)) * T);
		float eps[BYTES];

		dtn_rng_normal(dtn_rng(s.seed, DTN_RNG_VALIDATION, (uint64_t)i, 0), eps, BYTES);
		ab = alpha_bar(t);
		for (int k = 0; k < BYTES; k++) {
			double x0 = shown(image, false, k);
			double target = predict == DTN_X0 ? x0 :
					sqrt(ab) * eps[k] - sqrt(1 - ab) * x0;

			loss += target * target / BYTES;
		}
		loss *= min_snr(predict, ab / (1 - ab));
		want += loss / n;
		bin[t * DTN_BINS / T] += loss;
		count[t * DTN_BINS / T]++;
	}
	worst = fabs(found.loss / want - 1);
	for (int b = 0; b < DTN_BINS; b++)
		worst = fmax(worst, fabs(found.bin[b] / (bin[b] / count[b]) - 1));
	check(worst < 1e-5, name, "another loss");
	dtn_validator_release(&v);
	end(r);
}

int main(int argc, char **argv)
{
	(void)argc;
	make_data(argv);
	validation();
	by_formula(DTN_X0, "the loss of a validation by its formula: x0");
	by_formula(DTN_V, "the loss of a validation by its formula: v");
	dtn_data_release(&data);
	return failures > 0;
}
