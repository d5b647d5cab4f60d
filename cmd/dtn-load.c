/* dtn-load.c -- read images, write a stream of samples.
 *
 * Each batch of images becomes a record as it lies in memory, and the threads that decode compress.
 */
#include "format/dtn.h"
#include "lib/image/load.h"
#include "lib/labels.h"
#include "lib/line.h"
#include "lib/options.h"
#include "lib/output.h"
#include "lib/samples/images.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_PIXELS = 1 << 28, MOST_SIDE = 1 << 20, LABELS_BYTES = 1000000 };

static const struct dtn_option options[] = {
	{ "size", 's', "WxH|SIZE", "fit every image to this size" },
	{ "fit", 0, "HOW", "crop|stretch|pad to the size (default: crop)" },
	{ "gray", 0, NULL, "one channel; without it, the first image decides" },
	{ "rgb", 0, NULL, "three channels" },
	{ "limit", 0, "N", "load at most N images" },
	{ "shuffle", 0, "SEED", "load in a random order that follows from SEED" },
	{ "labels", 0, "auto|none", "classes: names of sub-folders, labels of IDX and CIFAR files"
	  " (default: auto)" },
	{ "files-from", 0, "FILE", "load also what FILE lists, one path a line" },
	{ "skip-bad", 0, NULL, "pass over what cannot be loaded, with a warning" },
	{ "max-pixels", 0, "N", "refuse images of more than N pixels (default: 64M)" },
	{ NULL, 0, NULL, NULL }
};

static const struct dtn_command command = {
	"[OPTION]... [PATH]...",
	"Read image folders, PNG and JPEG files, MNIST IDX and CIFAR-10 files; write samples.",
	options, DTN_OUTPUT | DTN_THREADS | DTN_STREAM_OUT
};

struct settings {
	struct dtn_load_ask load;
	bool labels, skip_bad;
	const char *files_from;
};

static void size(const struct dtn_args *args, struct dtn_wanted *wanted)
{
	char *end;
	unsigned long w = strtoul(args->value, &end, 10), h = w;

	if (end != args->value && *end == 'x' && end[1] >= '0' && end[1] <= '9')
		h = strtoul(end + 1, &end, 10);
	if (args->value[0] < '0' || args->value[0] > '9' || *end || w < 1 || h < 1 ||
	    w > MOST_SIDE || h > MOST_SIDE || w * h > MOST_PIXELS)
		dtn_usage("%s %s: wants WxH or SIZE, sides of 1 to %d and at most %d pixels",
			  dtn_args_typed(args), args->value, MOST_SIDE, MOST_PIXELS);
	wanted->width = (int)w;
	wanted->height = (int)h;
}

static void parse(struct dtn_args *args, struct settings *s)
{
	struct dtn_load_ask *ask = &s->load;
	const char *name;

	*s = (struct settings){ .labels = true };
	*ask = (struct dtn_load_ask){ .limit = UINT64_MAX, .max_pixels = 64 << 20 };
	while ((name = dtn_args_next(args)))
		if (!strcmp(name, "size")) {
			size(args, &ask->wanted);
		} else if (!strcmp(name, "fit")) {
			ask->wanted.fit = (enum dtn_fit)dtn_args_choice(args, "crop|stretch|pad");
		} else if (!strcmp(name, "gray")) {
			ask->wanted.channels = 1;
		} else if (!strcmp(name, "rgb")) {
			ask->wanted.channels = 3;
		} else if (!strcmp(name, "limit")) {
			ask->limit = dtn_args_natural(args, 1, UINT64_MAX);
		} else if (!strcmp(name, "shuffle")) {
			ask->shuffle = true;
			ask->seed = dtn_args_natural(args, 0, UINT64_MAX);
		} else if (!strcmp(name, "labels")) {
			s->labels = dtn_args_choice(args, "auto|none") == 0;
		} else if (!strcmp(name, "files-from")) {
			s->files_from = args->value;
		} else if (!strcmp(name, "skip-bad")) {
			s->skip_bad = true;
		} else if (!strcmp(name, "max-pixels")) {
			ask->max_pixels = dtn_args_size(args);
		}
	ask->threads = args->threads;
}

static void find(struct dtn_list *list, const struct dtn_args *args, const struct settings *s)
{
	const char *where = args->operands > 0 ? args->operand[0] :
			    s->files_from ? s->files_from : "-";

	if (s->files_from)
		dtn_list_add_from(list, s->files_from);
	for (int i = 0; i < args->operands; i++)
		dtn_list_add(list, args->operand[i]);
	if (args->operands == 0 && !s->files_from)
		dtn_list_add(list, "-");
	dtn_list_finish(list);
	if (list->images == 0 && list->bad->count == 0)
		dtn_die(DTN_INPUT, "%s: no images", strcmp(where, "-") ? where : "stdin");
}

static void begin_segment(struct dtn_writer *writer, const struct dtn_args *args,
			  const struct dtn_list *list)
{
	struct dtn_meta meta = { 0 };
	struct dtn_prov prov = { 0 };

	dtn_meta_set(&meta, "image.layout", "NHWC");
	dtn_meta_set(&meta, "image.range", "0,255");
	dtn_meta_set(&meta, "image.colorspace", "sRGB");
	if (list->classes > 0) {
		char *labels = dtn_labels_join(list->class, list->classes);

		if (strlen(labels) > LABELS_BYTES)
			dtn_die(DTN_INPUT, "%d classes are too many: use --labels none",
				list->classes);
		dtn_meta_set(&meta, "labels", "%s", labels);
		free(labels);
	}
	if (!args->no_prov)
		dtn_prov_add(&prov, args->argc, args->argv, "", 0, NULL);
	dtn_write_segment(writer, DTN_SAMPLES, &meta, &prov);
	dtn_meta_release(&meta);
	dtn_prov_release(&prov);
}

static void show(struct dtn_line *line, uint64_t images, uint64_t of, double begun)
{
	if (dtn_line_due(line))
		dtn_line_show(line, "%llu of %llu images  %.0f images/s",
			      (unsigned long long)images, (unsigned long long)of,
			      (double)images / (dtn_seconds() - begun));
}

static uint64_t write_all(struct dtn_writer *writer, struct dtn_load *load,
			  const struct dtn_order *order, uint64_t limit, bool labelled)
{
	const struct dtn_wanted *w = &order->wanted;
	const int side[] = { w->height, w->width, w->channels };
	const double begun = dtn_seconds();
	const uint8_t *images;
	const int32_t *classes;
	struct dtn_line line;
	uint64_t total = 0;
	uint32_t n;

	dtn_line_init(&line);
	while ((n = dtn_load_next(load, &images, &classes)) > 0) {
		dtn_images_write(writer, DTN_U8, side, n, images, labelled ? classes : NULL);
		total += n;
		show(&line, total, order->n < limit ? order->n : limit, begun);
	}
	dtn_line_clear(&line);
	return total;
}

static void report(const struct dtn_order *o, uint64_t loaded, uint64_t bad)
{
	if (loaded == 0)
		dtn_die(DTN_INPUT, "no image could be loaded: %llu bad",
			(unsigned long long)bad);
	if (bad > 0)
		dtn_warn("%llu image%s loaded, %llu bad passed over", (unsigned long long)loaded,
			 dtn_plural(loaded), (unsigned long long)bad);
	dtn_say("%llu image%s of %dx%d, %s", (unsigned long long)loaded, dtn_plural(loaded),
		o->wanted.width, o->wanted.height, o->wanted.channels == 1 ? "gray" : "RGB");
}

int main(int argc, char **argv)
{
	struct dtn_args args;
	struct settings s;
	struct dtn_bad bad = { 0 };
	struct dtn_output output;
	struct dtn_writer *writer;
	struct dtn_list list;
	struct dtn_order order;
	struct dtn_packed_ask packed;
	struct dtn_load *load;
	struct dtn_threads threads;
	uint64_t loaded;

	dtn_begin(argv);
	dtn_args_begin(&args, &command, argc, argv);
	parse(&args, &s);
	bad.skip = s.skip_bad;
	dtn_output_open(&output, args.output, args.force);
	writer = dtn_writer_open(&output, args.level);
	packed = (struct dtn_packed_ask){ s.labels, s.load.shuffle, s.load.max_pixels };
	dtn_list_init(&list, &packed, &bad);
	find(&list, &args, &s);
	dtn_order_init(&order, &list, &s.load);
	if (order.mixed)
		dtn_note("images differ in size: all are fitted to %dx%d; -s WxH asks for another",
			 order.wanted.width, order.wanted.height);
	s.load.per_batch = dtn_images_most(dtn_wanted_bytes(&order.wanted));
	load = dtn_load_open(&order, &s.load);
	threads = dtn_load_threads(load);
	dtn_writer_share(writer, &threads);
	begin_segment(writer, &args, &list);
	loaded = write_all(writer, load, &order, s.load.limit, list.classes > 0);
	report(&order, loaded, bad.count);
	dtn_write_end(writer);
	dtn_writer_close(writer);
	dtn_output_commit(&output);
	dtn_load_close(load);
	dtn_order_release(&order);
	dtn_list_release(&list);
	return DTN_OK;
}
