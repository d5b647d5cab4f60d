/* onednn.c -- oneDNN, versions 2 and 3, as an engine for convolutions and linear maps.
 *
 * Primitives are made once, for one thread, and shared by all workers: whatever an execution writes
 * lies in the caller's scratch.  oneDNN chooses the layout of the weights, so they are packed for
 * the forward pass and, when training, once more for the gradient of the data.
 *
 * One stream serves all workers: with OpenMP a CPU stream holds nothing that an execution changes.
 * OpenMP keeps its number of threads for each calling thread, so it is set to one wherever oneDNN
 * is entered.
 */
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/onednn_versions.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* --- the library ----------------------------------------------------------------------------- */

static pthread_once_t started = PTHREAD_ONCE_INIT;
static dnnl_engine_t engine;
static dnnl_stream_t stream;
static void (*set_threads)(int);

/* The instruction sets that the rest of these files is compiled for, no more: what runs is then
 * what was asked for.  Only the first to limit oneDNN in a process is heard. */
static void limit(void)
{
#if defined(__AVX512F__)
	/* all of them */
#elif defined(__AVX2__)
	(void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
#else
	(void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_sse41);
#endif
}

enum { ROOM_FOR_CODE = 32 << 20 };

static void start(void)
{
	limit();
	*(void **)&set_threads = dlsym(RTLD_DEFAULT, "omp_set_num_threads");
	/* It crashes where memory for the code that it makes cannot be had. */
	free(dtn_alloc_aligned(ROOM_FOR_CODE));
	check(dnnl_engine_create(&engine, dnnl_cpu, 0), "engine");
	check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "stream");
}

static void enter(void)
{
	static _Thread_local bool entered;

	if (entered)
		return;
	entered = true;
	pthread_once(&started, start);
	if (set_threads)
		set_threads(1);
}

bool CPU(onednn_bf16)(void)
{
	enter();
	return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) ==
	       dnnl_cpu_isa_avx512_core_bf16;
}

void CPU(onednn_sgemm)(char ta, char tb, int M, int N, int K, const float *a, int lda,
		       const float *b, int ldb, float beta, float *c, int ldc)
{
	enter();
	check(dnnl_sgemm(ta, tb, M, N, K, 1.0f, a, lda, b, ldb, beta, c, ldc), "sgemm");
}

/* --- open ------------------------------------------------------------------------------------ */

struct own {
	layout x, w, plain_w, b, y;     /* w: any; plain_w: f32 [K,C,k,k] */
	dnnl_primitive_desc_t forward_pd, sum_pd, data_pd, weights_pd;
	dnnl_primitive_t forward, sum;  /* y = ..., y += ... */
	dnnl_primitive_t data, weights;
	/* NULL: the layout is the plain one */
	dnnl_primitive_t pack_forward, pack_data, unpack;
	size_t data_at;                 /* in the packed weights */
	/* scratch: dx to add, or dw in oneDNN's layout; then oneDNN's own */
	size_t temporary_bytes;
};

static struct geometry geometry(const struct product *p)
{
	int low = p->stride == 1 ? (p->k - 1) / 2 : 0, high = p->k / 2;

	return (struct geometry){
		{ p->stride, p->stride }, { 0, 0 }, { low, low }, { high, high }
	};
}

static layout layout_of(dnnl_primitive_desc_t pd, dnnl_query_t what)
{
	return dnnl_primitive_desc_query_md(pd, what, 0);
}

static size_t bytes_of(dnnl_primitive_desc_t pd, dnnl_query_t what)
{
	return pd ? round64(dnnl_memory_desc_get_size(layout_of(pd, what))) : 0;
}

static dnnl_primitive_attr_t new_attr(bool sum)
{
	dnnl_primitive_attr_t attr;
	dnnl_post_ops_t ops;

	check(dnnl_primitive_attr_create(&attr), "attributes");
	check(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user),
	      "scratchpad");
	if (!sum)
		return attr;
	check(dnnl_post_ops_create(&ops), "post ops");
	append_sum(ops);
	check(dnnl_primitive_attr_set_post_ops(attr, ops), "post ops");
	dnnl_post_ops_destroy(ops);
	return attr;
}

static dnnl_primitive_t primitive(dnnl_primitive_desc_t pd)
{
	dnnl_primitive_t made;

	check(dnnl_primitive_create(&made, pd), "primitive");
	return made;
}

static dnnl_primitive_t reorder(layout from, layout to)
{
	dnnl_primitive_desc_t pd;
	dnnl_primitive_t made;

	if (dnnl_memory_desc_equal(from, to))
		return NULL;
	check(dnnl_reorder_primitive_desc_create(&pd, from, engine, to, engine, NULL), "reorder");
	made = primitive(pd);
	dnnl_primitive_desc_destroy(pd);
	return made;
}

static void new_layouts(struct own *o, const struct product *p)
{
	dnnl_data_type_t type = p->type == DTN_BF16 ? dnnl_bf16 : dnnl_f32;
	dnnl_dims_t x = { p->N, p->C, p->H, p->W }, y = { p->N, p->K, p->Ho, p->Wo };
	dnnl_dims_t w = { p->K, p->C, p->k, p->k }, b = { p->K };

	o->x = new_layout(4, x, type, dnnl_nhwc);
	o->y = new_layout(4, y, type, dnnl_nhwc);
	o->w = new_layout(4, w, type, dnnl_format_tag_any);
	o->plain_w = new_layout(4, w, dnnl_f32, dnnl_oihw);
	o->b = new_layout(1, b, dnnl_f32, dnnl_a);
}

static void open_forward(struct own *o, const struct geometry *g)
{
	dnnl_primitive_attr_t plain = new_attr(false), sum = new_attr(true);

	check(describe_forward(&o->forward_pd, engine, o->x, o->w, o->b, o->y, g, plain),
	      "convolution");
	check(describe_forward(&o->sum_pd, engine, o->x,
			       layout_of(o->forward_pd, dnnl_query_weights_md), o->b, o->y, g, sum),
	      "convolution with a sum");
	o->forward = primitive(o->forward_pd);
	o->sum = primitive(o->sum_pd);
	o->pack_forward = reorder(o->plain_w, layout_of(o->forward_pd, dnnl_query_weights_md));
	dnnl_primitive_attr_destroy(plain);
	dnnl_primitive_attr_destroy(sum);
}

static void open_backward(struct own *o, const struct product *p, const struct geometry *g)
{
	dnnl_dims_t w = { p->K, p->C, p->k, p->k };
	dnnl_primitive_attr_t attr = new_attr(false);
	layout any_f32 = new_layout(4, w, dnnl_f32, dnnl_format_tag_any);

	check(describe_data(&o->data_pd, engine, o->x, o->w, o->y, g, o->forward_pd, attr),
	      "convolution by data");
	check(describe_weights(&o->weights_pd, engine, o->x, any_f32, o->b, o->y, g,
			       o->forward_pd, attr),
	      "convolution by weights");
	o->data = primitive(o->data_pd);
	o->weights = primitive(o->weights_pd);
	o->pack_data = reorder(o->plain_w, layout_of(o->data_pd, dnnl_query_weights_md));
	o->unpack = reorder(layout_of(o->weights_pd, dnnl_query_diff_weights_md), o->plain_w);
	free_layout(any_f32);
	dnnl_primitive_attr_destroy(attr);
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

static size_t pad_bytes(dnnl_primitive_desc_t pd)
{
	return bytes_of(pd, dnnl_query_scratchpad_md);
}

static void open(struct product *p)
{
	struct own *o = p->own = dtn_alloc(1, sizeof(*o));
	struct geometry g = geometry(p);

	enter();
	new_layouts(o, p);
	open_forward(o, &g);
	o->data_at = p->packed_bytes = bytes_of(o->forward_pd, dnnl_query_weights_md);
	p->scratch_bytes = larger(pad_bytes(o->forward_pd), pad_bytes(o->sum_pd));
	if (!p->training)
		return;
	open_backward(o, p, &g);
	p->packed_bytes += bytes_of(o->data_pd, dnnl_query_weights_md);
	o->temporary_bytes = larger(bytes_of(o->data_pd, dnnl_query_diff_src_md),
				    bytes_of(o->weights_pd, dnnl_query_diff_weights_md));
	p->scratch_bytes = larger(p->scratch_bytes, o->temporary_bytes +
				  larger(pad_bytes(o->data_pd), pad_bytes(o->weights_pd)));
}

static void close(struct product *p)
{
	struct own *o = p->own;
	dnnl_primitive_t made[] = { o->forward,	     o->sum,	   o->data,  o->weights,
				    o->pack_forward, o->pack_data, o->unpack };
	dnnl_primitive_desc_t pd[] = { o->forward_pd, o->sum_pd, o->data_pd, o->weights_pd };
	layout layouts[] = { o->x, o->w, o->plain_w, o->b, o->y };

	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
		if (made[i])
			dnnl_primitive_destroy(made[i]);
	for (size_t i = 0; i < sizeof(pd) / sizeof(pd[0]); i++)
		if (pd[i])
			dnnl_primitive_desc_destroy(pd[i]);
	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++)
		free_layout(layouts[i]);
	free(o);
}

/* --- run ------------------------------------------------------------------------------------- */

struct operand { int arg; layout layout; const void *data; };

enum { OPERANDS = 5 };          /* of one execution, at most */

/* The last operand has a NULL layout. */
static void execute(dnnl_primitive_t what, const struct operand *operand)
{
	dnnl_exec_arg_t arg[OPERANDS];
	int n = 0;

	enter();
	for (; operand[n].layout; n++) {
		arg[n].arg = operand[n].arg;
		check(dnnl_memory_create(&arg[n].memory, operand[n].layout, engine,
					 (void *)operand[n].data),
		      "memory");
	}
	check(dnnl_primitive_execute(what, stream, n, arg), "execution");
	for (int i = 0; i < n; i++)
		dnnl_memory_destroy(arg[i].memory);
}

static void change_layout(dnnl_primitive_t how, layout from_layout, const void *from,
			  layout to_layout, void *to)
{
	if (how)
		execute(how, (struct operand[]){ { DNNL_ARG_FROM, from_layout, from },
						 { DNNL_ARG_TO, to_layout, to }, { 0 } });
	else
		memcpy(to, from, dnnl_memory_desc_get_size(to_layout));
}

static void pack(const struct product *p, const float *w, void *packed)
{
	const struct own *o = p->own;

	change_layout(o->pack_forward, o->plain_w, w,
		      layout_of(o->forward_pd, dnnl_query_weights_md), packed);
	if (p->training)
		change_layout(o->pack_data, o->plain_w, w,
			      layout_of(o->data_pd, dnnl_query_weights_md),
			      (char *)packed + o->data_at);
}

static void forward(const struct product *p, const void *x, struct weights w, const float *b,
		    const void *residual, void *y, void *scratch)
{
	const struct own *o = p->own;
	dnnl_primitive_desc_t pd = residual ? o->sum_pd : o->forward_pd;

	if (residual)
		memcpy(y, residual, dnnl_memory_desc_get_size(o->y));
	execute(residual ? o->sum : o->forward,
		(struct operand[]){ { DNNL_ARG_SRC, o->x, x },
				    { DNNL_ARG_WEIGHTS, layout_of(pd, dnnl_query_weights_md),
				      w.packed },
				    { DNNL_ARG_BIAS, o->b, b },
				    { DNNL_ARG_DST, o->y, y },
				    { DNNL_ARG_SCRATCHPAD, layout_of(pd, dnnl_query_scratchpad_md),
				      scratch },
				    { 0 } });
}

static void by_data(const struct product *p, const void *dy, struct weights w, void *dx, bool add,
		    void *scratch)
{
	const struct own *o = p->own;
	void *to = add ? scratch : dx, *pad = (char *)scratch + o->temporary_bytes;

	execute(o->data, (struct operand[]){
		{ DNNL_ARG_DIFF_DST, o->y, dy },
		{ DNNL_ARG_WEIGHTS, layout_of(o->data_pd, dnnl_query_weights_md),
		  (const char *)w.packed + o->data_at },
		{ DNNL_ARG_DIFF_SRC, o->x, to },
		{ DNNL_ARG_SCRATCHPAD, layout_of(o->data_pd, dnnl_query_scratchpad_md), pad },
		{ 0 } });
	if (add)
		CPU(product_store)(dx, p->type, to, p->type, (size_t)p->N * p->H * p->W * p->C,
				   true);
}

static void by_weights(const struct product *p, const void *x, const void *dy, float *dw, float *db,
		       void *scratch)
{
	const struct own *o = p->own;
	layout packed = layout_of(o->weights_pd, dnnl_query_diff_weights_md);
	void *to = o->unpack ? scratch : dw, *pad = (char *)scratch + o->temporary_bytes;

	execute(o->weights, (struct operand[]){
		{ DNNL_ARG_SRC, o->x, x },
		{ DNNL_ARG_DIFF_DST, o->y, dy },
		{ DNNL_ARG_DIFF_WEIGHTS, packed, to },
		{ DNNL_ARG_DIFF_BIAS, o->b, db },
		{ DNNL_ARG_SCRATCHPAD, layout_of(o->weights_pd, dnnl_query_scratchpad_md), pad },
		{ 0 } });
	if (o->unpack)
		execute(o->unpack, (struct operand[]){ { DNNL_ARG_FROM, packed, to },
						       { DNNL_ARG_TO, o->plain_w, dw }, { 0 } });
}

const struct engine CPU(onednn) = {
	.open = open, .close = close, .pack = pack, .forward = forward, .by_data = by_data,
	.by_weights = by_weights,
};
