/* data.c -- images come back as they were written, from memory and from the spool, in the right
 * order; what a stream must not say is refused. */
#include "lib/train/batch.h"

#include "lib/diffusion/choose.h"
#include "lib/diffusion/from.h"
#include "lib/nn/unet.h"
#include "lib/output.h"
#include "lib/rng.h"
#include "tests/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* An image of 3 x 1001 x 7 bytes: no whole number of them fits a chunk, so many lie in two. */
enum { H = 3, W = 1001, C = 7, BYTES = H * W * C, N = 120, PER_RECORD = 70 };

static char path[] = "/tmp/dtn-data-XXXXXX";

static uint8_t byte(int image, int at)
{
	uint32_t x = (uint32_t)image * 2654435761u + (uint32_t)at * 40503u;

	return (uint8_t)(x >> 13 ^ x);
}

/* Two segments, records of up to 70 images: the last of each is shorter. */
static void write_stream(void)
{
	struct dtn_output out;
	struct dtn_writer *w;
	struct dtn_meta meta = { 0 };
	struct dtn_prov prov = { 0 };
	uint8_t *pixels = dtn_alloc((size_t)PER_RECORD * BYTES, 1);

	dtn_output_open(&out, path, false);
	w = dtn_writer_open(&out, 1);
	for (int segment = 0, image = 0; segment < 2; segment++) {
		int end = segment == 0 ? 75 : N;

		dtn_write_segment(w, DTN_SAMPLES, &meta, &prov);
		while (image < end) {
			int n = end - image < PER_RECORD ? end - image : PER_RECORD;
			uint64_t dim[] = { (uint64_t)n, H, W, C };
			struct dtn_tensor t = dtn_tensor("image", DTN_IMAGE, DTN_U8, true, 4, dim);
			struct dtn_record r = { .samples = (uint32_t)n,
						.tensors = 1,
						.tensor = &t };
			const void *data[] = { pixels };

			for (int i = 0; i < n * BYTES; i++)
				pixels[i] = byte(image + i / BYTES, i % BYTES);
			dtn_write_record(w, &r, data);
			image += n;
		}
		dtn_write_end(w);
	}
	dtn_writer_close(w);
	dtn_output_commit(&out);
	free(pixels);
}

static struct dtn_data load(uint64_t max_memory)
{
	struct dtn_data d;
	char *operand[] = { path };

	dtn_data_open(&d, 1, operand, max_memory);
	dtn_data_load(&d, NULL, NULL);
	return d;
}

static void fetched(const char *name, uint64_t max_memory, uint64_t memory)
{
	struct dtn_data d = load(max_memory);
	struct dtn_fetch f;
	uint8_t *into = dtn_alloc(BYTES, 1);
	bool good = d.images == N && d.height == H && d.width == W && d.colours == C;

	check(good, name, "counts or sizes are wrong");
	check(d.keep.memory == memory &&
	      (d.keep.spooled > 0) == (memory < (uint64_t)N * BYTES), name,
	      "not kept where it should be");
	dtn_fetch_start(&f, &d.keep);
	for (int k = 0; k < 3 * N && good; k++) {
		int image = k * 37 % N;
		const uint8_t *p = dtn_data_part(&f, &d, DTN_KEPT_IMAGE, (uint64_t)image,
						 into);

		for (int i = 0; i < BYTES; i++)
			good &= p[i] == byte(image, i);
	}
	check(good, name, "pixels differ");
	dtn_fetch_release(&f);
	dtn_data_release(&d);
	free(into);
}

static void scaled(void)
{
	struct dtn_data d = load(UINT64_MAX);
	struct dtn_loader s;
	bool straight = true, mirrored = true;

	dtn_loader_init(&s, &d);
	dtn_image(&s, &d, 5, false);
	for (int i = 0; i < BYTES; i++)
		straight &= fabs(s.x0[i] - (byte(5, i) / 127.5 - 1)) < 1e-6;
	check(straight, "pixels 0 to 255 become -1 to 1", "they do not");
	dtn_image(&s, &d, 5, true);
	for (int y = 0; y < H; y++)
		for (int x = 0; x < W; x++)
			for (int c = 0; c < C; c++) {
				int from = (y * W + W - 1 - x) * C + c;
				float want = (float)(byte(5, from) / 127.5 - 1);
				mirrored &= fabsf(s.x0[(y * W + x) * C + c] - want) < 1e-6f;
			}
	check(mirrored, "a mirrored image has its columns reversed, not its colours", "it has not");
	dtn_loader_release(&s);
	dtn_data_release(&d);
}

/* --- images with noise ------------------------------------------------------------------------ */

static float number(int role, int image, int at)
{
	return (float)(role * 1000 + image) + (float)(at % 100003) / 131072;
}

/* A tensor that is not what it should be: of another type or height, or of other numbers. */
struct spoilt { int role, type; uint64_t height; int32_t number; };

/* Label, eps, t, image, x_t: in any order of the tensors.  spoilt NULL: all as they should be. */
static void write_pairs(const char *to, const struct spoilt *spoilt)
{
	static const int role[] = { DTN_LABEL, DTN_NOISE, DTN_TIMESTEP, DTN_IMAGE, DTN_NOISED };
	const uint64_t n = 20;
	struct dtn_schedule_config schedule = { .steps = 30, .kind = DTN_SIGMOID };
	struct dtn_output out;
	struct dtn_writer *w;
	struct dtn_meta meta = { 0 };
	struct dtn_tensor t[5];
	struct dtn_record r = { .samples = (uint32_t)n, .tensors = 5, .tensor = t };
	const void *data[5];

	for (int k = 0; k < 5; k++) {
		bool small = role[k] == DTN_LABEL || role[k] == DTN_TIMESTEP;
		bool bytes = role[k] == DTN_IMAGE;
		size_t row = small ? 1 : BYTES;
		void *values = dtn_alloc(n * row, 4);
		const bool this = spoilt && spoilt->role == role[k];
		const uint64_t other[] = { n, this ? spoilt->height : H, W, C };

		t[k] = dtn_tensor(dtn_role_name(role[k]), role[k], this ? spoilt->type :
				  small ? DTN_I32 : bytes ? DTN_U8 : DTN_F32, true,
				  small ? 1 : 4, other);
		for (size_t i = 0; i < n * row; i++)
			if (small)
				((int32_t *)values)[i] = (int32_t)(i * 7 % 30);
			else if (bytes)
				((uint8_t *)values)[i] = byte((int)(i / row), (int)(i % row));
			else
				((float *)values)[i] = number(role[k], (int)(i / row),
							      (int)(i % row));
		for (size_t i = 0; i < n && this && spoilt->type == DTN_I32; i++)
			((int32_t *)values)[i] = spoilt->number;
		data[k] = values;
	}
	dtn_output_open(&out, to, false);
	w = dtn_writer_open(&out, 1);
	dtn_schedule_to_meta(&schedule, &meta);
	dtn_write_segment(w, DTN_SAMPLES, &meta, NULL);
	dtn_write_record(w, &r, data);
	dtn_write_end(w);
	dtn_writer_close(w);
	dtn_output_commit(&out);
	for (int k = 0; k < 5; k++)
		free((void *)data[k]);
	dtn_meta_release(&meta);
}

/* Is the pair of this image what was written, mirrored or not? */
static bool pair_good(struct dtn_loader *s, const struct dtn_data *d, int image, bool mirror,
		      float *xt)
{
	bool good = dtn_pair(s, d, (uint32_t)image, mirror, xt) == image * 7 % 30;

	dtn_image(s, d, (uint32_t)image, mirror);
	for (int y = 0; y < H; y++)
		for (int x = 0; x < W; x++)
			for (int c = 0; c < C; c++) {
				int at = (y * W + x) * C + c,
				    from = (y * W + (mirror ? W - 1 - x : x)) * C + c;
				good &= xt[at] == number(DTN_NOISED, image, from) &&
					s->eps[at] == number(DTN_NOISE, image, from) &&
					fabs(s->x0[at] - (byte(image, from) / 127.5 - 1)) < 1e-6;
			}
	return good;
}

static void pairs(const char *name, uint64_t max_memory)
{
	struct dtn_data d = load(max_memory);
	struct dtn_loader s;
	float *xt = dtn_alloc(BYTES, sizeof(*xt));
	bool good = d.noised && d.images == 20 && d.schedule.steps == 30 &&
		    d.schedule.kind == DTN_SIGMOID;

	check(good, name, "counts or schedule are wrong");
	dtn_loader_init(&s, &d);
	for (int k = 0; k < 40 && good; k++)
		good = pair_good(&s, &d, k * 13 % 20, k % 2, xt);
	check(good, name, "not what was written");
	dtn_loader_release(&s);
	dtn_data_release(&d);
	free(xt);
}

static void load_to_train(void)
{
	struct dtn_data d;
	char *operand[] = { path };

	dtn_data_open(&d, 1, operand, UINT64_MAX);
	dtn_data_classes(&d, NULL);
	dtn_data_load(&d, NULL, NULL);
}

static void load_to_begin(void)
{
	const struct dtn_model model = {
		.unet = { .height = H, .width = W, .colours = C },
		.schedule = { .steps = 30, .kind = DTN_SIGMOID }
	};
	struct dtn_from from;

	dtn_from_read(&from, path, &model, 0, 1);
}

/* What a stream says is not to be trusted: timesteps and labels are places in tables, and what does
 * not match the images would be read as if it did. */
static void refuses(const char *name, void (*read)(void), struct spoilt spoilt)
{
	int status = 0;
	pid_t child;

	write_pairs(path, &spoilt);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		dtn_verbosity = -2;
		read();
		_exit(0);
	}
	waitpid(child, &status, 0);
	check(WIFEXITED(status) && WEXITSTATUS(status) == DTN_INPUT, name, "not refused");
}

static void strange_streams(void)
{
	static const int32_t time[] = { 30, -1, INT32_MAX, INT32_MIN },
			     label[] = { DTN_MAX_CLASSES, -2, INT32_MAX, INT32_MIN };

	for (int i = 0; i < 4; i++) {
		refuses("a timestep that is none, to train on", load_to_train,
			(struct spoilt){ DTN_TIMESTEP, DTN_I32, H, time[i] });
		refuses("a label that is none", load_to_train,
			(struct spoilt){ DTN_LABEL, DTN_I32, H, label[i] });
	}
	refuses("a timestep that is none, to begin with", load_to_begin,
		(struct spoilt){ DTN_TIMESTEP, DTN_I32, H, 30 });
	refuses("a timestep below all, to begin with", load_to_begin,
		(struct spoilt){ DTN_TIMESTEP, DTN_I32, H, -1 });
	refuses("timesteps in f32", load_to_train, (struct spoilt){ DTN_TIMESTEP, DTN_F32, H, 0 });
	refuses("labels in f32", load_to_train, (struct spoilt){ DTN_LABEL, DTN_F32, H, 0 });
	refuses("noise in bytes", load_to_train, (struct spoilt){ DTN_NOISE, DTN_U8, H, 0 });
	refuses("x_t of another size", load_to_train,
		(struct spoilt){ DTN_NOISED, DTN_F32, H - 1, 0 });
	refuses("noise of another size", load_to_train,
		(struct spoilt){ DTN_NOISE, DTN_F32, H - 1, 0 });
}

static void epochs(void)
{
	enum { IMAGES = 10, HELD = 3, TRAINS = IMAGES - HELD, DRAWN = 5 * TRAINS };
	struct dtn_split split;
	struct dtn_epoch order;
	uint32_t all[DRAWN], again[11], seen[IMAGES] = { 0 };
	bool whole = true, differ = false;

	dtn_split_init(&split, IMAGES, 0.39, 4);
	check(split.helds == HELD && split.trains == TRAINS, "a part is held back",
	      "of the wrong size");
	dtn_epoch_init(&order, &split, 4);
	dtn_epoch_pick(&order, 0, DRAWN, all);
	for (int e = 0; e < 5; e++) {
		memset(seen, 0, sizeof(seen));
		for (int i = 0; i < TRAINS; i++)
			seen[all[e * TRAINS + i]]++;
		for (int i = 0; i < TRAINS; i++)
			whole &= seen[split.train[i]] == 1;
		differ |= e > 0 && memcmp(all, all + e * TRAINS, TRAINS * sizeof(*all)) != 0;
	}
	for (int i = 0; i < HELD; i++)
		whole &= seen[split.held[i]] == 0;
	check(whole, "an epoch has every image once, and none that is held back", "it has not");
	check(differ, "epochs have different orders", "they are the same");
	dtn_epoch_pick(&order, 9, 11, again);
	check(memcmp(again, all + 9, sizeof(again)) == 0, "the order may be picked up anywhere",
	      "picked differently");
	dtn_epoch_release(&order);
	dtn_split_release(&split);
}

/* One image at least is held back, and one at least is not; of one image, none. */
static void splits(void)
{
	static const struct { uint64_t images; double fraction; uint32_t held; } known[] = {
		{ 10, 0.01, 1 }, { 10, 0.9, 9 }, { 2, 0.01, 1 }, { 2, 0.9, 1 }, { 1, 0.5, 0 },
		{ 10, 0, 0 }
	};
	bool good = true;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct dtn_split split;

		dtn_split_init(&split, known[i].images, known[i].fraction, 4);
		good &= split.helds == known[i].held &&
			split.trains == known[i].images - known[i].held;
		dtn_split_release(&split);
	}
	check(good, "parts of few images", "of another size");
}

/* --- classes ---------------------------------------------------------------------------------- */

enum { SEGMENTS = 200, MIDDLE = SEGMENTS / 2 };

/* Segment i has an image of class i, and no names; the one before the middle has names only. */
static void write_segments(void)
{
	const uint64_t dim[] = { 1, 1, 1, 1 };
	const uint8_t pixel = 0;
	struct dtn_output out;
	struct dtn_writer *w;
	struct dtn_meta none = { 0 }, names = { 0 };
	int32_t label;
	struct dtn_tensor t[] = { dtn_tensor("image", DTN_IMAGE, DTN_U8, true, 4, dim),
				  dtn_tensor("label", DTN_LABEL, DTN_I32, true, 1, dim) };
	struct dtn_record r = { .samples = 1, .tensors = 2, .tensor = t };
	const void *data[] = { &pixel, &label };

	dtn_output_open(&out, path, false);
	w = dtn_writer_open(&out, 1);
	dtn_meta_set(&names, "labels", "a,7,b");
	for (label = 0; label < SEGMENTS; label++) {
		if (label == MIDDLE) {
			dtn_write_segment(w, DTN_SAMPLES, &names, NULL);
			dtn_write_end(w);
		}
		dtn_write_segment(w, DTN_SAMPLES, &none, NULL);
		dtn_write_record(w, &r, data);
		dtn_write_end(w);
	}
	dtn_writer_close(w);
	dtn_output_commit(&out);
	dtn_meta_release(&names);
}

static void unnamed(void)
{
	struct dtn_data d;
	char *operand[] = { path };
	bool good;

	dtn_data_open(&d, 1, operand, UINT64_MAX);
	dtn_data_classes(&d, NULL);
	dtn_data_load(&d, NULL, NULL);
	good = d.images == SEGMENTS && d.classes.list.n == SEGMENTS + 2;
	for (int i = 0; i < SEGMENTS && good; i++)
		good = d.classes.label[i] == (i < MIDDLE ? i : i + 2);
	check(good, "classes without names in many segments", "others than their numbers");
	dtn_data_release(&d);
}

int main(int argc, char **argv)
{
	(void)argc;
	dtn_begin(argv);
	close(mkstemp(path));
	write_stream();
	fetched("in memory", UINT64_MAX, (uint64_t)N * BYTES);
	fetched("spooled", 0, 0);
	fetched("some of both", (uint64_t)PER_RECORD * BYTES + 10, (uint64_t)PER_RECORD * BYTES);
	scaled();
	write_pairs(path, NULL);
	pairs("images with noise, in memory", UINT64_MAX);
	pairs("images with noise, spooled", 0);
	pairs("images with noise, some of both", 20 * BYTES * 4 + 10);
	strange_streams();
	write_segments();
	unnamed();
	epochs();
	splits();
	unlink(path);
	return failures > 0;
}
