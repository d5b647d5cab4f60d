/* tests/model.c -- a model file reads as it was written, and anything else is refused with a
 * reason. */
#include "lib/model.h"
#include "lib/output.h"
#include "lib/rng.h"
#include "tests/check.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[64] = "/tmp/dtn-model-XXXXXX";

static const struct dtn_model small = {
	.unet = { 13, 7, 2, 8, 3, { 1, 2, 3 }, 1, 2, { 16, 8 }, 2, 4, .dropout = 0.1f },
	.schedule = { .steps = 50, .kind = DTN_QUADRATIC, .beta_first = 1e-3, .beta_last = 0.3 },
	.predict = DTN_V
};

/* --- configuration ---------------------------------------------------------------------------- */

static bool same_configuration(const struct dtn_model *a, const struct dtn_model *b)
{
	struct dtn_meta x = { 0 }, y = { 0 };
	bool same;

	dtn_model_to_meta(a, &x);
	dtn_model_to_meta(b, &y);
	same = x.n == y.n;
	for (int i = 0; same && i < x.n; i++)
		same = !strcmp(x.pair[i].key, y.pair[i].key) &&
		       !strcmp(x.pair[i].value, y.pair[i].value);
	dtn_meta_release(&x);
	dtn_meta_release(&y);
	return same && a->predict == b->predict && a->schedule.kind == b->schedule.kind &&
		a->schedule.zero_snr == b->schedule.zero_snr && a->unet.attns == b->unet.attns &&
		a->unet.attention == b->unet.attention &&
		memcmp(a->unet.mult, b->unet.mult, sizeof(a->unet.mult)) == 0;
}

/* Of three names, two have a comma or a percent sign in them. */
static void test_classes(void)
{
	struct dtn_model m = small, back = { 0 };
	struct dtn_meta meta = { 0 };
	uint64_t without = dtn_unet_parameters(&m.unet);

	m.unet.classes = 3;
	dtn_meta_set(&meta, "labels", "cat,a%%2Cb,%%25");
	dtn_model_to_meta(&m, &meta);
	dtn_model_from_meta(&back, &meta, "test");
	check(back.unet.classes == 3, "classes", "are not read as written");
	check(dtn_unet_parameters(&back.unet) == without + 4 * 32,
	      "the table of classes has a row for each and one for none", "it has others");
	dtn_meta_release(&meta);
}

static void test_configuration(void)
{
	struct dtn_model m = small, back = { 0 };
	struct dtn_schedule s, again;
	bool good = true, exact = true;

	for (int kind = DTN_LINEAR; kind < DTN_SCHEDULE_KINDS; kind++)
		for (int p = DTN_EPS; p <= DTN_V; p++) {
			struct dtn_meta meta = { 0 };
			m.schedule =
				(struct dtn_schedule_config){ .steps = 123,
							      .kind = (enum dtn_schedule_kind)kind,
							      .zero_snr = p == DTN_X0 };
			m.predict = (enum dtn_predict)p;
			m.unet.attns = p;
			m.unet.attention = p == DTN_X0 ? DTN_LINEAR_ATTENTION :
							 DTN_SOFTMAX_ATTENTION;
			dtn_model_to_meta(&m, &meta);
			dtn_model_from_meta(&back, &meta, "test");
			good = good && same_configuration(&m, &back);
			dtn_schedule_init(&s, &m.schedule);
			dtn_schedule_init(&again, &back.schedule);
			exact = exact &&
				memcmp(s.alpha_bar, again.alpha_bar, 123 * sizeof(double)) == 0;
			dtn_schedule_release(&s);
			dtn_schedule_release(&again);
			dtn_meta_release(&meta);
		}
	check(good, "configuration", "reads otherwise than written");
	test_classes();
	check(exact, "schedule", "differs after reading");
}

/* What a child says and how it ends, when it reads metadata with one value changed. */
static int child(void (*job)(const void *), const void *arg, char said[512])
{
	int status, fd[2];
	ssize_t n, at = 0;
	pid_t pid;

	fflush(stdout);
	if (pipe(fd) || (pid = fork()) < 0)
		return -1;
	if (pid == 0) {
		dup2(fd[1], 2);
		job(arg);
		_exit(0);
	}
	close(fd[1]);
	while ((n = read(fd[0], said + at, (size_t)(511 - at))) > 0)
		at += n;
	said[at] = '\0';
	close(fd[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

struct change { const char *key, *value, *says; };

static void read_changed(const void *arg)
{
	const struct change *change = arg;
	struct dtn_model m = small;
	struct dtn_meta meta = { 0 }, changed = { 0 };

	dtn_model_to_meta(&m, &meta);
	for (int i = 0; i < meta.n; i++)
		if (strcmp(meta.pair[i].key, change->key) != 0)
			dtn_meta_set(&changed, meta.pair[i].key, "%s", meta.pair[i].value);
	if (change->value)
		dtn_meta_set(&changed, change->key, "%s", change->value);
	dtn_model_from_meta(&m, &changed, "bad.dtn");
}

static void test_refusals(void)
{
	static char long_list[200000];
	const struct change changes[] = {
		{ "model.arch", NULL, "model.arch is missing" },
		{ "model.arch", "gan", "model.arch=gan" },
		{ "model.version", "2", "knows version 1" },
		{ "image.height", "0", "images must be" },
		{ "image.width", "-7", "image.width=-7" }, { "image.channels", "2000000000000",
		  "image.channels=2000000000000" },
		{ "unet.channels", "2147483648", "unet.channels" },
		{ "unet.channels", "8x", "unet.channels=8x" },
		{ "unet.channels", " 8", "unet.channels" },
		{ "unet.channels", "", "unet.channels" },
		{ "unet.channels", "0x8", "unet.channels" },
		{ "unet.channels", "1e3", "unet.channels" }, { "unet.mult", "", "unet.mult" },
		{ "unet.mult", "1,,2", "unet.mult" }, { "unet.mult", "1,2,", "unet.mult" },
		{ "unet.mult", "1,0", "multipliers" },
		{ "unet.mult", long_list, "unet.mult=1,1,1,1" },
		{ "unet.mult", NULL, "unet.mult is missing" }, { "unet.blocks", "99", "blocks" },
		{ "unet.attn", "16;8", "unet.attn" }, { "unet.groups", "3", "these do" },
		{ "unet.attention", "cubic", "unet.attention=cubic" },
		{ "unet.heads", "5", "heads" }, { "unet.dropout", "nan", "unet.dropout" },
		{ "unet.dropout", "2", "dropout" }, { "unet.dropout", "0x1p-3", "unet.dropout" },
		{ "ddpm.steps", "1000000000000", "ddpm.steps" }, { "ddpm.steps", "0", "steps" },
		{ "ddpm.schedule", "linea", "ddpm.schedule" },
		{ "ddpm.schedule", "linear|cosine", "ddpm.schedule" },
		{ "ddpm.schedule", "", "ddpm.schedule" }, { "ddpm.beta", "0.1", "ddpm.beta" },
		{ "ddpm.beta", "0,0.1", "ddpm.beta" }, { "ddpm.beta", "inf,0.1", "ddpm.beta" },
		{ "ddpm.beta", "0.1,0.2,0.3", "ddpm.beta" }, { "ddpm.beta", "0.1,2", "beta" },
		{ "ddpm.beta", "1e999,1", "ddpm.beta" }, { "ddpm.beta", "1e-300,0.02", "beta" },
		{ "ddpm.prediction", "epsilon", "ddpm.prediction" },
		{ "ddpm.prediction", NULL, "is missing" },
		{ "ddpm.zero_snr", "yes", "ddpm.zero_snr" },
		{ "unet.classes", "3", "labels is missing" },
		{ "unet.classes", "x", "unet.classes=x" },
	};
	bool good = true;

	for (size_t i = 0; i + 1 < sizeof(long_list); i++)
		long_list[i] = i % 2 ? ',' : '1';
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		char said[512];
		int status = child(read_changed, &changes[i], said);
		if (status != DTN_INPUT ||
		    !strstr(said, "bad.dtn: invalid model configuration: ") ||
		    !strstr(said, changes[i].says) ||
		    strchr(said, '\n') != said + strlen(said) - 1) {
			printf("# %s=%.40s: status %d, %s\n", changes[i].key,
			       changes[i].value ? changes[i].value : "(missing)", status, said);
			good = false;
		}
	}
	check(good, "bad configurations", "one is not refused as it should be");
}

/* --- tensors ---------------------------------------------------------------------------------- */

static void fill(float *x, const struct dtn_graph *g, uint64_t index)
{
	dtn_rng_normal(dtn_rng(1, DTN_RNG_INIT, index, 0), x, g->params);
}

static bool same_weights(const struct dtn_graph *g, const float *a, const float *b)
{
	bool same = true;

	for (dtn_id i = 0; i < g->n; i++)
		if (g->node[i].op == DTN_OP_PARAM)
			same = same &&
			       memcmp(a + g->node[i].param, b + g->node[i].param,
				      dtn_shape_count(g->node[i].shape) * sizeof(float)) == 0;
	return same;
}

static void write_file(const struct dtn_model *m, const struct dtn_graph *g,
		       const struct dtn_weights *w, const struct dtn_counters *c)
{
	struct dtn_output out;
	struct dtn_writer *writer;

	dtn_output_open(&out, path, false);
	writer = dtn_writer_open(&out, 1);
	dtn_model_write(writer, m, g, w, c);
	dtn_writer_close(writer);
	dtn_output_commit(&out);
}

static void test_weights(void)
{
	const struct dtn_counters counters = { 12, 3456, 7 };
	struct dtn_model m = small, back;
	struct dtn_graph g;
	struct dtn_weights w, r = { 0 };
	struct dtn_counters c;
	struct dtn_reader *reader;
	float *array[4], *into[4];
	char hash[17], again[17];

	dtn_unet_graph(&g, &m.unet);
	for (int i = 0; i < 4; i++) {
		array[i] = dtn_alloc(g.params, sizeof(float));
		into[i] = dtn_alloc(g.params, sizeof(float));
		fill(array[i], &g, (uint64_t)i);
	}
	w = (struct dtn_weights){ array[0], array[1], array[2], array[3] };
	dtn_meta_set(&m.meta, "train.note", "hello");
	dtn_meta_set(&m.meta, "unet.blocks", "stale");
	write_file(&m, &g, &w, &counters);

	reader = dtn_model_open(&back, path);
	check(same_configuration(&m, &back), "configuration of a file", "reads otherwise");
	check(dtn_meta_get(&back.meta, "train.note") &&
		      !strcmp(dtn_meta_get(&back.meta, "train.note"), "hello"),
	      "other metadata", "is lost");
	check(dtn_model_has(&back, DTN_EMA) && dtn_model_has(&back, DTN_ADAM_V),
	      "what a file holds", "is lost");
	r = (struct dtn_weights){ into[0], into[1], into[2], into[3] };
	dtn_model_read(reader, &back, &g, &r, &c);
	dtn_reader_close(reader);
	check(same_weights(&g, into[0], array[0]) && same_weights(&g, into[1], array[1]) &&
	      same_weights(&g, into[2], array[2]) && same_weights(&g, into[3], array[3]),
	      "weights", "read otherwise");
	check(c.step == 12 && c.sample == 3456 && c.skipped == 7, "counters", "read otherwise");
	dtn_model_release(&back);

	/* Only what is wanted. */
	memset(into[1], 0, g.params * sizeof(float));
	r = (struct dtn_weights){ .ema = into[1] };
	reader = dtn_model_open(&back, path);
	dtn_model_read(reader, &back, &g, &r, NULL);
	dtn_reader_close(reader);
	check(same_weights(&g, into[1], array[1]), "averaged weights alone", "read otherwise");

	dtn_model_hash(hash, &m, &g, array[1]);
	dtn_model_hash(again, &back, &g, into[1]);
	check(!strcmp(hash, again) && strlen(hash) == 16, "hash", "differs for the same model");
	into[1][g.params - 16] = nextafterf(into[1][g.params - 16], 9);
	dtn_model_hash(again, &back, &g, into[1]);
	check(strcmp(hash, again) != 0, "hash of another weight", "is the same");
	back.predict = DTN_EPS;
	dtn_model_hash(again, &back, &g, array[1]);
	check(strcmp(hash, again) != 0, "hash of another prediction", "is the same");
	dtn_model_release(&back);
	dtn_meta_release(&m.meta);

	/* A model for sampling only. */
	w.m = w.v = NULL;
	write_file(&small, &g, &w, &counters);
	reader = dtn_model_open(&back, path);
	check(dtn_model_has(&back, DTN_PARAM) && !dtn_model_has(&back, DTN_ADAM_M),
	      "without moments", "has some");
	dtn_model_read(reader, &back, &g, &r, NULL);
	dtn_reader_close(reader);
	check(same_weights(&g, into[1], array[1]), "weights without moments", "read otherwise");
	dtn_model_release(&back);
	for (int i = 0; i < 4; i++) {
		free(array[i]);
		free(into[i]);
	}
	dtn_graph_release(&g);
}

/* --- files that are wrong --------------------------------------------------------------------- */

enum fault {
	GOOD, MISSING, EXTRA, TWICE, SHAPE, RANK, TYPE, NOT_FINITE, NO_COUNTER, NEGATIVE, UNLISTED,
	TWO_MODELS, NO_SET
};

static void write_one(struct dtn_writer *w, const char *name, int role, int type, int rank,
		      uint64_t *dim, const void *data)
{
	struct dtn_tensor tensor = dtn_tensor(name, role, type, false, rank, dim);
	struct dtn_record record = { .tensors = 1, .tensor = &tensor };

	dtn_write_record(w, &record, &data);
}

static void write_wrong_model(struct dtn_writer *w, enum fault fault)
{
	static const char *const counter[] = { "step", "sample", "skipped" };
	const int64_t number[] = { 1, fault == NEGATIVE ? -1 : 2, 3 };
	struct dtn_meta meta = { 0 };
	struct dtn_graph g;
	float *x;
	int n = 0;

	dtn_unet_graph(&g, &small.unet);
	x = dtn_alloc(g.params, sizeof(*x));
	dtn_model_to_meta(&small, &meta);
	dtn_meta_set(&meta, "model.tensors",
		     fault == UNLISTED ? "counter"
		     : fault == NO_SET ? "param,ema"
				       : "param");
	dtn_write_segment(w, DTN_MODEL, &meta, &(struct dtn_prov){ 0 });
	for (dtn_id i = 0; i < g.n; i++) {
		const struct dtn_node *p = &g.node[i];
		uint64_t dim[5] = { 0 };
		if (p->op != DTN_OP_PARAM)
			continue;
		n++;
		for (int k = 0; k < p->shape.rank; k++)
			dim[k] = (uint64_t)p->shape.dim[k];
		if (n == 5) {
			if (fault == MISSING)
				continue;
			if (fault == SHAPE)
				dim[0]++;
			x[p->param + 1] = fault == NOT_FINITE ? NAN : 0;
		}
		write_one(w, n == 5 && fault == EXTRA ? "conv_in.wait" : p->name, DTN_PARAM,
			  n == 5 && fault == TYPE ? DTN_I32 : DTN_F32,
			  p->shape.rank + (n == 5 && fault == RANK), dim, x + p->param);
		if (n == 5 && fault == TWICE)
			write_one(w, p->name, DTN_PARAM, DTN_F32, p->shape.rank, dim, x + p->param);
	}
	for (int k = fault == NO_COUNTER; k < 3; k++)
		write_one(w, counter[k], DTN_COUNTER, DTN_I64, 0, NULL, &number[k]);
	dtn_write_end(w);
	dtn_meta_release(&meta);
	free(x);
	dtn_graph_release(&g);
}

static void read_file(const void *arg)
{
	struct dtn_model m;
	struct dtn_graph g;
	struct dtn_weights w = { 0 };
	struct dtn_counters c;
	struct dtn_reader *r = dtn_model_open(&m, path);

	dtn_unet_graph(&g, &m.unet);
	w.param = dtn_alloc(g.params, sizeof(float));
	dtn_model_read(r, &m, &g, &w, &c);
	(void)arg;
}

static void test_faults(void)
{
	static const struct { enum fault fault; const char *says; } known[] = {
		{ GOOD, "" }, { MISSING, "model: tensor \"conv_in.weight\" missing" },
		{ EXTRA, "tensor \"conv_in.wait\" unexpected" }, { TWICE, "duplicate tensor" },
		{ SHAPE, ", expected [" }, { RANK, ", expected [" },
		{ TYPE, "has type i32, expected f32" }, { NOT_FINITE, "is not finite" },
		{ NO_COUNTER, "counter \"step\" missing" },
		{ NEGATIVE, "counter \"sample\" is negative" },
		{ UNLISTED, "the model has no param tensors" },
		{ TWO_MODELS, "expected one model" }, { NO_SET, "tensor \"ema:" }
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct dtn_output out;
		struct dtn_writer *w;
		char said[512];
		int status;
		dtn_output_open(&out, path, false);
		w = dtn_writer_open(&out, 1);
		write_wrong_model(w, known[i].fault);
		if (known[i].fault == TWO_MODELS)
			write_wrong_model(w, GOOD);
		dtn_writer_close(w);
		dtn_output_commit(&out);
		status = child(read_file, NULL, said);
		if (status != (known[i].fault == GOOD ? 0 : DTN_INPUT) ||
		    !strstr(said, known[i].says)) {
			printf("# fault %d: status %d, %s\n", known[i].fault, status, said);
			good = false;
		}
	}
	check(good, "wrong files", "one is not refused as it should be");
}

int main(int argc, char **argv)
{
	int fd = mkstemp(path);

	(void)argc;
	dtn_begin(argv);
	close(fd);
	test_configuration();
	test_refusals();
	test_weights();
	test_faults();
	unlink(path);
	return failures != 0;
}
