/* update.c -- test the end of a training step on a device with a queue: norm, Adam, average, packed
 * weights and report, against the CPU's Adam. */
#include "tests/op/device.h"

#include <math.h>

/* A network of one 3x3 convolution and one linear layer, of odd widths. */
struct net {
	struct dtn_graph graph;
	struct dtn_place place[2];
	size_t packed;
};

enum { WIDE = 37, NARROW = 5 };

static size_t up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* Rows; with zeros between them, and columns, where asked. */
static void place(struct net *n, int i, dtn_id y, bool zeros, bool columns)
{
	const struct dtn_node *node = &n->graph.node[y], *w = &n->graph.node[node->in[1]];
	const size_t size = dtn_type_size(node->type), K = (size_t)w->shape.dim[0],
		     Ch = (size_t)w->shape.dim[1], taps = dtn_shape_count(w->shape) / K / Ch;
	size_t bytes = K * taps * (zeros ? up(Ch, 16 / size) : Ch) * size;

	if (columns)
		bytes = up(bytes, 64) + Ch * taps * up(K, 16 / size) * size;
	n->place[i] = (struct dtn_place){ { .y = node, .in = { NULL, w } }, n->packed, bytes };
	n->packed += up(bytes, 64);
}

static void build(struct net *n, int type, bool zeros)
{
	const union dtn_attr conv = { .conv = { 3, 1 } }, none = { { 0 } };
	dtn_id x, w, b, y, z;

	memset(n, 0, sizeof(*n));
	dtn_graph_init(&n->graph, type);
	x = dtn_input(&n->graph, "x", type, (struct dtn_shape)NHWC(1, 4, 4, WIDE));
	w = dtn_param(&n->graph, "w", (struct dtn_shape)NHWC(NARROW, WIDE, 3, 3), 0, 0);
	b = dtn_param(&n->graph, "b", (struct dtn_shape)VECTOR(NARROW), 0, 0);
	y = dtn_apply(&n->graph, DTN_OP_conv, "y", conv, (dtn_id[]){ x, w, b }, 3);
	w = dtn_param(&n->graph, "v", (struct dtn_shape)NC(WIDE, NARROW), 0, 0);
	b = dtn_param(&n->graph, "c", (struct dtn_shape)VECTOR(WIDE), 0, 0);
	z = dtn_apply(&n->graph, DTN_OP_linear, "z", none, (dtn_id[]){ y, w, b }, 3);
	place(n, 0, y, true, true);
	place(n, 1, z, zeros, false);
}

static uint16_t to_bf16(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof(u));
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static bool holds(const char *packed, size_t i, int type, float value)
{
	uint16_t half = to_bf16(value);

	return type == DTN_F32 ? memcmp(packed + 4 * i, &value, 4) == 0 :
	       memcmp(packed + 2 * i, &half, 2) == 0;
}

/* Is weight [K,C,taps] where it should be, and zeros elsewhere? */
static const char *check_packed(const struct dtn_place *p, const float *w, const char *packed)
{
	const int type = p->call.y->type;
	const size_t size = dtn_type_size(type), K = (size_t)p->call.in[1]->shape.dim[0],
		     Ch = (size_t)p->call.in[1]->shape.dim[1],
		     taps = dtn_shape_count(p->call.in[1]->shape) / K / Ch,
		     even = up(Ch, 16 / size), Kp = up(K, 16 / size),
		     Cp = p->bytes < K * taps * even * size ? Ch : even,
		     rows = K * taps * Cp * size;
	const char *columns = packed + p->at + up(rows, 64);

	for (size_t k = 0; k < K; k++)
		for (size_t tap = 0; tap < taps; tap++)
			for (size_t c = 0; c < Cp; c++)
				if (!holds(packed + p->at, (k * taps + tap) * Cp + c, type,
					   c < Ch ? w[(k * Ch + c) * taps + tap] : 0))
					return "a row of packed weights is wrong";
	for (size_t c = 0; p->bytes > up(rows, 64) && c < Ch; c++)
		for (size_t tap = 0; tap < taps; tap++)
			for (size_t k = 0; k < Kp; k++)
				if (!holds(columns, (c * taps + tap) * Kp + k, type,
					   k < K ? w[(k * Ch + c) * taps + tap] : 0))
					return "a column of packed weights is wrong";
	return NULL;
}

struct arrays { float *param, *m, *v, *ema, *grad; };

static void each_array(struct arrays *a, size_t n, void (*make)(float **, size_t))
{
	make(&a->param, n);
	make(&a->m, n);
	make(&a->v, n);
	make(&a->ema, n);
	make(&a->grad, n);
}

static void make_random(float **x, size_t n)
{
	*x = malloc(n * sizeof(float));
	for (size_t i = 0; i < n; i++)
		(*x)[i] = fabsf(number());
}

static void send_array(float **x, size_t n)
{
	float *host = *x;

	*x = sent(host, n * sizeof(float));
}

static void receive_array(float **x, size_t n)
{
	float *host = malloc(n * sizeof(float));

	receive(host, *x, n * sizeof(float));
	*x = host;
}

static void free_array(float **x, size_t n)
{
	(void)n;
	free(*x);
}

static const char *compare(const float *got, const float *want, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++)
		if (!(fabsf(got[i] - want[i]) <= 1e-6f * (1e-3f + fabsf(want[i]))))
			return what;
	return NULL;
}

static const struct dtn_state STATE = { .steps = 130, .updates = 7, .loss = 6 };

static const char *check_state(const struct dtn_state *s, double norm, bool finite)
{
	const struct dtn_report *r = &s->report[130 % DTN_REPORTS];

	if (s->steps != 131 || s->updates != 7 + finite || s->finite != finite)
		return "the counters are wrong";
	if (r->loss != 2 || r->finite != finite)
		return "the report is wrong";
	if (finite && (fabs(r->norm - norm) > 1e-9 * norm || fabs(r->rate - 0.008) > 1e-9))
		return "norm or rate are wrong";
	return NULL;
}

/* Everything of one update: on the device, and for the CPU's Adam. */
struct update {
	struct net net;
	size_t n;
	struct arrays got, want;
	struct dtn_state state;
	char *packed;
	double norm;
};

static void begin(struct update *u, int type, bool zeros, float broken)
{
	build(&u->net, type, zeros);
	u->n = u->net.graph.params;
	u->state = STATE;
	u->norm = 0;
	each_array(&u->want, u->n, make_random);
	if (broken != 0)
		u->want.grad[u->n / 2] = broken;
	for (size_t i = 0; i < u->n; i++)
		u->norm += (double)u->want.grad[i] * (double)u->want.grad[i];
	u->norm = sqrt(u->norm);
	u->got = u->want;
	u->packed = calloc(u->net.packed, 1);
}

static void on_device(struct update *u)
{
	struct dtn_update_call call = { .adam = { .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f,
						  .decay = 0.1f, .n = u->n },
					.beta1 = 0.9, .beta2 = 0.999, .clip = 1, .ema = 0.999,
					.warmup = 10, .images = 3 };

	const double rate = 0.01;

	each_array(&u->got, u->n, send_array);
	call.rate = sent(&rate, sizeof(rate));
	call.adam.param = u->got.param;
	call.adam.m = u->got.m;
	call.adam.v = u->got.v;
	call.adam.ema = u->got.ema;
	call.adam.grad = u->got.grad;
	call.state = sent(&u->state, sizeof(u->state));
	call.packed = sent(u->packed, u->net.packed);
	call.layout = device->queue->layout(&u->net.graph, u->net.place, 2);
	call.partial = garbage(device->queue->partials(u->n) * sizeof(double));
	device->queue->update(&call);
	receive(&u->state, call.state, sizeof(u->state));
	receive(u->packed, call.packed, u->net.packed);
	each_array(&u->got, u->n, receive_array);
	device->free((void *)call.layout);
	device->free(call.partial);
	device->free((void *)call.rate);
}

/* The numbers of update 7: warm-up of 10, clipping to 1. */
static void on_cpu(struct update *u)
{
	const struct dtn_adam_call call = {
		.param = u->want.param, .m = u->want.m, .v = u->want.v, .ema = u->want.ema,
		.grad = u->want.grad, .n = u->n, .rate = 0.008f, .beta1 = 0.9f, .beta2 = 0.999f,
		.eps = 1e-8f, .decay = 0.1f, .correct1 = (float)(1 - pow(0.9, 8)),
		.correct2 = (float)(1 - pow(0.999, 8)), .scale = (float)(1 / u->norm),
		.ema_decay = 8.0f / 17
	};

	dtn_cpu(NULL)->adam(&call);
}

static const char *compare_all(const struct update *u)
{
	const char *wrong = NULL;

	for (dtn_id i = 0; i < u->net.graph.n && !wrong; i++) {
		const struct dtn_node *p = &u->net.graph.node[i];
		const size_t at = p->param, n = dtn_shape_count(p->shape);

		if (p->op != DTN_OP_PARAM)
			continue;
		wrong = compare(u->got.param + at, u->want.param + at, n, "a weight is wrong");
		if (!wrong)
			wrong = compare(u->got.m + at, u->want.m + at, n, "a moment is wrong");
		if (!wrong)
			wrong = compare(u->got.v + at, u->want.v + at, n, "a square is wrong");
		if (!wrong)
			wrong = compare(u->got.ema + at, u->want.ema + at, n,
					"an average is wrong");
	}
	return wrong;
}

/* `zeros`: between the rows of the linear layer; `broken`: a gradient that is not finite, or 0. */
static void check_update(int type, bool zeros, float broken, const char *name)
{
	struct update u;
	const char *wrong;

	begin(&u, type, zeros, broken);
	on_device(&u);
	if (broken == 0)
		on_cpu(&u);
	wrong = check_state(&u.state, u.norm, broken == 0);
	if (!wrong)
		wrong = compare_all(&u);
	for (int i = 0; i < 2 && !wrong && broken == 0; i++)
		wrong = check_packed(&u.net.place[i],
				     u.got.param + u.net.place[i].call.in[1]->param, u.packed);
	for (size_t i = 0; i < u.net.packed && !wrong && broken != 0; i++)
		if (u.packed[i] != 0)
			wrong = "packed weights were written";
	judge(name, wrong);
	each_array(&u.got, u.n, free_array);
	each_array(&u.want, u.n, free_array);
	free(u.packed);
	dtn_graph_release(&u.net.graph);
}

int main(void)
{
	device = dtn_test_cuda();
	if (!device) {
		printf("ok update, cuda # skip: not on this machine\n");
		return 0;
	}
	check_update(DTN_F32, true, 0, "update, f32");
	check_update(DTN_BF16, true, 0, "update, bf16");
	check_update(DTN_BF16, false, 0, "update, bf16, rows close together");
	check_update(DTN_BF16, true, INFINITY, "update with an infinite gradient");
	check_update(DTN_F32, true, NAN, "update with a gradient that is no number");
	return failed;
}
