/* damage.c -- every truncation and every flipped bit of a small stream is noticed.
 *
 * A flipped bit may lie where zstd does not care and leave the content as it was; what must never
 * happen is that a reader accepts other content.
 */
#include "format/dtn.h"
#include "tests/format/forge.h"

#include <sys/mman.h>

/* What a reader saw: an FNV hash over everything that the stream says. */
static uint64_t *seen;

static void look(const void *data, size_t n)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < n; i++)
		*seen = (*seen ^ p[i]) * 0x100000001b3u;
}

static void look_at_texts(struct dtn_reader *in)
{
	const struct dtn_meta *m = dtn_reader_meta(in);
	const struct dtn_prov *p = dtn_reader_prov(in);

	for (int i = 0; i < m->n; i++) {
		look(m->pair[i].key, strlen(m->pair[i].key) + 1);
		look(m->pair[i].value, strlen(m->pair[i].value) + 1);
	}
	for (int i = 0; i < p->n; i++)
		look(p->line[i].command, strlen(p->line[i].command) + 1);
}

static void read_all(void *arg)
{
	struct dtn_reader *in = dtn_reader_open(0, NULL, DTN_ANY);
	const struct dtn_record *r;

	(void)arg;
	*seen = 0xcbf29ce484222325u;
	while (dtn_next_segment(in)) {
		look_at_texts(in);
		while ((r = dtn_next_record(in)))
			for (int i = 0; i < r->tensors; i++) {
				const struct dtn_tensor *t = &r->tensor[i];
				look(t->name, strlen(t->name));
				look(t->dim, sizeof(t->dim));
				look(&t->type, sizeof(t->type));
				look(&t->role, sizeof(t->role));
				look(dtn_read_tensor(in, i, NULL), t->bytes);
			}
	}
	dtn_reader_close(in);
}

static int truncations(struct bytes b, size_t whole)
{
	int wrong = 0;

	for (size_t n = 0; n < b.n; n++) {
		struct outcome o = forge_run((struct bytes){ b.p, n }, n % 2, read_all, NULL);
		bool said = strstr(o.said, n == 0 ? "empty input" : "truncated");
		if (n == whole ? o.status != 0 : o.status != DTN_INPUT || !said) {
			printf("# cut after %zu bytes: status %d, %s", n, o.status, o.said);
			wrong++;
		}
	}
	return wrong;
}

/* A process for each bit takes minutes under sanitizers: there, some bits of every byte. */
#ifdef __SANITIZE_ADDRESS__
enum { EVERY = 3 };
#else
enum { EVERY = 1 };
#endif

static int flips(struct bytes b, uint64_t good, int *harmless)
{
	int wrong = 0;

	for (size_t bit = 0; bit < 8 * b.n; bit += EVERY) {
		struct outcome o;
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		o = forge_run(b, false, read_all, NULL);
		b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (o.status == 0 && *seen == good) {
			(*harmless)++;
		} else if (o.status != DTN_INPUT ||
			   strchr(o.said, '\n') != o.said + strlen(o.said) - 1) {
			printf("# bit %zu of byte %zu: status %d, %s\n", bit % 8, bit / 8, o.status,
			       o.said);
			wrong++;
		}
	}
	return wrong;
}

/* A block of zstd has bits that no decoder looks at, but few. */
enum { DONT_CARE = 21 };

static int report(const char *name, int wrong)
{
	if (wrong)
		printf("not ok %s: %d were not noticed\n", name, wrong);
	else
		printf("ok %s\n", name);
	return wrong != 0;
}

int main(void)
{
	struct forge f = { 0 };
	struct bytes b, two;
	uint64_t good;
	int failed, harmless = 0;
	char name[80];

	dtn_program = "damage";
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (seen == MAP_FAILED)
		return 1;
	forge_samples(&f);
	b = forge_join(&f);
	if (forge_run(b, true, read_all, NULL).status != 0)
		return puts("not ok damage: the whole stream is refused"), 1;
	good = *seen;
	snprintf(name, sizeof(name), "each of the %zu truncations is noticed", b.n);
	failed = report(name, truncations(b, b.n));
	two.p = malloc(2 * b.n);
	memcpy(two.p, b.p, b.n);
	memcpy(two.p + b.n, b.p, b.n);
	two.n = 2 * b.n;
	failed |= report("so are those of two streams in a row", truncations(two, b.n));
	failed |=
		report("a flipped bit is noticed or changes nothing", flips(b, good, &harmless));
	printf("# %d of %zu bits change nothing\n", harmless, 8 * b.n / EVERY);
	failed |= report("hardly any changes nothing", harmless > DONT_CARE ? harmless : 0);
	free(b.p);
	free(two.p);
	forge_free(&f);
	return failed;
}
