/* json.c -- a summary as one JSON document (RFC 8259), for scripts. */
#include "format/summary.h"

#include <string.h>

static void print_string(FILE *out, const char *text)
{
	fputc('"', out);
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if (*p == '"' || *p == '\\')
			fprintf(out, "\\%c", *p);
		else if (*p < 0x20)
			fprintf(out, "\\u%04x", *p);
		else
			fputc(*p, out);
	fputc('"', out);
}

static void print_count(FILE *out, const char *key, uint64_t value)
{
	fprintf(out, ",\n  \"%s\": %llu", key, (unsigned long long)value);
}

static void print_tensor(FILE *out, const struct dtn_field *f)
{
	fprintf(out, "{\"name\": \"%s\", \"role\": \"%s\", \"dtype\": \"%s\", \"dims\": [",
		f->t.name, dtn_role_name(f->t.role), dtn_field_type(f));
	for (int d = 0; d < f->t.rank; d++)
		fprintf(out, d ? ", %llu" : "%llu", (unsigned long long)dtn_field_extent(f, d));
	fprintf(out, "], \"varies\": %s, \"records\": %llu, \"bytes\": %llu, \"stored\": %llu",
		f->varies ? "true" : "false", (unsigned long long)f->records,
		(unsigned long long)f->bytes, (unsigned long long)f->stored);
	if (f->counted)
		fprintf(out, ", \"value\": %lld", (long long)f->count);
	fputc('}', out);
}

static void print_meta(FILE *out, const struct dtn_meta *m)
{
	fputs(",\n  \"meta\": {", out);
	for (int i = 0; i < m->n; i++) {
		fputs(i ? ",\n    " : "\n    ", out);
		print_string(out, m->pair[i].key);
		fputs(": ", out);
		print_string(out, m->pair[i].value);
	}
	fputs(m->n ? "\n  }" : "}", out);
}

static void print_prov(FILE *out, const struct dtn_prov *p)
{
	fputs(",\n  \"provenance\": [", out);
	for (int i = 0; i < p->n; i++) {
		const struct dtn_run_line *l = &p->line[i];
		fputs(i ? ",\n    " : "\n    ", out);
		fprintf(out, "{\"id\": %d, \"parents\": [%s], \"program\": ", i + 1,
			strcmp(l->parents, "-") ? l->parents : "");
		print_string(out, l->program);
		fputs(", \"version\": ", out);
		print_string(out, l->version);
		fputs(", \"command\": ", out);
		print_string(out, l->command);
		fputc('}', out);
	}
	fputs(p->n ? "\n  ]" : "]", out);
}

void dtn_summary_json(FILE *out, const struct dtn_summary *s)
{
	fprintf(out, "{\n  \"kind\": \"%s\",\n  \"version\": \"1.%d\"", dtn_summary_kind(s),
		s->minor);
	print_count(out, "segments", s->segments);
	print_count(out, "records", s->records);
	print_count(out, "samples", s->samples);
	print_count(out, "parameters", s->parameters);
	print_count(out, "bytes", s->bytes);
	print_count(out, "stored", s->stored);
	fputs(",\n  \"tensors\": [", out);
	for (int i = 0; i < s->n; i++) {
		fputs(i ? ",\n    " : "\n    ", out);
		print_tensor(out, &s->field[i]);
	}
	fputs(s->n ? "\n  ]" : "]", out);
	print_meta(out, &s->meta);
	print_prov(out, &s->prov);
	fputs("\n}\n", out);
}
