/* graph.c -- no gradient can be lost: what has one is an input of a node once, and a parameter is
 * an input of one node. */
#include "lib/nn/layer.h"
#include "tests/check.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct dtn_shape images = { 4, { 2, 8, 8, 4 } };
static struct dtn_graph g;

/* x has no gradient, y has. */
static dtn_id x(void)
{
	return dtn_input(&g, "x", DTN_F32, images);
}

static dtn_id y(void)
{
	return dtn_conv(&g, "y", x(), -1, 4, 3, 1);
}

static void residual(void)
{
	dtn_id same = y();

	dtn_conv(&g, "z", same, same, 4, 3, 1);
}

static void both_halves(void)
{
	dtn_id same = y();

	dtn_concat(&g, same, same);
}

static void all_of_attention(void)
{
	dtn_id same = y();

	dtn_attention(&g, same, same, same, 1);
}

static void weights_of_two(void)
{
	static const union dtn_attr attr = { .conv = { 1, 1 } };
	dtn_id w = dtn_param(&g, "w", (struct dtn_shape){ 4, { 4, 4, 1, 1 } }, 1, 0),
	       b = dtn_param(&g, "b", (struct dtn_shape){ 1, { 4 } }, 1, 0),
	       c = dtn_param(&g, "c", (struct dtn_shape){ 1, { 4 } }, 1, 0),
	       one = dtn_apply(&g, DTN_OP_conv, "z", attr, (dtn_id[]){ x(), w, b }, 3);

	dtn_apply(&g, DTN_OP_conv, "z", attr, (dtn_id[]){ one, w, c }, 3);
}

static void scale_and_shift(void)
{
	static const union dtn_attr attr = { .groupnorm = { 2, 1e-6f, false } };
	dtn_id w = dtn_param(&g, "w", (struct dtn_shape){ 1, { 4 } }, 1, 0);

	dtn_apply(&g, DTN_OP_groupnorm, "z", attr, (dtn_id[]){ x(), w, w }, 3);
}

static void without_gradient(void)
{
	dtn_id same = x();

	dtn_conv(&g, "z", same, same, 4, 3, 1);
	dtn_loss(&g, same, same, DTN_L2);
}

/* The skip of every residual block. */
static void by_two_nodes(void)
{
	dtn_id same = y();

	dtn_conv(&g, "z", dtn_silu(&g, same), same, 4, 3, 1);
}

/* `of`: whose gradient it is; NULL: nothing is wrong. */
static void build(const char *what, void (*graph)(void), const char *of)
{
	char expected[100] = "", said[200] = "";
	int end[2], status = 0;
	size_t n = 0;
	ssize_t got;
	pid_t child;

	fflush(stdout);
	if (pipe(end) != 0 || (child = fork()) < 0)
		return check(false, what, "no child");
	if (child == 0) {
		dup2(end[1], 2);
		dtn_graph_init(&g, DTN_F32);
		graph();
		_exit(0);
	}
	close(end[1]);
	while ((got = read(end[0], said + n, sizeof(said) - 1 - n)) > 0)
		n += (size_t)got;
	close(end[0]);
	waitpid(child, &status, 0);
	if (of)
		snprintf(expected, sizeof(expected), ": would lose a gradient of %s, ", of);
	check(WIFEXITED(status) && WEXITSTATUS(status) == (of ? DTN_ENV : 0) &&
	      (of ? strstr(said, expected) != NULL : !*said), what, said);
}

int main(int argc, char **argv)
{
	(void)argc;
	dtn_begin(argv);
	build("x and residual of a convolution", residual, "y");
	build("a node beside itself", both_halves, "y");
	build("one node as query, key and value", all_of_attention, "y");
	build("weights of two nodes", weights_of_two, "w");
	build("one parameter as scale and shift", scale_and_shift, "w");
	build("what has no gradient, twice", without_gradient, NULL);
	build("a node that two others use", by_two_nodes, NULL);
	return failures > 0;
}
