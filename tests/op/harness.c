/* harness.c -- test an operation of a backend against a slow reference in f64. */
#include "tests/op/harness.h"

#include <dlfcn.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GUARD = 64, GUARD_BYTE = 0xa5 };

/* One case, one element type, one backend. */
struct trial {
	const struct op_case *c;
	const struct dtn_backend *backend;
	const struct dtn_kernel *kernel;
	const char *isa;
	size_t guard;                           /* bytes beside what kernels are given */
	int type;
	struct dtn_graph graph;
	const struct dtn_node *y, *in[DTN_INPUTS];
	double *x[DTN_INPUTS], *out, *dout;     /* exact, after rounding to the types */
	double *want[DTN_INPUTS];               /* gradients; NaN where not worked out */
	void *raw[DTN_INPUTS], *raw_dout;       /* the same for the kernel */
	uint64_t random;
	const char *failed;
	char reason[300];
};

/* --- numbers and memory ----------------------------------------------------------------------- */

static double uniform(struct trial *t)
{
	t->random = t->random * 6364136223846793005u + 1442695040888963407u;
	return (double)(t->random >> 11) / 9007199254740992.0;
}

static double normal(struct trial *t)
{
	return uniform(t) + uniform(t) + uniform(t) + uniform(t) - 2 + 0.3 * uniform(t);
}

static void put(struct trial *t, void *to, const void *from, size_t bytes)
{
	if (bytes > 0)
		t->backend->put(to, from, bytes);
}

/* A copy on the host, to be freed. */
static void *get(struct trial *t, const void *from, size_t bytes)
{
	void *to = malloc(bytes ? bytes : 1);

	if (bytes > 0)
		t->backend->get(to, from, bytes);
	return to;
}

static void fill(struct trial *t, void *to, int garbage, size_t bytes)
{
	void *from = memset(malloc(bytes ? bytes : 1), garbage, bytes);

	put(t, to, from, bytes);
	free(from);
}

/* Device memory with a guard on either side; none where every access is watched anyway. */
static void *guarded(struct trial *t, size_t bytes, int garbage)
{
	unsigned char *p = t->backend->alloc(bytes + t->guard > 0 ? bytes + 2 * t->guard : 1);

	fill(t, p, GUARD_BYTE, t->guard);
	fill(t, p + t->guard, garbage, bytes);
	fill(t, p + t->guard + bytes, GUARD_BYTE, t->guard);
	return p + t->guard;
}

static void give(struct trial *t, const void *at, size_t bytes, const char *what)
{
	unsigned char *p = (unsigned char *)at - t->guard;
	unsigned char *guards = get(t, p, bytes + 2 * t->guard);

	for (size_t i = 0; i < t->guard; i++)
		if (guards[i] != GUARD_BYTE || guards[t->guard + bytes + i] != GUARD_BYTE)
			t->failed = what;
	free(guards);
	t->backend->free(p);
}

static size_t count(const struct dtn_node *x)
{
	return dtn_shape_count(x->shape);
}

static size_t bytes(const struct dtn_node *x)
{
	return count(x) * dtn_type_size(x->type);
}

static uint16_t to_bf16(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static double read_value(const void *p, size_t i, int type)
{
	uint32_t u;
	float f;

	if (type == DTN_I32)
		return ((const int32_t *)p)[i];
	if (type == DTN_F32)
		return (double)((const float *)p)[i];
	u = (uint32_t)((const uint16_t *)p)[i] << 16;
	memcpy(&f, &u, sizeof(f));
	return (double)f;
}

static void write_value(void *p, size_t i, int type, double value)
{
	if (type == DTN_I32)
		((int32_t *)p)[i] = (int32_t)value;
	else if (type == DTN_F32)
		((float *)p)[i] = (float)value;
	else
		((uint16_t *)p)[i] = to_bf16((float)value);
}

/* Random values for a tensor: for the kernel, and exactly the same in f64. */
static void draw(struct trial *t, const struct dtn_node *x, int i, void **raw, double **exact)
{
	size_t n = count(x);

	void *values = malloc(bytes(x) ? bytes(x) : 1);

	*raw = guarded(t, bytes(x), 0);
	*exact = malloc(n * sizeof(double));
	for (size_t j = 0; j < n; j++)
		(*exact)[j] = normal(t);
	if (i >= 0 && t->c->fill)
		t->c->fill(t->c, i, *exact, n);
	for (size_t j = 0; j < n; j++) {
		write_value(values, j, x->type, (*exact)[j]);
		(*exact)[j] = read_value(values, j, x->type);
	}
	put(t, *raw, values, bytes(x));
	free(values);
}

/* --- the reference ---------------------------------------------------------------------------- */

static double weighted(struct trial *t, double *out)
{
	double sum = 0;

	t->c->slow(t->c, t->y->shape, (const double *const *)t->x, out);
	for (size_t j = 0; j < count(t->y); j++)
		sum += t->dout[j] * out[j];
	return sum;
}

static bool has_gradient(const struct trial *t, int i)
{
	return t->in[i] && !t->c->in[i].constant && t->in[i]->type != DTN_I32;
}

/* Central differences of sum dout * y. */
static void differentiate(struct trial *t)
{
	double *out = malloc(count(t->y) * sizeof(double));
	const double h = 1e-4;
	size_t every = t->c->every ? (size_t)t->c->every : 1;

	for (int i = 0; i < DTN_INPUTS; i++) {
		if (!has_gradient(t, i))
			continue;
		t->want[i] = malloc(count(t->in[i]) * sizeof(double));
		for (size_t j = 0; j < count(t->in[i]); j++) {
			double was = t->x[i][j], up;

			t->want[i][j] = NAN;
			if (j % every != 0)
				continue;
			t->x[i][j] = was + h;
			up = weighted(t, out);
			t->x[i][j] = was - h;
			t->want[i][j] = (up - weighted(t, out)) / (2 * h);
			t->x[i][j] = was;
		}
	}
	free(out);
}

/* --- comparing -------------------------------------------------------------------------------- */

static double tolerance(const struct trial *t, int type)
{
	if (t->type == DTN_BF16)
		return t->c->bf16 > 0 ? t->c->bf16 : type == DTN_F32 ? 1e-4 : 1.0 / 128;
	return t->c->f32 > 0 ? t->c->f32 : 1e-5;
}

/* got = want + base (base may be NULL), up to the tolerance; where want is NaN any number will
 * do. */
static void compare(struct trial *t, const char *what, const void *at, int type,
		    const double *want, const double *base, size_t n)
{
	void *got = get(t, at, n * dtn_type_size(type));
	double square = 0, scale;
	size_t known = 0;

	for (size_t j = 0; j < n; j++)
		if (!isnan(want[j])) {
			square += want[j] * want[j];
			known++;
		}
	scale = fmax(sqrt(square / (double)(known ? known : 1)), t->c->least);
	for (size_t j = 0; j < n && !t->failed; j++) {
		double b = base ? base[j] : 0, g = read_value(got, j, type);
		double allowed = tolerance(t, type) * (fabs(want[j]) + fabs(b) + scale);

		if (isnan(want[j]) ? !isnan(g) : fabs(g - b - want[j]) <= allowed)
			continue;
		t->failed = t->reason;
		snprintf(t->reason, sizeof(t->reason),
			 "%s: element %zu of %zu is %.9g, wants %.9g +- %.2g", what, j, n, g,
			 want[j] + b, allowed);
	}
	free(got);
}

static void same(struct trial *t, const char *what, const void *a, const void *b, size_t n)
{
	void *of_a = get(t, a, n), *of_b = get(t, b, n);

	if (!t->failed && memcmp(of_a, of_b, n) != 0)
		t->failed = what;
	free(of_a);
	free(of_b);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* All of a call but results and gradients; `garbage` fills scratch and saved memory. */
static struct dtn_call begin(struct trial *t, bool training, int garbage)
{
	struct dtn_call call = { .y = t->y,
				 .training = training,
				 .id = op_id(t->c),
				 .seed = OP_SEED,
				 .index = OP_INDEX };
	const struct dtn_kernel *k = t->kernel;
	const uint64_t draw[2] = { OP_SEED, OP_INDEX };

	memcpy(call.in, t->in, sizeof(call.in));
	if (k->open)
		call.state = k->open(&call);
	for (int i = 0; i < DTN_INPUTS; i++)
		call.x[i] = t->raw[i];
	if (k->packed) {
		void *packed = guarded(t, k->packed(&call), garbage);
		k->pack(&call, packed);
		call.packed = packed;
	}
	if (k->scratch)
		call.scratch = guarded(t, k->scratch(&call), garbage);
	if (training && t->y->saved.bytes)
		call.saved = guarded(t, t->y->saved.bytes, garbage);
	call.out = guarded(t, bytes(t->y), garbage);
	if (t->backend->queue) {
		void *drawn = guarded(t, sizeof(draw), 0);
		put(t, drawn, draw, sizeof(draw));
		call.draw = drawn;
		call.seed = call.index = 0;
	}
	return call;
}

static void end(struct trial *t, struct dtn_call *call)
{
	const struct dtn_kernel *k = t->kernel;

	if (call->packed)
		give(t, call->packed, k->packed(call), "writes outside its packed weights");
	if (call->scratch)
		give(t, call->scratch, k->scratch(call), "writes outside its scratch");
	if (call->saved)
		give(t, call->saved, t->y->saved.bytes, "writes outside its saved memory");
	give(t, call->out, bytes(t->y), "writes outside its result");
	if (call->draw)
		give(t, call->draw, 2 * sizeof(*call->draw), "writes outside the seed");
	if (call->state)
		k->close((void *)call->state);
}

static void put_values(struct trial *t, void *to, const struct dtn_node *x, const double *value)
{
	void *values = malloc(bytes(x) ? bytes(x) : 1);

	for (size_t j = 0; j < count(x); j++)
		write_value(values, j, x->type, value[j]);
	put(t, to, values, bytes(x));
	free(values);
}

/* Backward for the inputs in `wanted` (bits), over `garbage` or added to base[]; results in dx. */
static void backward(struct trial *t, struct dtn_call *call, int wanted, int garbage,
		     double *const base[], void *dx[])
{
	if (call->scratch)
		fill(t, call->scratch, garbage, t->kernel->scratch(call));
	call->dout = t->raw_dout;
	for (int i = 0; i < DTN_INPUTS; i++) {
		dx[i] = NULL;
		call->dx[i] = NULL;
		call->add[i] = false;
		if (!has_gradient(t, i) || !(wanted & 1 << i))
			continue;
		call->dx[i] = dx[i] = guarded(t, bytes(t->in[i]), garbage);
		call->add[i] = base && t->c->in[i].kind != 'w';
		if (call->add[i])
			put_values(t, dx[i], t->in[i], base[i]);
	}
	t->kernel->backward(call);
}

static void drop(struct trial *t, void *dx[])
{
	for (int i = 0; i < DTN_INPUTS; i++)
		if (dx[i])
			give(t, dx[i], bytes(t->in[i]), "writes outside a gradient");
}

static const char *const gradient[] = { "gradient of input 0", "gradient of input 1",
					"gradient of input 2", "gradient of input 3" };

static void check_added(struct trial *t, struct dtn_call *call)
{
	double *base[DTN_INPUTS] = { NULL };
	void *dx[DTN_INPUTS];
	char what[100];

	for (int i = 0; i < DTN_INPUTS; i++)
		if (has_gradient(t, i)) {
			void *raw;
			draw(t, t->in[i], -1, &raw, &base[i]);
			give(t, raw, bytes(t->in[i]), "");
		}
	backward(t, call, -1, 0xff, base, dx);
	for (int i = 0; i < DTN_INPUTS; i++)
		if (dx[i]) {
			snprintf(what, sizeof(what), "%s, added", gradient[i]);
			compare(t, what, dx[i], t->in[i]->type, t->want[i],
				call->add[i] ? base[i] : NULL, count(t->in[i]));
		}
	drop(t, dx);
	for (int i = 0; i < DTN_INPUTS; i++)
		free(base[i]);
}

/* Each gradient alone must have the bits that it has when all are wanted. */
static void check_alone(struct trial *t, struct dtn_call *call, void *const all[])
{
	void *dx[DTN_INPUTS];

	for (int i = 0; i < DTN_INPUTS; i++) {
		if (!all[i])
			continue;
		backward(t, call, 1 << i, 0x7f, NULL, dx);
		same(t, "a gradient alone differs from the same with others", all[i], dx[i],
		     bytes(t->in[i]));
		drop(t, dx);
	}
}

static void check_backward(struct trial *t, struct dtn_call *call)
{
	void *all[DTN_INPUTS], *again[DTN_INPUTS];

	backward(t, call, -1, 0xff, NULL, all);
	backward(t, call, -1, 0x00, NULL, again);
	for (int i = 0; i < DTN_INPUTS; i++)
		if (all[i])
			same(t, "a gradient depends on garbage", all[i], again[i], bytes(t->in[i]));
	drop(t, again);
	check_alone(t, call, all);
	for (int i = 0; i < DTN_INPUTS; i++)
		if (all[i])
			compare(t, gradient[i], all[i], t->in[i]->type, t->want[i], NULL,
				count(t->in[i]));
	drop(t, all);
	check_added(t, call);
}

/* --- what is no number ------------------------------------------------------------------------ */

/* The first n elements become NaN. */
static void poison(struct trial *t, void *at, const struct dtn_node *x, size_t n)
{
	double *nan = malloc(n * sizeof(*nan));
	struct dtn_node some = { .type = x->type, .shape = { 1, { (int)n } } };

	for (size_t j = 0; j < n; j++)
		nan[j] = NAN;
	put_values(t, at, &some, nan);
	free(nan);
}

static bool all_finite(struct trial *t, const void *at, const struct dtn_node *x)
{
	void *got = get(t, at, bytes(x));
	bool finite = true;

	for (size_t j = 0; j < count(x); j++)
		finite &= isfinite(read_value(got, j, x->type));
	free(got);
	return finite;
}

static void repack(struct trial *t, struct dtn_call *call)
{
	if (call->packed)
		t->kernel->pack(call, (void *)call->packed);
}

/* A NaN must never be lost on its way to the loss, or from there to a gradient: a step that went
 * wrong is known by them.  One element is NaN, or all where one may have no effect: it is dropped,
 * or a weight of what lies outside the image. */
static void check_no_number(struct trial *t, struct dtn_call *call)
{
	bool one = t->c->op != DTN_OP_dropout, lost = true;
	void *dx[DTN_INPUTS];

	for (int i = 0; i < DTN_INPUTS; i++) {
		if (!t->in[i] || t->in[i]->type == DTN_I32)
			continue;
		poison(t, t->raw[i], t->in[i],
		       one && t->c->in[i].kind != 'w' ? 1 : count(t->in[i]));
		repack(t, call);
		t->kernel->forward(call);
		if (!t->failed && all_finite(t, call->out, t->y))
			t->failed = "an input that is no number leaves no trace";
		put_values(t, t->raw[i], t->in[i], t->x[i]);
		repack(t, call);
	}
	t->kernel->forward(call);
	if (t->c->sampling || t->c->op == DTN_OP_timestep)
		return;
	poison(t, t->raw_dout, t->y, one ? 1 : count(t->y));
	backward(t, call, -1, 0, NULL, dx);
	for (int i = 0; i < DTN_INPUTS; i++)
		lost &= !dx[i] || all_finite(t, dx[i], t->in[i]);
	if (!t->failed && lost)
		t->failed = "a gradient that is no number leaves no trace";
	drop(t, dx);
	put_values(t, t->raw_dout, t->y, t->dout);
}

/* --- a trial ---------------------------------------------------------------------------------- */

int op_id(const struct op_case *c)
{
	int n = 0;

	for (int i = 0; i < DTN_INPUTS; i++)
		n += c->in[i].kind != 0;
	return n;
}

static void build(struct trial *t)
{
	static const char *const name[] = { "x0", "x1", "x2", "x3" };
	dtn_id in[DTN_INPUTS], y;

	dtn_graph_init(&t->graph, t->type);
	for (int i = 0; i < DTN_INPUTS; i++) {
		const struct op_input *x = &t->c->in[i];
		int type = x->kind == 'x' ? t->type : x->kind == 't' ? DTN_I32 : DTN_F32;

		in[i] = -1;
		if (x->kind == 'w')
			in[i] = dtn_param(&t->graph, name[i], x->shape, 0, 0);
		else if (x->kind)
			in[i] = dtn_input(&t->graph, name[i], type, x->shape);
	}
	y = dtn_apply(&t->graph, t->c->op, "y", t->c->attr, in, op_id(t->c));
	t->y = &t->graph.node[y];
	for (int i = 0; i < DTN_INPUTS; i++)
		t->in[i] = in[i] >= 0 ? &t->graph.node[in[i]] : NULL;
}

static void check(struct trial *t)
{
	struct dtn_call call = begin(t, !t->c->sampling, 0xff), other = begin(t, false, 0x00);
	void *kept, *left;

	t->kernel->forward(&call);
	compare(t, "result", call.out, t->y->type, t->out, NULL, count(t->y));
	if (t->c->sampling || t->c->op != DTN_OP_dropout) {
		t->kernel->forward(&other);
		compare(t, "result when sampling", other.out, t->y->type, t->out, NULL,
			count(t->y));
	}
	kept = get(t, call.out, bytes(t->y));
	if (!t->c->sampling)
		check_backward(t, &call);
	left = get(t, call.out, bytes(t->y));
	if (!t->failed && memcmp(kept, left, bytes(t->y)) != 0)
		t->failed = "backward changes the result";
	free(kept);
	free(left);
	check_no_number(t, &call);
	end(t, &call);
	end(t, &other);
}

static void prepare(struct trial *t)
{
	t->out = malloc(count(t->y) * sizeof(double));
	for (int i = 0; i < DTN_INPUTS; i++)
		if (t->in[i])
			draw(t, t->in[i], i, &t->raw[i], &t->x[i]);
	draw(t, t->y, -1, &t->raw_dout, &t->dout);
	weighted(t, t->out);
	if (!t->c->sampling)
		differentiate(t);
}

static void finish(struct trial *t)
{
	for (int i = 0; i < DTN_INPUTS; i++) {
		void *raw = t->in[i] ? get(t, t->raw[i], bytes(t->in[i])) : NULL;

		for (size_t j = 0; t->in[i] && j < count(t->in[i]); j++)
			if (read_value(raw, j, t->in[i]->type) != t->x[i][j])
				t->failed = "changes its input";
		if (t->in[i])
			give(t, t->raw[i], bytes(t->in[i]), "writes outside an input");
		free(raw);
		free(t->x[i]);
		free(t->want[i]);
	}
	give(t, t->raw_dout, bytes(t->y), "writes outside the gradient of the result");
	free(t->dout);
	free(t->out);
	dtn_graph_release(&t->graph);
}

static int try(const struct op_case *c, const struct dtn_backend *backend, const char *isa,
	       int type)
{
	struct trial t = { .c = c, .backend = backend, .isa = isa, .type = type, .random = 1 };

	t.kernel = backend->kernel[c->op];
	t.guard = backend->detail && strstr(backend->detail, "stand-in") ? 0 : GUARD;
	build(&t);
	prepare(&t);
	check(&t);
	finish(&t);
	if (t.failed)
		printf("not ok %s %s, %s, %s: %s\n", dtn_op_name(c->op), c->name, isa,
		       dtn_type_name(type), t.failed);
	else
		printf("ok %s %s, %s, %s\n", dtn_op_name(c->op), c->name, isa, dtn_type_name(type));
	return t.failed != NULL;
}

const struct dtn_backend *dtn_test_cuda(void)
{
	const char *path = getenv("DTN_TEST_CUDA"), *why = "no dtn_plugin";
	char self[PATH_MAX + 100], *at;
	ssize_t n = readlink("/proc/self/exe", self, PATH_MAX);
	const struct dtn_backend *backend = NULL;
	const struct dtn_plugin *plugin;
	void *object;

	self[n > 0 ? n : 0] = '\0';
	if (!path && (at = strstr(self, "/tests/"))) {
		strcpy(at, "/tests/cuda/dtn-cuda.so");
		path = self;
	}
	if (!path || access(path, F_OK) != 0)
		return NULL;
	object = dlopen(path, RTLD_NOW);
	plugin = object ? dlsym(object, "dtn_plugin") : NULL;
	if (plugin)
		backend = plugin->open(0, &why);
	if (!backend) {
		printf("not ok %s: %s\n", path, object ? why : dlerror());
		exit(1);
	}
	return backend;
}

static int op_test_isa(const struct op_case *c, int cases, const char *isa)
{
	bool cuda = !strcmp(isa, "cuda");
	const struct dtn_backend *backend = cuda ? dtn_test_cuda() : dtn_cpu(isa);
	int failures = 0;

	if (!backend) {
		printf("ok %s, %s # skip: not on this %s\n", dtn_op_name(c->op), isa,
		       cuda ? "machine" : "processor");
		return 0;
	}
	backend->worker();
	for (int i = 0; i < cases; i++) {
		if (cuda && c[i].cpu_only)
			continue;
		failures += try(&c[i], backend, isa, DTN_F32);
		if (c[i].f32_only)
			continue;
		if (c[i].bf16_products && !backend->bf16)
			printf("ok %s %s, %s, bf16 # skip: no bf16 products\n",
			       dtn_op_name(c[i].op), c[i].name, isa);
		else
			failures += try(&c[i], backend, isa, DTN_BF16);
	}
	return failures;
}

/* In a process of its own: oneDNN takes the limit of its instruction set once. */
static int apart(const struct op_case *c, int cases, const char *isa)
{
	const char *only = getenv("DTN_TEST_ISA");
	int status = -1;
	pid_t child;

	if (only && strcmp(only, isa) != 0)
		return 0;
	fflush(stdout);
	child = fork();
	if (child == 0) {
		int failures = op_test_isa(c, cases, isa);

		exit(failures > 0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
		printf("not ok %s, %s: does not end well\n", dtn_op_name(c->op), isa);
		return 1;
	}
	return WEXITSTATUS(status);
}

int op_test(const struct op_case *c, int cases)
{
	int failures = 0;

	failures += apart(c, cases, "v2");
	failures += apart(c, cases, "v3");
	failures += apart(c, cases, "v4");
	failures += apart(c, cases, "cuda");
	return failures > 0;
}
