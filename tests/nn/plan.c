/* plan.c -- no two buffers that are alive together overlap, and the arena is as small as can be. */
#include "lib/nn/layer.h"
#include "lib/nn/plan.h"
#include "lib/nn/unet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(bool good, const char *what, const char *name)
{
	printf("%s %s: %s\n", good ? "ok" : "not ok", name, what);
	failures += !good;
}

static const struct dtn_unet cifar = {
	32, 32, 3, 128, 4, { 1, 2, 2, 2 }, 2, 1, { 16 }, 1, .groups = 32
};
static const struct dtn_unet odd = {
	13, 7, 1, 16, 3, { 1, 2, 3 }, 1, 2, { 8, 4 }, 2, 8, .dropout = 0.1f
};

static dtn_id build(struct dtn_graph *g, const struct dtn_unet *u, int N, bool training, int type)
{
	struct dtn_shape images = { 4, { N, u->height, u->width, u->colours } };
	dtn_id x, t, y, target;

	dtn_graph_init(g, type);
	x = dtn_input(g, "x", DTN_F32, images);
	t = dtn_input(g, "t", DTN_I32, (struct dtn_shape){ 1, { N } });
	target = training ? dtn_input(g, "target", DTN_F32, images) : -1;
	y = dtn_unet(g, u, x, t, -1);
	return training ? dtn_loss(g, y, target, DTN_L2) : y;
}

static bool meet(const struct dtn_span *a, const struct dtn_span *b)
{
	return a->last >= 0 && b->last >= 0 && a->first <= b->last && b->first <= a->last &&
	       a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static int overlaps(const struct dtn_graph *g)
{
	int found = 0, n = 0;
	const struct dtn_span **s = dtn_alloc(3 * (size_t)g->n, sizeof(*s));

	for (dtn_id i = 0; i < g->n; i++) {
		s[n++] = &g->node[i].value;
		s[n++] = &g->node[i].gradient;
		s[n++] = &g->node[i].saved;
	}
	for (int i = 0; i < n; i++)
		for (int j = 0; j < i; j++)
			found += meet(s[i], s[j]);
	free(s);
	return found;
}

/* The reader's view of liveness, from the definition: what each step touches must be alive then. */
static int dead_reads(const struct dtn_graph *g, dtn_id target, bool training)
{
	int found = 0;

	for (dtn_id i = 0; i <= target; i++) {
		const struct dtn_node *y = &g->node[i];
		int back = 2 * g->n - 1 - i;

		for (int k = 0; k < y->inputs; k++) {
			const struct dtn_node *x = y->in[k] >= 0 ? &g->node[y->in[k]] : NULL;

			if (!x || x->op == DTN_OP_PARAM)
				continue;
			found += x->value.first > i || x->value.last < i;
			if (!training || y->gradient.last < 0)
				continue;
			if (dtn_op_reads(y->op) & 1 << k)
				found += x->value.last < back;
			if (x->grad)
				found += x->gradient.first > back || x->gradient.last < back;
		}
		if (training && y->gradient.last >= 0) {
			found += y->gradient.last != back;
			if (dtn_op_reads(y->op) & 1 << 7)
				found += y->value.last < back;
			if (y->saved.bytes > 0)
				found += y->saved.last < back;
		}
	}
	return found;
}

static void one(const struct dtn_unet *u, int N, bool training, int type, const char *name,
		double least)
{
	struct dtn_graph g;
	dtn_id target = build(&g, u, N, training, type);
	size_t arena = dtn_plan(&g, target, training), bound = dtn_plan_bound(&g);

	check(overlaps(&g) == 0, "buffers alive together do not overlap", name);
	check(dead_reads(&g, target, training) == 0, "nothing is read before or after its life",
	      name);
	printf("# %s: arena %zu bytes, bound %zu\n", name, arena, bound);
	check((double)arena <= least * (double)bound, "the arena is close to its lower bound",
	      name);
	dtn_graph_release(&g);
}

/* Heads, the kind of attention and dropout, which the shapes of the weights do not tell. */
static bool as_configured(struct dtn_unet u, enum dtn_attention_kind kind)
{
	struct dtn_graph g;
	int softmax = 0, linear = 0, blocks = 0;
	bool good = true;

	u.attention = kind;
	build(&g, &u, 1, false, DTN_F32);
	for (dtn_id i = 0; i < g.n; i++) {
		const struct dtn_node *y = &g.node[i];
		const char *name = strrchr(y->name, '.');

		softmax += y->op == DTN_OP_attention;
		linear += y->op == DTN_OP_linear_attention;
		if (y->op == DTN_OP_attention || y->op == DTN_OP_linear_attention)
			good &= y->attr.attention.heads == u.heads;
		if (y->op != DTN_OP_conv || !name || strcmp(name, ".conv2"))
			continue;
		blocks++;
		good &= g.node[y->in[0]].op == DTN_OP_dropout &&
			g.node[y->in[0]].attr.dropout.rate == u.dropout;
	}
	dtn_graph_release(&g);
	/* one block a level down, two up, two in the middle; attention at two levels */
	return good && blocks == 3 * u.levels + 2 && softmax + linear == 3 * u.attns + 1 &&
	       softmax == (kind == DTN_LINEAR_ATTENTION ? 1 : 3 * u.attns + 1);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Names and shapes of the parameters against a list "name TAB [d,d,…]", in any order. */
static bool same_keys(const struct dtn_unet *u, const char *path)
{
	struct dtn_graph g;
	char (*ours)[160], (*theirs)[160];
	FILE *f = fopen(path, "r");
	int n = 0, m = 0;
	bool same;

	build(&g, u, 1, false, DTN_F32);
	ours = dtn_alloc((size_t)g.n, sizeof(*ours));
	theirs = dtn_alloc(2000, sizeof(*theirs));
	for (dtn_id i = 0; i < g.n; i++)
		if (g.node[i].op == DTN_OP_PARAM)
			snprintf(ours[n++], sizeof(*ours), "%s\t%s", g.node[i].name,
				 dtn_shape_text(g.node[i].shape));
	while (f && m < 2000 && fgets(theirs[m], sizeof(*theirs), f)) {
		char *from = theirs[m], *to = theirs[m];

		for (; *from; from++)           /* "[128, 3, 3, 3]" as "[128,3,3,3]" */
			if (*from != ' ' && *from != '\n')
				*to++ = *from;
		*to = '\0';
		m += theirs[m][0] != '\0' && theirs[m][0] != '#';
	}
	if (f)
		fclose(f);
	qsort(ours, (size_t)n, sizeof(*ours), by_name);
	qsort(theirs, (size_t)m, sizeof(*theirs), by_name);
	same = n == m;
	for (int i = 0; same && i < n; i++)
		if (strcmp(ours[i], theirs[i]) != 0) {
			printf("# %s is not %s\n", ours[i], theirs[i]);
			same = false;
		}
	printf("# %d names here, %d in %s\n", n, m, path);
	free(ours);
	free(theirs);
	dtn_graph_release(&g);
	return same;
}

int main(void)
{
	struct dtn_unet small = { 28, 28, 1, 32, 3, { 1, 2, 2 }, 2, 1, { 16 }, 1, .groups = 32 };
	struct dtn_unet medium = {
		32, 32, 3, 64, 4, { 1, 2, 2, 2 }, 2, 1, { 16 }, 1, .groups = 32
	};
	struct dtn_unet conditional = odd;

	one(&cifar, 128, true, DTN_F32, "cifar-train", 1.02);    /* found: 1.0146 */
	one(&cifar, 128, false, DTN_F32, "cifar-sample", 1.001);
	one(&odd, 3, true, DTN_BF16, "odd-train", 1.1);
	one(&odd, 3, false, DTN_BF16, "odd-sample", 1.1);
	check(as_configured(odd, DTN_SOFTMAX_ATTENTION) && as_configured(odd, DTN_LINEAR_ATTENTION),
	      "heads, kinds of attention and dropout are where they should be", "odd");
	check(dtn_unet_parameters(&cifar) == 35746307, "35,746,307 parameters", "cifar");
	check(dtn_unet_parameters(&small) == 1539329, "1,539,329 parameters", "28x28x1");
	check(dtn_unet_parameters(&medium) == 8952067, "8,952,067 parameters", "32x32x3");
	conditional.classes = 10;
	check(dtn_unet_parameters(&conditional) == dtn_unet_parameters(&odd) + 11 * 4 * 16,
	      "a row for each class and one for none", "odd");
	check(same_keys(&cifar, "tests/fixtures/cifar10-keys.txt"),
	      "the published names and shapes", "cifar");
	return failures > 0;
}
