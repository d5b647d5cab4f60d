/* model.c -- fuzz target: a model, as dtn-sample and dtn-train --resume read it. */
#include "tests/fuzz/harness.h"

#include "lib/model.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PARAMETERS = 1 << 20 };

static struct dtn_reader *in;
static struct dtn_model model;
static struct dtn_graph graph;
static struct dtn_weights weights;

/* dtn_model_open would keep the reader to itself where it dies. */
static void open_model(void)
{
	char *operand = fuzz_path;

	in = dtn_reader_open(1, &operand, DTN_MODEL);
	dtn_next_segment(in);
	dtn_model_from_meta(&model, dtn_reader_meta(in), dtn_reader_name(in));
	dtn_meta_copy(&model.meta, dtn_reader_meta(in));
	dtn_prov_merge(&model.prov, dtn_reader_prov(in));
}

void target_read(const uint8_t *data, size_t n)
{
	struct dtn_schedule schedule;
	struct dtn_counters counters;

	(void)data;
	open_model();
	dtn_schedule_init(&schedule, &model.schedule);
	dtn_schedule_release(&schedule);
	dtn_unet_graph(&graph, &model.unet);
	if (graph.params > MOST_PARAMETERS)
		return;
	weights.param = dtn_alloc(graph.params, sizeof(float));
	if (dtn_model_has(&model, DTN_EMA))
		weights.ema = dtn_alloc(graph.params, sizeof(float));
	dtn_model_read(in, &model, &graph, &weights, n % 2 ? &counters : NULL);
}

void target_clean(void)
{
	dtn_reader_close(in);
	dtn_model_release(&model);
	dtn_graph_release(&graph);
	free(weights.param);
	free(weights.ema);
	memset(&weights, 0, sizeof(weights));
}
