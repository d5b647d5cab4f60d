/* texts.c -- fuzz target: metadata and provenance, which must print as they can be read. */
#include "tests/fuzz/harness.h"

#include "format/frame.h"
#include "lib/labels.h"

#include <stdlib.h>
#include <string.h>

static struct dtn_meta meta, meta_again;
static struct dtn_prov prov, prov_again;

static void read_meta(const uint8_t *data, size_t n)
{
	size_t length, again;
	char *text, *second, **name;

	if (dtn_meta_parse(&meta, data, n))
		return;
	text = dtn_meta_print(&meta, &length);
	fuzz_must(!dtn_meta_parse(&meta_again, (uint8_t *)text, length), "metadata is not read");
	second = dtn_meta_print(&meta_again, &again);
	fuzz_must(length == again && !memcmp(text, second, length), "metadata differs");
	for (int i = 0; i < meta.n; i++) {
		int names = dtn_labels_split(meta.pair[i].value, &name);
		while (names > 0)
			free(name[--names]);
		free(name);
	}
	free(text);
	free(second);
}

static void read_prov(const uint8_t *data, size_t n)
{
	size_t length;
	char *text;

	if (dtn_prov_parse(&prov, data, n))
		return;
	dtn_prov_append(&prov, dtn_strdup("fuzz"));
	dtn_prov_merge(&prov_again, &prov);
	dtn_prov_merge(&prov_again, &prov);
	dtn_prov_release(&prov);
	text = dtn_prov_print(&prov_again, &length);
	fuzz_must(length <= DTN_PROV_MOST, "provenance is too long");
	fuzz_must(!dtn_prov_parse(&prov, (uint8_t *)text, length), "provenance is not read");
	free(text);
}

void target_read(const uint8_t *data, size_t n)
{
	read_meta(data, n);
	read_prov(data, n);
}

void target_clean(void)
{
	dtn_meta_release(&meta);
	dtn_meta_release(&meta_again);
	dtn_prov_release(&prov);
	dtn_prov_release(&prov_again);
}
