/* weights.c -- a model's tensors: written in the order of its graph, read in any order.
 *
 * model.tensors in the metadata says which sets there are, "param,ema,adam_m,adam_v,counter".
 * Each set but the counters has one tensor for every parameter of the graph, which follows from
 * the configuration alone; reading insists on exactly these.  The caller's arrays are first
 * written to when a tensor of the right name and shape has arrived, so a short file that claims a
 * huge network costs no memory.
 */
#include "lib/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARAM, EMA, M, V, SETS };

static const int set_role[SETS] = { DTN_PARAM, DTN_EMA, DTN_ADAM_M, DTN_ADAM_V };
static const char *const set_name[SETS] = { "param", "ema", "adam_m", "adam_v" };
static const char *const prefix[SETS] = { "", "ema:", "adam_m:", "adam_v:" };   /* in messages */

static const char *const counter_name[] = { "step", "sample", "skipped" };
enum { COUNTERS = sizeof(counter_name) / sizeof(counter_name[0]) };

static void arrays(float *array[SETS], const struct dtn_weights *w)
{
	array[PARAM] = w->param;
	array[EMA] = w->ema;
	array[M] = w->m;
	array[V] = w->v;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void write_tensor(struct dtn_writer *w, const char *name, int role, int type,
			 struct dtn_shape shape, const void *data)
{
	uint64_t dim[4] = { 0 };
	struct dtn_tensor tensor;
	struct dtn_record record = { .tensors = 1, .tensor = &tensor };

	for (int i = 0; i < shape.rank; i++)
		dim[i] = (uint64_t)shape.dim[i];
	tensor = dtn_tensor(name, role, type, false, shape.rank, dim);
	dtn_write_record(w, &record, &data);
}

static void write_set(struct dtn_writer *w, int role, const struct dtn_graph *g, const float *array)
{
	for (dtn_id i = 0; i < g->n; i++) {
		const struct dtn_node *x = &g->node[i];
		if (x->op == DTN_OP_PARAM)
			write_tensor(w, x->name, role, DTN_F32, x->shape, array + x->param);
	}
}

/* The configuration first, so that a resumed run writes the same order; then the rest of the
 * metadata. */
static void model_meta(struct dtn_meta *meta, const struct dtn_model *m, float *const array[SETS])
{
	char text[64] = "";

	dtn_model_to_meta(m, meta);
	for (int s = 0; s < SETS; s++)
		if (array[s])
			strcat(strcat(text, set_name[s]), ",");
	dtn_meta_set(meta, "model.tensors", "%scounter", text);
	for (int i = 0; i < m->meta.n; i++)
		if (!dtn_meta_get(meta, m->meta.pair[i].key))
			dtn_meta_set(meta, m->meta.pair[i].key, "%s", m->meta.pair[i].value);
}

void dtn_model_write(struct dtn_writer *w, const struct dtn_model *m, const struct dtn_graph *g,
		     const struct dtn_weights *weights, const struct dtn_counters *counters)
{
	const int64_t counter[COUNTERS] = { counters->step, counters->sample, counters->skipped };
	struct dtn_meta meta = { 0 };
	float *array[SETS];

	arrays(array, weights);
	model_meta(&meta, m, array);
	dtn_write_segment(w, DTN_MODEL, &meta, &m->prov);
	for (int s = 0; s < SETS; s++)
		if (array[s])
			write_set(w, set_role[s], g, array[s]);
	for (int i = 0; i < COUNTERS; i++)
		write_tensor(w, counter_name[i], DTN_COUNTER, DTN_I64, (struct dtn_shape){ 0 },
			     &counter[i]);
	dtn_write_end(w);
	dtn_meta_release(&meta);
}

/* --- reading ---------------------------------------------------------------------------------- */

struct reading {
	struct dtn_reader *r;
	const struct dtn_graph *g;
	float *array[SETS];
	bool listed[SETS];              /* the file says that it has this set */
	bool *seen[SETS];               /* per node */
	bool counted[COUNTERS];
	int64_t counter[COUNTERS];
	dtn_id next;                    /* where the next parameter is looked for first */
};

/* Is `word` one of the words of "a,b,c"? */
static bool lists(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (; text; text = strchr(text, ','), text = text ? text + 1 : NULL)
		if (!strncmp(text, word, n) && (text[n] == ',' || !text[n]))
			return true;
	return false;
}

bool dtn_model_has(const struct dtn_model *m, enum dtn_role role)
{
	const char *text = dtn_meta_get(&m->meta, "model.tensors");

	for (int s = 0; s < SETS; s++)
		if (set_role[s] == (int)role)
			return lists(text ? text : "param", set_name[s]);
	return false;
}

static dtn_id find(struct reading *x, const char *name)
{
	const struct dtn_graph *g = x->g;

	for (dtn_id k = 0; k < g->n; k++) {
		dtn_id i = (x->next + k) % g->n;
		if (g->node[i].op == DTN_OP_PARAM && !strcmp(g->node[i].name, name)) {
			x->next = i + 1;
			return i;
		}
	}
	return -1;
}

/* "[64,3,3,3]" of a description, which may be anything. */
static void shape_text(char text[200], const struct dtn_tensor *t)
{
	int n = snprintf(text, 200, "[");

	for (int i = 0; i < t->rank; i++)
		n += snprintf(text + n, 200 - (size_t)n, i ? ",%llu" : "%llu",
			      (unsigned long long)t->dim[i]);
	snprintf(text + n, 200 - (size_t)n, "]");
}

static void check_tensor(struct reading *x, const struct dtn_tensor *t, int type,
			 struct dtn_shape shape)
{
	bool same = t->rank == shape.rank;
	char text[200];

	if (t->type != type)
		dtn_reader_die(x->r, "tensor \"%s\" has type %s, expected %s", t->name,
			       dtn_type_name(t->type), dtn_type_name(type));
	for (int i = 0; same && i < shape.rank; i++)
		same = t->dim[i] == (uint64_t)shape.dim[i];
	shape_text(text, t);
	if (!same || t->batched)
		dtn_reader_die(x->r, "tensor \"%s\" has shape %s%s, expected %s", t->name,
			       t->batched ? "batched " : "", text, dtn_shape_text(shape));
}

/* x - x is 0, or NaN where x is infinite or none. */
static bool all_finite(const float *x, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += x[i] - x[i];
	return sum == 0;
}

static void read_weight(struct reading *x, int set, const struct dtn_record *record, int i)
{
	const struct dtn_tensor *t = &record->tensor[i];
	const dtn_id id = x->listed[set] ? find(x, t->name) : -1;
	const struct dtn_node *node = id >= 0 ? &x->g->node[id] : NULL;
	float *into;

	if (!node)
		dtn_reader_die(x->r, "tensor \"%s%s\" unexpected", prefix[set], t->name);
	if (x->seen[set][id])
		dtn_reader_die(x->r, "duplicate tensor \"%s%s\"", prefix[set], t->name);
	x->seen[set][id] = true;
	check_tensor(x, t, DTN_F32, node->shape);
	if (!x->array[set])
		return;
	into = x->array[set] + node->param;
	dtn_read_tensor(x->r, i, into);
	if (!all_finite(into, dtn_shape_count(node->shape)))
		dtn_reader_die(x->r, "tensor \"%s%s\" is not finite", prefix[set], t->name);
}

static void read_counter(struct reading *x, const struct dtn_record *record, int i)
{
	const struct dtn_tensor *t = &record->tensor[i];

	for (int k = 0; k < COUNTERS; k++)
		if (!strcmp(t->name, counter_name[k])) {
			if (x->counted[k])
				dtn_reader_die(x->r, "duplicate tensor \"%s\"", t->name);
			check_tensor(x, t, DTN_I64, (struct dtn_shape){ 0 });
			x->counted[k] = true;
			dtn_read_tensor(x->r, i, &x->counter[k]);
			if (x->counter[k] < 0)
				dtn_reader_die(x->r, "counter \"%s\" is negative", t->name);
			return;
		}
	dtn_reader_die(x->r, "counter tensor \"%s\" unexpected", t->name);
}

static void read_record(struct reading *x, const struct dtn_record *record)
{
	for (int i = 0; i < record->tensors; i++) {
		int role = record->tensor[i].role;

		if (role == DTN_COUNTER)
			read_counter(x, record, i);
		for (int s = 0; s < SETS; s++)
			if (role == set_role[s])
				read_weight(x, s, record, i);
	}
}

static void check_whole(struct reading *x, bool counters)
{
	const char *name = dtn_reader_name(x->r);

	for (int s = 0; s < SETS; s++)
		for (dtn_id i = 0; x->listed[s] && i < x->g->n; i++)
			if (x->g->node[i].op == DTN_OP_PARAM && !x->seen[s][i])
				dtn_die(DTN_INPUT, "%s: model: tensor \"%s%s\" missing", name,
					prefix[s], x->g->node[i].name);
	for (int k = 0; counters && k < COUNTERS; k++)
		if (!x->counted[k])
			dtn_die(DTN_INPUT, "%s: model: counter \"%s\" missing", name,
				counter_name[k]);
	if (dtn_next_segment(x->r))
		dtn_die(DTN_INPUT, "%s: segment 2: expected one model, found more", name);
}

void dtn_model_read(struct dtn_reader *r, const struct dtn_model *m, const struct dtn_graph *g,
		    const struct dtn_weights *weights, struct dtn_counters *counters)
{
	struct reading x = { .r = r, .g = g };
	const struct dtn_record *record;

	arrays(x.array, weights);
	for (int s = 0; s < SETS; s++) {
		x.listed[s] = dtn_model_has(m, (enum dtn_role)set_role[s]);
		x.seen[s] = dtn_alloc((size_t)g->n, sizeof(bool));
		if (x.array[s] && !x.listed[s])
			dtn_die(DTN_INPUT, "%s: the model has no %s tensors", dtn_reader_name(r),
				set_name[s]);
	}
	while ((record = dtn_next_record(r)))
		read_record(&x, record);
	check_whole(&x, counters != NULL);
	if (counters)
		*counters = (struct dtn_counters){ x.counter[0], x.counter[1], x.counter[2] };
	for (int s = 0; s < SETS; s++)
		free(x.seen[s]);
}

/* --- a name for a model ----------------------------------------------------------------------- */

/* Eight sums side by side, so that hashing keeps up with memory; multiplication carries every
 * bit upward and the rotation brings it down again. */
struct hash { uint64_t lane[8]; };

static uint64_t stir(uint64_t h, uint64_t word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15u;
	return h << 29 | h >> 35;
}

static void hash_bytes(struct hash *h, const void *data, size_t bytes)
{
	const char *p = data;
	uint64_t word[8];

	for (; bytes >= sizeof(word); bytes -= sizeof(word), p += sizeof(word)) {
		memcpy(word, p, sizeof(word));
		for (int i = 0; i < 8; i++)
			h->lane[i] = stir(h->lane[i], word[i]);
	}
	memset(word, 0, sizeof(word));
	memcpy(word, p, bytes);
	word[7] ^= (uint64_t)bytes << 56;
	for (int i = 0; i < 8; i++)
		h->lane[i] = stir(h->lane[i], word[i]);
}

void dtn_model_hash(char hash[17], const struct dtn_model *m, const struct dtn_graph *g,
		    const float *weights)
{
	struct hash h = { { 1, 2, 3, 4, 5, 6, 7, 8 } };
	struct dtn_meta meta = { 0 };
	uint64_t sum = 0;

	dtn_model_to_meta(m, &meta);
	for (int i = 0; i < meta.n; i++) {
		hash_bytes(&h, meta.pair[i].key, strlen(meta.pair[i].key));
		hash_bytes(&h, meta.pair[i].value, strlen(meta.pair[i].value));
	}
	dtn_meta_release(&meta);
	for (dtn_id i = 0; i < g->n; i++)
		if (g->node[i].op == DTN_OP_PARAM)
			hash_bytes(&h, weights + g->node[i].param,
				   dtn_shape_count(g->node[i].shape) * sizeof(*weights));
	for (int i = 0; i < 8; i++)
		sum = stir(sum, h.lane[i]);
	snprintf(hash, 17, "%016llx", (unsigned long long)(sum ^ sum >> 32));
}
