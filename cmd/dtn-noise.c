/* dtn-noise.c -- the forward process: images in, images with noise out.
 *
 * Records are read whole and written in parts of about 4 MiB of noised images, so that a long list
 * of timesteps costs no memory.  What else a record holds goes along with its sample.
 */
#include "format/dtn.h"
#include "lib/diffusion/choose.h"
#include "lib/diffusion/noise.h"
#include "lib/image/tone.h"
#include "lib/model.h"
#include "lib/output.h"

#include <stdlib.h>
#include <string.h>

enum { PART_BYTES = 4 << 20, PART_SAMPLES = 1 << 16, MOST_TIMES = 4096, ADDED = 3 };

static const struct dtn_option options[] = {
	{ "at", 't', "T,T,...", "write every image at these timesteps, 0 to STEPS-1" },
	{ "random", 0, NULL, "write every image at a random timestep" },
	{ "pure", 0, NULL, "write noise in place of every image, for dtn-sample --from" },
	{ "keep-noise", 0, NULL, "write the noise, too" },
	DTN_SCHEDULE_OPTIONS,
	{ "model", 0, "MODEL", "steps and schedule as in MODEL" },
	{ NULL, 0, NULL, NULL }
};

static const struct dtn_command command = {
	"-t T,T,...|--random|--pure [OPTION]... [STREAM]...", "Add noise to images.", options,
	DTN_OUTPUT | DTN_ONE_THREAD | DTN_SEED | DTN_STREAM_IN | DTN_STREAM_OUT
};

struct job {
	struct dtn_args args, at;       /* at: as it was when -t came */
	const char *model;              /* --model */
	bool random, pure, keep;
	int times, time[MOST_TIMES];    /* of -t; 1 time otherwise */
	struct dtn_schedule schedule;

	struct dtn_reader *in;
	struct dtn_output out;
	struct dtn_writer *writer;
	uint64_t images;                /* in the records before this one */

	/* the record */
	const struct dtn_record *record;
	int image;                      /* its tensor with images */
	size_t numbers;                 /* of an image */
	char **data;                    /* of each tensor */
	struct dtn_tensor *tensor;      /* what is written: theirs, then up to ADDED */
	const void **part;              /* likewise */

	float *x0;                      /* of one image */
	float *noised, *noise;          /* of a part */
	int32_t *timestep;
};

/* --- what is wanted ----------------------------------------------------------------------- */

static void settle(struct job *job, const struct dtn_schedule_config *config)
{
	const struct dtn_args *at = &job->at;

	dtn_schedule_settle(config);
	job->times = at->value ? dtn_args_list(at, job->time, MOST_TIMES, 0, config->steps - 1) : 1;
	dtn_schedule_init(&job->schedule, config);
}

static void parse(struct job *job, int argc, char **argv)
{
	struct dtn_schedule_config config = dtn_schedule_default();
	struct dtn_args *a = &job->args;
	bool given = false;
	const char *name;

	dtn_args_begin(a, &command, argc, argv);
	while ((name = dtn_args_next(a))) {
		if (dtn_schedule_option(&config, a))
			given = true;
		else if (!strcmp(name, "model"))
			job->model = a->value;
		else if (!strcmp(name, "at"))
			job->at = *a;   /* its numbers wait for -T */
		else if (!strcmp(name, "random"))
			job->random = true;
		else if (!strcmp(name, "pure"))
			job->pure = true;
		else
			job->keep = true;
	}
	if ((job->at.value != NULL) + job->random + job->pure != 1)
		dtn_usage("one of -t, --random and --pure is wanted");
	if (job->pure && job->keep)
		dtn_usage("--pure and --keep-noise exclude each other: there is nothing else");
	if (job->model && given)
		dtn_usage("--model brings its schedule: no options for another");
	if (!job->model)
		settle(job, &config);
}

/* Once there is a writer, which tells the next program what is wrong with the model. */
static void use_model(struct job *job)
{
	const struct dtn_schedule_config config = dtn_schedule_of_model(job->model);

	settle(job, &config);
}

/* --- the record that is read ------------------------------------------------------------------ */

/* The tensor with images; dies where there are none that noise could be added to. */
static int find_images(const struct job *job)
{
	const struct dtn_record *r = job->record;
	int i = dtn_find_tensor(r, DTN_IMAGE, NULL);
	const struct dtn_tensor *t;

	if (i < 0)
		i = dtn_find_tensor(r, DTN_SAMPLE, NULL);
	for (int k = 0; k < r->tensors; k++)
		if (r->tensor[k].role == DTN_NOISED || r->tensor[k].role == DTN_NOISE ||
		    r->tensor[k].role == DTN_TIMESTEP)
			dtn_reader_die(job->in, "images with noise already");
	if (i < 0)
		dtn_reader_die(job->in, "no images to add noise to");
	t = &r->tensor[i];
	if ((t->type != DTN_U8 && t->type != DTN_F32) || !t->batched || t->rank < 2)
		dtn_reader_die(job->in, "tensor \"%s\": noise is added to u8 or f32 images",
			       t->name);
	return i;
}

static size_t row_bytes(const struct dtn_record *r, const struct dtn_tensor *t)
{
	return (size_t)(t->batched ? t->bytes / r->samples : t->bytes);
}

static void read_record(struct job *job)
{
	const struct dtn_record *r = job->record;
	const size_t n = (size_t)r->tensors;

	job->image = find_images(job);
	job->numbers = row_bytes(r, &r->tensor[job->image]) /
		       dtn_type_size(r->tensor[job->image].type);
	job->data = dtn_alloc(n, sizeof(*job->data));
	for (int i = 0; i < r->tensors; i++) {
		const char *read = dtn_read_tensor(job->in, i, NULL);

		/* Now that all of it is there, and not only promised. */
		job->data[i] = dtn_realloc(NULL, r->tensor[i].bytes, 1);
		memcpy(job->data[i], read, r->tensor[i].bytes);
	}
	job->tensor = dtn_alloc(n + ADDED, sizeof(*job->tensor));
	job->part = dtn_alloc(n + ADDED, sizeof(*job->part));
}

static void forget_record(struct job *job)
{
	for (int i = 0; i < job->record->tensors; i++)
		free(job->data[i]);
	free(job->data);
	free(job->tensor);
	free(job->part);
}

/* --- a part of it is written ------------------------------------------------------------------ */

/* Image i of the record as numbers from -1 to 1. */
static const float *get_image(const struct job *job, uint64_t i)
{
	const char *at = job->data[job->image];

	if (job->record->tensor[job->image].type == DTN_F32)
		return (const float *)at + i * job->numbers;
	for (size_t k = 0; k < job->numbers; k++)
		job->x0[k] = dtn_tone(((const uint8_t *)at)[i * job->numbers + k]);
	return job->x0;
}

/* Sample `at` of the record becomes sample j of the part.  All times of an image have the same
 * noise: that of its number. */
static void make_sample(struct job *job, uint64_t at, size_t j)
{
	const uint64_t i = at / (uint64_t)job->times, number = job->images + i,
		       seed = job->args.seed;
	float *eps = job->noise + j * job->numbers;

	if (job->pure) {
		dtn_start_of(seed, number, eps, job->numbers);
		return;
	}
	dtn_noise_of(seed, number, eps, job->numbers);
	job->timestep[j] = job->random ?
		dtn_timestep_of(seed, number, job->schedule.config.steps) :
		job->time[at % (uint64_t)job->times];
	dtn_add_noise(&job->schedule, job->timestep[j], job->noised + j * job->numbers,
		      get_image(job, i), eps, job->numbers);
}

/* Rows of tensor i for samples first .. first+n-1; allocated. */
static char *gather(const struct job *job, int i, uint64_t first, size_t n)
{
	const struct dtn_tensor *t = &job->record->tensor[i];
	const size_t bytes = row_bytes(job->record, t), rows = t->batched ? n : 1;
	char *to = dtn_realloc(NULL, rows, bytes);

	for (size_t j = 0; j < rows; j++)
		memcpy(to + j * bytes, job->data[i] + (t->batched ? (first + j) /
		       (uint64_t)job->times * bytes : 0), bytes);
	return to;
}

static void add_tensor(struct job *job, struct dtn_record *r, const char *name, int role, int type,
		       const void *data)
{
	struct dtn_tensor *t = &job->tensor[r->tensors];

	*t = job->record->tensor[job->image];
	if (type == DTN_I32)
		t->rank = 1;
	*t = dtn_tensor(name, role, type, true, t->rank, t->dim);
	t->dim[0] = r->samples;
	job->part[r->tensors++] = data;
}

static void write_part(struct job *job, uint64_t first, size_t n)
{
	const struct dtn_record *from = job->record;
	struct dtn_record r = { .samples = (uint32_t)n, .tensor = job->tensor };
	int copied;

	for (size_t j = 0; j < n; j++)
		make_sample(job, first + j, j);
	for (int i = 0; i < from->tensors; i++) {
		if (job->pure && i == job->image)
			continue;
		job->tensor[r.tensors] = from->tensor[i];
		if (from->tensor[i].batched)
			job->tensor[r.tensors].dim[0] = n;
		job->part[r.tensors++] = gather(job, i, first, n);
	}
	copied = r.tensors;
	if (!job->pure) {
		add_tensor(job, &r, "noised", DTN_NOISED, DTN_F32, job->noised);
		add_tensor(job, &r, "timestep", DTN_TIMESTEP, DTN_I32, job->timestep);
	}
	if (job->pure || job->keep)
		add_tensor(job, &r, "noise", DTN_NOISE, DTN_F32, job->noise);
	dtn_write_record(job->writer, &r, job->part);
	for (int i = 0; i < copied; i++)
		free((void *)job->part[i]);
}

static void take_record(struct job *job)
{
	const uint64_t samples = (uint64_t)job->record->samples * (uint64_t)job->times;
	size_t most = PART_SAMPLES, bytes;

	read_record(job);
	bytes = job->numbers * sizeof(float);
	if (bytes > 0 && PART_BYTES / bytes < most)
		most = PART_BYTES / bytes ? PART_BYTES / bytes : 1;
	job->x0 = dtn_realloc(job->x0, 1, bytes);
	job->noised = dtn_realloc(job->noised, most, bytes);
	job->noise = dtn_realloc(job->noise, most, bytes);
	job->timestep = dtn_realloc(job->timestep, most, sizeof(int32_t));
	for (uint64_t first = 0; first < samples; first += most)
		write_part(job, first, samples - first < most ? (size_t)(samples - first) : most);
	job->images += job->record->samples;
	forget_record(job);
}

/* --- segments ----------------------------------------------------------------------------- */

static void begin_segment(struct job *job)
{
	const struct dtn_args *a = &job->args;
	struct dtn_meta meta = { 0 };
	struct dtn_prov prov = { 0 };

	if (dtn_meta_get(dtn_reader_meta(job->in), "sample.frames"))
		dtn_reader_die(job->in, "frames of dtn-sample --trace; noise is added to images");
	dtn_meta_copy(&meta, dtn_reader_meta(job->in));
	dtn_meta_set(&meta, "noise.seed", "%llu", (unsigned long long)a->seed);
	if (!job->pure)
		dtn_schedule_to_meta(&job->schedule.config, &meta);
	if (job->times > 1)
		dtn_meta_set(&meta, "noise.frames", "%d", job->times);
	dtn_prov_merge(&prov, dtn_reader_prov(job->in));
	if (!a->no_prov)
		dtn_prov_add(&prov, a->argc, a->argv, "--model= --max-record=", a->operands,
			     a->operand);
	dtn_write_segment(job->writer, DTN_SAMPLES, &meta, &prov);
	dtn_meta_release(&meta);
	dtn_prov_release(&prov);
}

int main(int argc, char **argv)
{
	static struct job job;

	dtn_begin(argv);
	parse(&job, argc, argv);
	dtn_output_open(&job.out, job.args.output, job.args.force);
	job.writer = dtn_writer_open(&job.out, job.args.level);
	if (job.model)
		use_model(&job);
	job.in = dtn_reader_open(job.args.operands, job.args.operand, DTN_SAMPLES);
	dtn_reader_pass_on(job.in, job.writer);
	while (dtn_next_segment(job.in)) {
		begin_segment(&job);
		while ((job.record = dtn_next_record(job.in)))
			if (job.record->samples > 0)
				take_record(&job);
		dtn_write_end(job.writer);
	}
	dtn_say("%llu image%s", (unsigned long long)job.images, dtn_plural(job.images));
	dtn_reader_close(job.in);
	dtn_writer_close(job.writer);
	dtn_output_commit(&job.out);
	return DTN_OK;
}
