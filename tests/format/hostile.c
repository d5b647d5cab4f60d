/* hostile.c -- inputs that mean no good: each must end with status 3 and a message that tells why.
 *
 *      hostile                 run every case against the reader, from a file and from a pipe
 *      hostile --write DIR     write every case to DIR/NAME.dtn, and a line "NAME<tab>MESSAGE" to
 *                              DIR/cases (no message: the stream is good), for the programs' tests
 *
 * None may need more than two seconds or, beyond what the process has at its start, 64
 * MiB. */
#include "format/dtn.h"
#include "tests/format/forge.h"
#include "tests/format/hostile-changes.h"
#include "tests/format/hostile-made.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* AddressSanitizer keeps freed memory aside, to see it being used: there only the answers are
 * judged. */
#ifdef __SANITIZE_ADDRESS__
enum { MOST_KIB = 4096 << 10, MOST_SECONDS = 60 };
#else
enum { MOST_KIB = 64 << 10, MOST_SECONDS = 2 };
#endif

static void read_all(void *arg)
{
	struct dtn_reader *in = dtn_reader_open(0, NULL, DTN_ANY);
	const struct dtn_record *r;
	size_t n;

	(void)arg;
	dtn_reader_check_index(in);
	while (dtn_next_segment(in))
		while ((r = dtn_next_record(in)))
			for (int i = 0; i < r->tensors; i++)
				if (r->seq % 2 == 0)
					dtn_read_tensor(in, i, NULL);
				else
					while (dtn_read_part(in, i, &n))
						;
	dtn_reader_close(in);
}

/* Skip the data: whatever is wrong outside the chunks' contents is still noticed. */
static void skip_all(void *arg)
{
	struct dtn_reader *in = dtn_reader_open(0, NULL, DTN_ANY);

	(void)arg;
	dtn_reader_check_index(in);
	while (dtn_next_segment(in))
		while (dtn_next_record(in))
			;
	dtn_reader_close(in);
}

static const char *folder;
static FILE *list;
static int failed;
static long least_kib;

static void judge(const char *name, const char *how, const struct outcome *o, const char *message)
{
	const char *newline = strchr(o->said, '\n');
	bool right = message ? o->status == DTN_INPUT && strstr(o->said, message) && newline &&
			       !newline[1] && !strncmp(o->said, "hostile: stdin: ", 16) :
			       o->status == 0 && !*o->said;

	if (!right) {
		printf("not ok %s (%s): status %d, wanted \"%s\", got \"%s\"\n", name, how,
		       o->status, message ? message : "", o->said);
		failed++;
	} else if (o->seconds > MOST_SECONDS || o->kib - least_kib > MOST_KIB) {
		printf("not ok %s (%s): %.1f s, %ld KiB\n", name, how, o->seconds,
		       o->kib - least_kib);
		failed++;
	}
}

static void save(const char *name, struct bytes b, const char *message)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.dtn", folder, name);
	f = fopen(path, "w");
	if (!f || (b.n && fwrite(b.p, b.n, 1, f) != 1) || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
	fprintf(list, "%s\t%s\n", name, message ? message : "");
}

/* What only decoding can find. */
static bool in_payload(const char *message)
{
	return message &&
	       (strstr(message, "corrupt chunk") || strstr(message, "checksum mismatch (tensor"));
}

static void test(const char *name, struct bytes b, const char *message)
{
	int before = failed;

	if (folder) {
		save(name, b, message);
		return;
	}
	for (int pipe = 0; pipe < 2; pipe++) {
		struct outcome o = forge_run(b, pipe, read_all, NULL);
		judge(name, pipe ? "from a pipe" : "from a file", &o, message);
		o = forge_run(b, pipe, skip_all, NULL);
		if (!in_payload(message))
			judge(name, "skipping", &o, message);
	}
	if (failed == before)
		printf("ok hostile %s\n", name);
}

static void test_forge(const char *name, struct forge *f, const char *message)
{
	struct bytes b = forge_join(f);

	test(name, b, message);
	free(b.p);
	forge_free(f);
}

static void test_changes(void)
{
	for (size_t i = 0; i < COUNT(changes); i++) {
		const struct change *c = &changes[i];
		struct forge f = { 0 };
		struct piece *s;
		forge_samples(&f);
		s = &f.piece[forge_find(&f, c->tag, c->nth)];
		if (c->keep & KEEP_END) {       /* what the reader must not find is changed last */
			free(forge_join(&f).p);
			s->keep = c->keep;
		}
		if (c->keep & KEEP_CRC) {
			free(forge_join(&f).p);
			s->keep |= KEEP_CRC;
		}
		put(s->p + c->at, c->value, c->width);
		test_forge(c->name, &f, c->message);
	}
}

static void test_lengths(void)
{
	char name[64], message[64];

	for (size_t t = 0; t < COUNT(tags); t++)
		for (size_t k = 0; k < COUNT(lengths); k++) {
			struct forge f = { 0 };
			struct piece *s;
			forge_samples(&f);
			s = &f.piece[forge_find(&f, tags[t], 0)];
			put(s->p + 4, lengths[k], 4);
			s->keep = KEEP_LENGTH;
			snprintf(name, sizeof(name), "length-%.*s-%u", (int)strcspn(tags[t], " "),
				 tags[t], lengths[k]);
			snprintf(message, sizeof(message), "invalid length of %.*s frame",
				 (int)strcspn(tags[t], " "), tags[t]);
			test_forge(name, &f, message);
		}
}

static void test_texts(void)
{
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct forge f = { 0 };
		int k;
		forge_samples(&f);
		k = forge_find(&f, texts[i].tag, 0);
		forge_remove(&f, k);
		forge_text(&f, k, texts[i].tag, texts[i].text);
		test_forge(texts[i].name, &f, texts[i].message);
	}
}

static void test_made(void)
{
	for (size_t i = 0; i < COUNT(made); i++) {
		struct forge f = { 0 };
		struct bytes b;
		forge_samples(&f);
		if (!strcmp(made[i].name, "grafted"))   /* END as it was */
			free(forge_join(&f).p);
		if (made[i].make)
			made[i].make(&f);
		b = forge_join(&f);
		if (made[i].mangle)
			made[i].mangle(&b);
		test(made[i].name, b, made[i].message);
		free(b.p);
		forge_free(&f);
	}
}

static void test_beginnings(void)
{
	struct forge f = { 0 };
	struct bytes b;
	char name[32];

	for (size_t i = 0; i < COUNT(strangers); i++)
		test(strangers[i].name,
		     (struct bytes){ (uint8_t *)strangers[i].data, strangers[i].n },
		     strangers[i].message);
	forge_samples(&f);
	b = forge_join(&f);
	for (size_t n = 1; n < 64; n++) {
		snprintf(name, sizeof(name), "head-%zu", n);
		test(name, (struct bytes){ b.p, n }, "truncated header");
	}
	free(b.p);
	forge_free(&f);
}

static void nothing(void *arg) { (void)arg; }

int main(int argc, char **argv)
{
	struct outcome idle;

	dtn_program = "hostile";
	if (argc == 3 && !strcmp(argv[1], "--write")) {
		char path[4096];
		folder = argv[2];
		snprintf(path, sizeof(path), "%s/cases", folder);
		list = fopen(path, "w");
		if (!list)
			return perror(path), 1;
	}
	idle = forge_run((struct bytes){ NULL, 0 }, false, nothing, NULL);
	least_kib = idle.kib;
	test_beginnings();
	test_changes();
	test_lengths();
	test_texts();
	test_made();
	return failed > 0 || (list && fclose(list) != 0);
}
