/* harness.c -- test an operation of a backend against a slow reference in f64. */
#include "tests/op/harness.h"

#include "tests/op/harness/trial.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GUARD = 64 };      /* bytes */

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

static void prepare(struct trial *t)
{
	for (int i = 0; i < DTN_INPUTS; i++)
		if (t->in[i])
			op_draw(t, t->in[i], i, &t->raw[i], &t->x[i]);
	op_draw(t, t->y, -1, &t->raw_dout, &t->dout);
	op_work_out(t);
}

static void finish(struct trial *t)
{
	for (int i = 0; i < DTN_INPUTS; i++) {
		void *raw = t->in[i] ? op_get(t, t->raw[i], op_bytes(t->in[i])) : NULL;

		for (size_t j = 0; t->in[i] && j < op_count(t->in[i]); j++)
			if (op_read_value(raw, j, t->in[i]->type) != t->x[i][j])
				t->failed = "changes its input";
		if (t->in[i])
			op_give(t, t->raw[i], op_bytes(t->in[i]), "writes outside an input");
		free(raw);
		free(t->x[i]);
		free(t->want[i]);
	}
	op_give(t, t->raw_dout, op_bytes(t->y), "writes outside the gradient of the result");
	free(t->dout);
	free(t->out);
	dtn_graph_release(&t->graph);
}

static int try(const struct op_case *c, const struct dtn_backend *backend, const char *isa,
	       int type)
{
	struct trial t = { .c = c, .backend = backend, .type = type, .random = 1 };

	t.kernel = backend->kernel[c->op];
	t.guard = backend->detail && strstr(backend->detail, "stand-in") ? 0 : GUARD;
	build(&t);
	prepare(&t);
	op_check(&t);
	finish(&t);
	if (t.failed)
		printf("not ok %s %s, %s, %s: %s\n", dtn_op_name(c->op), c->name, isa,
		       dtn_type_name(type), t.failed);
	else
		printf("ok %s %s, %s, %s\n", dtn_op_name(c->op), c->name, isa, dtn_type_name(type));
	return t.failed != NULL;
}

/* --- all cases -------------------------------------------------------------------------------- */

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
