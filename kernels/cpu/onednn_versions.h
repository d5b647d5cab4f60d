/* onednn_versions.h -- what oneDNN 2 and oneDNN 3 spell differently, for onednn.c alone.
 *
 * Version 2 describes an operation in one structure and its tensors in others; version 3 hides both
 * behind pointers.  A `layout` is a tensor's, of either.
 */
#ifndef DTN_ONEDNN_VERSIONS_H
#define DTN_ONEDNN_VERSIONS_H

#include "lib/base.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>

static void check(dnnl_status_t status, const char *what)
{
	if (status == dnnl_out_of_memory)
		dtn_die(DTN_ENV, "oneDNN: %s: out of memory", what);
	if (status != dnnl_success)
		dtn_die(DTN_ENV, "oneDNN: %s: status %d", what, (int)status);
}

struct geometry { dnnl_dims_t stride, dilate, low, high; };

#if DNNL_VERSION_MAJOR < 3

typedef const dnnl_memory_desc_t *layout;

static layout new_layout(int rank, const dnnl_dims_t dims, dnnl_data_type_t type,
			 dnnl_format_tag_t tag)
{
	dnnl_memory_desc_t *d = dtn_alloc(1, sizeof(*d));

	check(dnnl_memory_desc_init_by_tag(d, rank, dims, type, tag), "layout");
	return d;
}

static void free_layout(layout d)
{
	free((void *)d);
}

static dnnl_status_t describe_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, layout x,
				      layout w, layout b, layout y, const struct geometry *g,
				      const_dnnl_primitive_attr_t attr)
{
	dnnl_convolution_desc_t d;

	check(dnnl_dilated_convolution_forward_desc_init(&d, dnnl_forward_training,
							 dnnl_convolution_direct, x, w, b, y,
							 g->stride, g->dilate, g->low, g->high),
	      "forward");
	return dnnl_primitive_desc_create(pd, &d, attr, engine, NULL);
}

static dnnl_status_t describe_data(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, layout dx,
				   layout w, layout dy, const struct geometry *g,
				   const_dnnl_primitive_desc_t hint,
				   const_dnnl_primitive_attr_t attr)
{
	dnnl_convolution_desc_t d;

	check(dnnl_dilated_convolution_backward_data_desc_init(&d, dnnl_convolution_direct, dx, w,
							       dy, g->stride, g->dilate, g->low,
							       g->high),
	      "gradient of the data");
	return dnnl_primitive_desc_create(pd, &d, attr, engine, hint);
}

static dnnl_status_t describe_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, layout x,
				      layout dw, layout db, layout dy, const struct geometry *g,
				      const_dnnl_primitive_desc_t hint,
				      const_dnnl_primitive_attr_t attr)
{
	dnnl_convolution_desc_t d;

	check(dnnl_dilated_convolution_backward_weights_desc_init(&d, dnnl_convolution_direct, x,
								  dw, db, dy, g->stride, g->dilate,
								  g->low, g->high),
	      "gradient of the weights");
	return dnnl_primitive_desc_create(pd, &d, attr, engine, hint);
}

static void append_sum(dnnl_post_ops_t ops)
{
	check(dnnl_post_ops_append_sum(ops, 1), "sum");
}

#else

typedef const_dnnl_memory_desc_t layout;

static layout new_layout(int rank, const dnnl_dims_t dims, dnnl_data_type_t type,
			 dnnl_format_tag_t tag)
{
	dnnl_memory_desc_t d;

	check(dnnl_memory_desc_create_with_tag(&d, rank, dims, type, tag), "layout");
	return d;
}

static void free_layout(layout d)
{
	dnnl_memory_desc_destroy((dnnl_memory_desc_t)d);
}

static dnnl_status_t describe_forward(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, layout x,
				      layout w, layout b, layout y, const struct geometry *g,
				      const_dnnl_primitive_attr_t attr)
{
	return dnnl_convolution_forward_primitive_desc_create(
		pd, engine, dnnl_forward_training, dnnl_convolution_direct, x, w, b, y, g->stride,
		g->dilate, g->low, g->high, attr);
}

static dnnl_status_t describe_data(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, layout dx,
				   layout w, layout dy, const struct geometry *g,
				   const_dnnl_primitive_desc_t hint,
				   const_dnnl_primitive_attr_t attr)
{
	return dnnl_convolution_backward_data_primitive_desc_create(
		pd, engine, dnnl_convolution_direct, dx, w, dy, g->stride, g->dilate, g->low,
		g->high, hint, attr);
}

static dnnl_status_t describe_weights(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, layout x,
				      layout dw, layout db, layout dy, const struct geometry *g,
				      const_dnnl_primitive_desc_t hint,
				      const_dnnl_primitive_attr_t attr)
{
	return dnnl_convolution_backward_weights_primitive_desc_create(
		pd, engine, dnnl_convolution_direct, x, dw, db, dy, g->stride, g->dilate, g->low,
		g->high, hint, attr);
}

static void append_sum(dnnl_post_ops_t ops)
{
	check(dnnl_post_ops_append_sum(ops, 1, 0, dnnl_data_type_undef), "sum");
}

#endif

#endif
