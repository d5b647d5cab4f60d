/* hostile-made.h -- cases of hostile.c in which frames are missing, added or out of place. */
#ifndef HOSTILE_MADE_H
#define HOSTILE_MADE_H

#include "tests/format/forge.h"

static int at(const struct forge *f, const char *tag, int k) { return forge_find(f, tag, k); }

/* Everything after piece `from` goes. */
static void cut(struct forge *f, int from)
{
	while (f->n > from)
		forge_remove(f, f->n - 1);
}

static void end_missing(struct forge *f) { cut(f, f->n - 1); }
static void end_and_index_missing(struct forge *f) { cut(f, f->n - 2); }
static void index_missing(struct forge *f) { forge_remove(f, at(f, "INDX", 0)); }
static void head_only(struct forge *f) { cut(f, 1); }
static void head_missing(struct forge *f) { forge_remove(f, 0); }
static void chunk_missing(struct forge *f)
{
	forge_remove(f, at(f, "CHNK", 1)), forge_remove(f, at(f, "ZSTD", 1));
}
static void payload_missing(struct forge *f) { forge_remove(f, at(f, "ZSTD", 1)); }
static void cut_after_chnk(struct forge *f) { cut(f, at(f, "CHNK", 0) + 1); }
static void no_texts(struct forge *f) { forge_remove(f, 1), forge_remove(f, 1); }
static void meta_late(struct forge *f) { forge_text(f, at(f, "RECD", 1), "META", "a=1\n"); }
static void meta_twice(struct forge *f) { forge_text(f, 2, "META", "a=1\n"); }
static void prov_before_meta(struct forge *f) { forge_text(f, 1, "PROV", ""); }
static void head_inside(struct forge *f) { forge_frame(f, at(f, "RECD", 1), "HEAD", 0, NULL, 44); }
static void stray_chunk(struct forge *f) { forge_chunk(f, at(f, "RECD", 1), 0, 0, "abc", 3); }
static void stray_zstd(struct forge *f)
{
	forge_insert(f, at(f, "RECD", 1), "ZSTD", f->piece[5].p, f->piece[5].n);
}
static void index_twice(struct forge *f) { forge_frame(f, at(f, "INDX", 0), "INDX", 0, NULL, 40); }
static void end_twice(struct forge *f)
{
	forge_frame(f, f->n, "END ", 0, NULL, 44)->keep = KEEP_END;
}
static void garbage(struct forge *f) { forge_insert(f, f->n, "", "garbage", 7)->keep = BARE; }
static void zeros_after(struct forge *f) { forge_insert(f, f->n, "", NULL, 512)->keep = BARE; }
static void newline_after(struct forge *f) { forge_insert(f, f->n, "", "\n", 1)->keep = BARE; }
static void zstd_after(struct forge *f)
{
	forge_insert(f, f->n, "", f->piece[5].p, f->piece[5].n)->keep = BARE;
}

static void half_frame(struct forge *f)
{
	cut(f, at(f, "ZSTD", 0) + 1);
	f->piece[f->n - 1].n /= 2;
}

static void wrong_xxh(struct forge *f)
{
	struct piece *z = &f->piece[at(f, "ZSTD", 0)];

	z->p[z->n - 1] ^= 1;
}

static void grafted(struct forge *f)
{
	struct piece *z = &f->piece[at(f, "ZSTD", 2)], *from = &f->piece[at(f, "ZSTD", 0)];

	/* A valid chunk of the same size from elsewhere; CHNK's stored length is made to fit. */
	z->p = realloc(z->p, from->n);
	memcpy(z->p, from->p, z->n = from->n);
	put(f->piece[at(f, "CHNK", 2)].p + 28, z->n, 4);
	/* END keeps the chain that it had with the original. */
	f->piece[at(f, "END ", 0)].keep = KEEP_END;
}

static void two_frames(struct forge *f)
{
	struct piece *z = &f->piece[at(f, "ZSTD", 1)];

	z->p = realloc(z->p, 2 * z->n);
	memcpy(z->p + z->n, z->p, z->n);
	z->n *= 2;
	put(f->piece[at(f, "CHNK", 1)].p + 28, z->n, 4);
}

static void bytes_after_frame(struct forge *f)
{
	struct piece *z = &f->piece[at(f, "ZSTD", 1)];

	z->p = realloc(z->p, z->n + 3);
	memset(z->p + z->n, 0, 3);
	z->n += 3;
	put(f->piece[at(f, "CHNK", 1)].p + 28, z->n, 4);
}

/* A frame with a window of 2 GiB, its content size right. */
static void window(struct forge *f)
{
	struct piece *z = &f->piece[at(f, "ZSTD", 0)];
	static const uint8_t frame[] = {
		0x28, 0xb5, 0x2f, 0xfd, 0x84, 21 << 3, IMAGE, 0, 0, 0,
		(IMAGE << 3 & 0xff) | 1, IMAGE >> 5, 0
	};

	z->p = realloc(z->p, sizeof(frame) + IMAGE + 4);
	memset(z->p, 0, sizeof(frame) + IMAGE + 4);
	memcpy(z->p, frame, sizeof(frame));
	z->n = sizeof(frame) + IMAGE + 4;
	put(f->piece[at(f, "CHNK", 0)].p + 28, z->n, 4);
}

static void swapped(struct forge *f)
{
	struct piece p[5];
	int a = at(f, "RECD", 0), b = at(f, "RECD", 1);

	memcpy(p, &f->piece[a], sizeof(p));
	memmove(&f->piece[a], &f->piece[b], sizeof(p));
	memcpy(&f->piece[b], p, sizeof(p));
}

static void duplicate(struct forge *f)
{
	static const struct forged_tensor twice[] = {
		{ "image", 0, 1, 1, 2, { 2, 45 } }, { "image", 0, 1, 1, 2, { 2, 8 } }
	};
	forge_remove(f, at(f, "RECD", 0));
	forge_record(f, 3, 0, 0, 2, 2, twice);
}

/* A record of one tensor, without data, instead of everything. */
static void only_tensor(struct forge *f, struct forged_tensor t)
{
	cut(f, at(f, "RECD", 0));
	forge_record(f, f->n, 0, 0, 0, 1, &t);
}

static void product_64(struct forge *f)
{
	only_tensor(f, (struct forged_tensor){ "x", 0, 0, 0, 2, { 1ull << 32, 1ull << 32 } });
}

static void product_80(struct forge *f)
{
	only_tensor(f, (struct forged_tensor){ "x", 0, 0, 0, 2, { 1ull << 40, 1ull << 40 } });
}

static void product_8_times_256(struct forge *f)
{
	only_tensor(f, (struct forged_tensor){
		"x", 0, 0, 0, 8, { 256, 256, 256, 256, 256, 256, 256, 256 } });
}

static void product_int64(struct forge *f)
{
	only_tensor(f, (struct forged_tensor){ "x", 0, 0, 0, 2, { INT64_MAX, 2 } });
}

static void product_item_64(struct forge *f)
{
	only_tensor(f, (struct forged_tensor){ "x", 0x23, 0, 0, 2, { 1ull << 31, 1ull << 30 } });
}

static void one_tib(struct forge *f)
{
	only_tensor(f, (struct forged_tensor){ "x", 0, 0, 0, 1, { 1ull << 40 } });
}

static void mib_900(struct forge *f)
{
	only_tensor(f, (struct forged_tensor){ "x", 0, 0, 0, 1, { 900 << 20 } });
}

static void mib_600_image(struct forge *f)
{
	struct forged_tensor t = { "image", 0, 1, 1, 4, { 1, 10240, 20480, 3 } };

	cut(f, at(f, "RECD", 0));
	forge_record(f, f->n, 0, 0, 1, 1, &t);
}

static void many_tensors(struct forge *f)
{
	struct forged_tensor t[] = {
		{ "x", 0, 0, 0, 1, { 600 << 20 } }, { "y", 0, 0, 0, 1, { 600 << 20 } }
	};
	cut(f, at(f, "RECD", 0));
	forge_record(f, f->n, 0, 0, 0, 2, t);
}

/* Zero times something huge is nothing. */
static void empty_tensor(struct forge *f)
{
	struct forged_tensor t = { "x", 0x23, 0, 0, 3, { 0, 1ull << 40, 1ull << 40 } };

	only_tensor(f, t);
	forge_frame(f, f->n, "END ", 0, NULL, 44);
}

static void scalar(struct forge *f)
{
	only_tensor(f, (struct forged_tensor){ "x", 0x13, 21, 0, 0, { 0 } });
	forge_chunk(f, f->n, 0, 0, "\1\0\0\0\0\0\0", 8);
	forge_frame(f, f->n, "END ", 0, NULL, 44);
}

static void ancillary(struct forge *f)
{
	forge_frame(f, at(f, "RECD", 1), "note", 1, "hello", 5);
	forge_frame(f, at(f, "RECD", 0), "NOTE", 1, "", 0);
}

static void ancillary_most(struct forge *f)
{
	forge_frame(f, at(f, "INDX", 0), "more", 1, NULL, (1 << 20) - 12);
}

static void ancillary_crc(struct forge *f)
{
	forge_frame(f, at(f, "RECD", 1), "note", 1, "hello", 5)->keep = KEEP_CRC;
}
static void ancillary_large(struct forge *f)
{
	forge_frame(f, at(f, "RECD", 1), "note", 1, NULL, 1 << 20);
}
static void ancillary_bits(struct forge *f)
{
	forge_frame(f, at(f, "RECD", 1), "note", 3, "hello", 5);
}
static void ancillary_inside(struct forge *f)
{
	forge_frame(f, at(f, "CHNK", 1), "note", 1, "hello", 5);
}
static void ancillary_before_end(struct forge *f)
{
	forge_frame(f, f->n - 1, "note", 1, "hello", 5);
}
static void ancillary_before_meta(struct forge *f) { forge_frame(f, 1, "note", 1, "hello", 5); }

static void meta_large(struct forge *f)
{
	struct piece *m = forge_frame(f, 1, "META", 0, NULL, (1 << 20) + 1);

	memset(m->p + 16, 'a', 1 << 20);
	m->p[18] = '=';
	m->p[16 + (1 << 20)] = '\n';
	forge_remove(f, 2);
}

static void meta_nul(struct forge *f)
{
	forge_remove(f, 1);
	forge_frame(f, 1, "META", 0, "a=b\0c\n", 6);
}

static void prov_lines(struct forge *f)
{
	char text[200000], *q = text;

	for (int i = 1; i <= 10000; i++)
		q += sprintf(q, "%d\t-\ta\tb\tc\n", i);
	forge_remove(f, 2);
	forge_text(f, 2, "PROV", text);
}

static void fail(struct forge *f, uint32_t status, const char *text)
{
	uint8_t body[1100] = { 0 };

	put(body, status, 4);
	memcpy(body + 8, text, strlen(text));
	cut(f, at(f, "RECD", 1));
	forge_frame(f, f->n, "FAIL", 0, body, 8 + strlen(text));
}

static void fail_3(struct forge *f) { fail(f, 3, "dtn-load: a.png: \x1b[31mred\n"); }
static void fail_0(struct forge *f) { fail(f, 0, "well?"); }
static void fail_256(struct forge *f) { fail(f, 256, "well?"); }
static void fail_silent(struct forge *f) { fail(f, 1, ""); }

static void fail_inside(struct forge *f)
{
	static const uint8_t body[] = "\1\0\0\0\0\0\0\0dtn-load: x:";

	cut(f, at(f, "CHNK", 1));
	forge_frame(f, f->n, "FAIL", 0, body, sizeof(body) - 1);
}

static void fail_first(struct forge *f)
{
	static const uint8_t body[] = "\3\0\0\0\0\0\0\0dtn-load: no images";

	cut(f, 1);
	put(f->piece[0].p + 20, 0, 2);
	forge_frame(f, f->n, "FAIL", 0, body, sizeof(body) - 1);
}

static void fail_long(struct forge *f)
{
	cut(f, at(f, "RECD", 1));
	forge_frame(f, f->n, "FAIL", 0, NULL, 8 + 1025);
}

/* The first chunk, stored within its frame at a multiple of 64 from HEAD. */
static struct piece *stored(struct forge *f, int shift)
{
	int k = at(f, "CHNK", 0);
	size_t before = 0, offset;
	struct piece *c;

	for (int i = 0; i < k; i++)
		before += f->piece[i].n;
	offset = (before + 36 + 63) / 64 * 64 - before + (size_t)shift;
	forge_remove(f, k + 1);
	forge_remove(f, k);
	c = forge_frame(f, k, "CHNK", 0, NULL, offset - 16 + IMAGE);
	put(c->p + 24, IMAGE, 4);
	put(c->p + 28, IMAGE, 4);
	put(c->p + 32, offset, 4);
	memset(c->p + offset, 'p', IMAGE);
	return c;
}

static void raw_good(struct forge *f) { stored(f, 0); }
static void raw_unaligned(struct forge *f) { stored(f, 1); }
static void raw_offset_0(struct forge *f) { put(stored(f, 0)->p + 32, 0, 4); }
static void raw_offset_35(struct forge *f) { put(stored(f, 0)->p + 32, 35, 4); }
static void raw_offset_100(struct forge *f) { put(stored(f, 0)->p + 32, 100, 4); }
static void raw_offset_4g(struct forge *f) { put(stored(f, 0)->p + 32, 0xffffffff, 4); }
static void raw_padding(struct forge *f) { stored(f, 0)->p[36] = 1; }
static void raw_length(struct forge *f) { put(stored(f, 0)->p + 28, IMAGE - 1, 4); }
static void raw_delta(struct forge *f) { stored(f, 0)->p[19] = 2; }

static void mangle(struct bytes *b, const char *from, size_t n, const char *to, size_t m)
{
	for (size_t i = 0; i + n <= b->n; i++)
		if (!memcmp(b->p + i, from, n)) {
			b->p = realloc(b->p, b->n + m);
			memmove(b->p + i + m, b->p + i + n, b->n - i - n);
			memcpy(b->p + i, to, m);
			b->n += m - n;
			i += m - 1;
		}
}

static void crlf_to_lf(struct bytes *b) { mangle(b, "\r\n", 2, "\n", 1); }
static void lf_to_crlf(struct bytes *b) { mangle(b, "\n", 1, "\r\n", 2); }
static void latin_to_utf8(struct bytes *b) { mangle(b, "\x89", 1, "\xc2\x89", 2); }

static void append(struct bytes *b, void (*make)(struct forge *), size_t cut_off)
{
	struct forge f = { 0 };
	struct bytes more;

	make(&f);
	more = forge_join(&f);
	b->p = realloc(b->p, b->n + more.n);
	memcpy(b->p + b->n, more.p, more.n - cut_off);
	b->n += more.n - cut_off;
	free(more.p);
	forge_free(&f);
}

static void twice(struct bytes *b) { append(b, forge_samples, 0); }
static void twice_cut(struct bytes *b) { append(b, forge_samples, 64); }
static void and_model(struct bytes *b) { append(b, forge_model, 0); }

static void seven_bits(struct bytes *b)
{
	for (size_t i = 0; i < b->n; i++)
		b->p[i] &= 0x7f;
}

static const struct {
	const char *name;
	void (*make)(struct forge *);
	const char *message;
	void (*mangle)(struct bytes *);
} made[] = {
	{ "good", NULL, NULL, NULL },
	{ "no-texts", no_texts, NULL, NULL },
	{ "no-index", index_missing, NULL, NULL },
	{ "end-missing", end_missing, "truncated: end marker missing after record 1", NULL },
	{ "index-missing", end_and_index_missing, "truncated: end marker missing after record 1",
	  NULL },
	{ "head-only", head_only, "truncated: end marker missing after the header", NULL },
	{ "head-missing", head_missing,
	  "not a dtn stream (it begins with a META frame, without header)", NULL },
	{ "chunk-missing", chunk_missing, "record 0: unexpected frame \"RECD\"", NULL },
	{ "payload-missing", payload_missing, "record 0: corrupt chunk", NULL },
	{ "cut-after-chnk", cut_after_chnk, "truncated in record 0", NULL },
	{ "half-frame", half_frame, "truncated in record 0", NULL },
	{ "meta-late", meta_late, "unexpected frame \"META\"", NULL },
	{ "meta-frame-twice", meta_twice, "unexpected frame \"META\"", NULL },
	{ "prov-before-meta", prov_before_meta, "unexpected frame \"META\"", NULL },
	{ "head-inside", head_inside, "unexpected frame \"HEAD\"", NULL },
	{ "stray-chunk", stray_chunk, "record 1: unexpected chunk", NULL },
	{ "stray-zstd", stray_zstd, "unexpected frame (it begins with 28 b5 2f fd)", NULL },
	{ "index-twice", index_twice, "unexpected frame \"INDX\"", NULL },
	{ "end-twice", end_twice, "trailing data after end of stream", NULL },
	{ "garbage-after", garbage, "trailing data after end of stream", NULL },
	{ "zeros-after", zeros_after, "trailing data after end of stream", NULL },
	{ "newline-after", newline_after, "trailing data after end of stream", NULL },
	{ "zstd-after", zstd_after, "trailing data after end of stream", NULL },
	{ "xxh", wrong_xxh, "record 0: checksum mismatch (tensor image, chunk 0)", NULL },
	{ "grafted", grafted, "end marker does not match stream", NULL },
	{ "two-frames", two_frames,
	  "record 0: corrupt chunk (tensor label, chunk 0: bytes after the frame)", NULL },
	{ "bytes-after-frame", bytes_after_frame,
	  "record 0: corrupt chunk (tensor label, chunk 0: bytes after", NULL },
	{ "window", window, "record 0: corrupt chunk (tensor image, chunk 0: window too large)",
	  NULL },
	{ "swapped", swapped, "record 0 missing", NULL },
	{ "duplicate", duplicate, "record 0: duplicate tensor \"image\"", NULL },
	{ "product-64", product_64, "record 0: tensor x: size overflow", NULL },
	{ "product-80", product_80, "record 0: tensor x: size overflow", NULL },
	{ "product-256", product_8_times_256, "record 0: tensor x: size overflow", NULL },
	{ "product-int64", product_int64, "record 0: tensor x: size overflow", NULL },
	{ "product-item", product_item_64, "record 0: tensor x: size overflow", NULL },
	{ "1-tib", one_tib, "record 0: record exceeds --max-record (1 GiB)", NULL },
	{ "900-mib", mib_900, "truncated in record 0", NULL },
	{ "600-mib-image", mib_600_image, "truncated in record 0", NULL },
	{ "1200-mib", many_tensors, "record 0: record exceeds --max-record (1 GiB)", NULL },
	{ "empty-tensor", empty_tensor, NULL, NULL },
	{ "scalar", scalar, NULL, NULL },
	{ "ancillary", ancillary, NULL, NULL },
	{ "ancillary-most", ancillary_most, NULL, NULL },
	{ "ancillary-crc", ancillary_crc, "checksum mismatch in note frame", NULL },
	{ "ancillary-large", ancillary_large, "invalid length of note frame", NULL },
	{ "ancillary-bits", ancillary_bits, "reserved field is not zero", NULL },
	{ "ancillary-inside", ancillary_inside,
	  "record 0: unexpected frame \"note\" within a record", NULL },
	{ "ancillary-before-end", ancillary_before_end, "unexpected frame \"note\"", NULL },
	{ "ancillary-before-meta", ancillary_before_meta, "unexpected frame \"META\"", NULL },
	{ "meta-large", meta_large, "invalid length of META frame", NULL },
	{ "meta-nul", meta_nul, "invalid metadata: control character", NULL },
	{ "prov-10000", prov_lines, "invalid provenance: more than 512 lines", NULL },
	{ "fail", fail_3, "upstream failed: dtn-load: a.png: \\x1b[31mred\\x0a", NULL },
	{ "fail-0", fail_0, "malformed FAIL frame", NULL },
	{ "fail-256", fail_256, "malformed FAIL frame", NULL },
	{ "fail-silent", fail_silent, "upstream failed: no reason given", NULL },
	{ "fail-inside", fail_inside, "upstream failed: dtn-load: x", NULL },
	{ "fail-first", fail_first, "upstream failed: dtn-load: no images", NULL },
	{ "fail-long", fail_long, "invalid length of FAIL frame", NULL },
	{ "raw", raw_good, NULL, NULL },
	{ "raw-delta", raw_delta, NULL, NULL },
	{ "raw-unaligned", raw_unaligned, "record 0: malformed chunk", NULL },
	{ "raw-offset-0", raw_offset_0, "record 0: malformed chunk", NULL },
	{ "raw-offset-35", raw_offset_35, "record 0: malformed chunk", NULL },
	{ "raw-offset-100", raw_offset_100, "record 0: malformed chunk", NULL },
	{ "raw-offset-4g", raw_offset_4g, "record 0: malformed chunk", NULL },
	{ "raw-padding", raw_padding, "record 0: malformed chunk", NULL },
	{ "raw-length", raw_length, "record 0: invalid chunk size", NULL },
	{ "twice", NULL, NULL, twice },
	{ "twice-cut", NULL, "segment 2: truncated: end marker missing after record 1", twice_cut },
	{ "model-after-samples", NULL, NULL, and_model },
	{ "crlf-to-lf", NULL, "damaged by text-mode transfer", crlf_to_lf },
	{ "lf-to-crlf", NULL, "damaged by text-mode transfer", lf_to_crlf },
	{ "seven-bits", NULL, "damaged by text-mode transfer", seven_bits },
	{ "utf8", NULL, "damaged by text-mode transfer", latin_to_utf8 },
};

#endif
