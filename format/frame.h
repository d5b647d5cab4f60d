/* frame.h -- what the files of format/ share: frames, their limits, filters, the input's buffer.
 *
 * Every frame of a stream looks the same, and is a skippable frame to zstd:
 *
 *      0 magic 57 2A 4D 18   4 L: bytes after this field   8 tag   12 flags   16 body   L+4 CRC-32
 *
 * Nothing outside format/ includes this.
 */
#ifndef DTN_FRAME_H
#define DTN_FRAME_H

#include "format/dtn.h"

#define DTN_TAG(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

#define DTN_MAGIC       0x184d2a57u
#define DTN_ZSTD_MAGIC  0xfd2fb528u
#define DTN_HEAD        DTN_TAG(0x89, 'D', 'T', 'N')
#define DTN_META        DTN_TAG('M', 'E', 'T', 'A')
#define DTN_PROV        DTN_TAG('P', 'R', 'O', 'V')
#define DTN_RECD        DTN_TAG('R', 'E', 'C', 'D')
#define DTN_CHNK        DTN_TAG('C', 'H', 'N', 'K')
#define DTN_INDX        DTN_TAG('I', 'N', 'D', 'X')
#define DTN_END         DTN_TAG('E', 'N', 'D', ' ')
#define DTN_FAIL        DTN_TAG('F', 'A', 'I', 'L')
#define DTN_SIGN        0x0a1a0a0du     /* the flags of HEAD: CR LF ^Z LF */
#define DTN_EOT         0x044e5444u     /* "DTN" and EOT, near the end of END */

enum {
	DTN_FRAME_HEADER = 16,
	DTN_FRAME_EXTRA = 20,           /* header and CRC: a frame's size less its body's */
	DTN_HEAD_BODY = 44, DTN_HEAD_MOST = 4076,
	DTN_META_MOST = 1 << 20,
	DTN_PROV_MOST = 256 << 10, DTN_PROV_LINES = 512,
	DTN_RECD_BODY = 24, DTN_RECD_MOST = 1 << 20,
	DTN_CHNK_BODY = 20,
	DTN_INDX_ENTRIES = 65536, DTN_INDX_MOST = (1 << 20) + 8,
	DTN_END_BODY = 44,
	DTN_FAIL_BODY = 8, DTN_FAIL_TEXT = 1024,
	DTN_OTHER_MOST = (1 << 20) - 12,        /* body of a frame that only others understand */
	DTN_CHUNK_LEAST = 1 << 16, DTN_CHUNK_MOST = 1 << 22, DTN_CHUNK_SIZE = 1 << 20,
	DTN_TENSORS_MOST = 4096, DTN_SAMPLES_MOST = 1 << 24, DTN_RAW_OFFSET_MOST = 99
};
#define DTN_DIM_MOST    ((uint64_t)1 << 40)     /* also of a tensor's bytes */

/* --- little-endian integers, wherever they lie -------------------------------------------- */

static inline uint32_t dtn_get16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t dtn_get32(const uint8_t *p)
{
	return dtn_get16(p) | dtn_get16(p + 2) << 16;
}

static inline uint64_t dtn_get64(const uint8_t *p)
{
	return (uint64_t)dtn_get32(p) | (uint64_t)dtn_get32(p + 4) << 32;
}

void dtn_put16(uint8_t *, uint32_t);
void dtn_put32(uint8_t *, uint32_t);
void dtn_put64(uint8_t *, uint64_t);

const char *dtn_bytes_text(uint64_t);   /* "1 GiB", "1000 bytes"; valid until the next call */

uint32_t dtn_crc(uint32_t crc, const void *, size_t);   /* CRC-32 as in zlib; begin with 0 */

/* Make a frame at `frame` whose body of n bytes already lies at frame + 16; returns its size. */
size_t dtn_frame_close(uint8_t *frame, uint32_t tag, uint32_t flags, size_t n);

/* --- text in META, PROV and FAIL ---------------------------------------------------------- */

/* The first n bytes as they stand in a frame: \n, \t and \\ written so, other controls and broken
 * UTF-8 made visible first.  Allocated. */
char *dtn_text_escape(const char *, size_t n);

/* The reverse; NULL and a reason where it is no such text. */
char *dtn_text_unescape(const uint8_t *, size_t n, const char **reason);

/* --- META and PROV: bytes and structs; a reason, or NULL where all is well ---------------- */

const char *dtn_meta_parse(struct dtn_meta *, const uint8_t *, size_t n);
char *dtn_meta_print(const struct dtn_meta *, size_t *n);       /* allocated */
const char *dtn_prov_parse(struct dtn_prov *, const uint8_t *, size_t n);
char *dtn_prov_print(const struct dtn_prov *, size_t *n);

/* One more run of this program, a child of all that have none; `command` is taken over. */
void dtn_prov_append(struct dtn_prov *, char *command);

/* --- filters ------------------------------------------------------------------------------ */

enum { DTN_PLAIN = 0, DTN_SHUFFLE = 1, DTN_DELTA = 2, DTN_SHUFFLE_DELTA = 3 };

int dtn_filter_for(int type);
size_t dtn_filter_distance(const struct dtn_tensor *);  /* of DTN_DELTA, 1 .. 16 bytes */

/* What a filter does to a chunk of n bytes; `size` is the element's. */
void dtn_filter(uint8_t *to, const uint8_t *from, size_t n, int filter, size_t size,
		size_t distance);
void dtn_unfilter(uint8_t *to, const uint8_t *from, size_t n, int filter, size_t size,
		  size_t distance);

/* --- records ------------------------------------------------------------------------------ */

struct dtn_names { uint64_t *slot; size_t cap, n; };    /* the (role, name) pairs seen so far */

bool dtn_names_add(struct dtn_names *, int role, const char *name);     /* false: it was there */
void dtn_names_clear(struct dtn_names *);

/* Size of a described tensor in bytes; false where it overflows or exceeds the format's limit. */
bool dtn_tensor_size(const struct dtn_tensor *, uint64_t *bytes);
bool dtn_tensor_name_ok(const char *name, size_t n);

/* The body of a RECD into a record, whose `tensor` is reallocated; a reason, allocated, or NULL. */
char *dtn_record_parse(struct dtn_record *, const uint8_t *body, size_t n, struct dtn_names *);
size_t dtn_record_print(const struct dtn_record *, uint8_t *body);      /* body NULL: count only */

/* --- zstd frames -------------------------------------------------------------------------- */

size_t dtn_codec_bound(size_t raw);

/* Is it one zstd frame as a chunk must be?  The header and the length only; a reason, or NULL. */
const char *dtn_codec_check(const struct dtn_chunk *, size_t chunk_size);

/* Decode one chunk into `raw` bytes at `to`.  `scratch` holds as much.  A reason, or NULL. */
const char *dtn_codec_decode(void *context, const struct dtn_tensor *, const struct dtn_chunk *,
			     void *to, void *scratch);
extern const char dtn_codec_mismatch[]; /* the reason where only the checksum is wrong */

/* --- the index ---------------------------------------------------------------------------- */

/* Every stride-th record's place.  It is thinned to every second entry when full, so it never
 * exceeds 1 MiB however long the segment. */
struct dtn_index {
	uint32_t n, cap, stride;
	struct dtn_entry { uint64_t offset, first; } *place;
};

void dtn_index_clear(struct dtn_index *);
void dtn_index_add(struct dtn_index *, uint64_t record, uint64_t offset, uint64_t first);
size_t dtn_index_print(const struct dtn_index *, uint8_t *body);        /* 8 + 16 * n bytes */
bool dtn_index_size_ok(const uint8_t *body, size_t n);
bool dtn_index_matches(const struct dtn_index *, const uint8_t *body, uint64_t records);

/* --- the input ---------------------------------------------------------------------------- */

struct dtn_source {
	int operands, next;
	char *const *operand;
	int fd;                         /* -1: none open */
	const char *name;
	uint8_t *buffer;
	size_t cap, at, end;            /* bytes at .. end wait to be read */
	uint64_t offset;                /* of byte `at` in this input */
	bool ended, seekable;
};

void dtn_source_open(struct dtn_source *, int operands, char *const *operand);
void dtn_source_close(struct dtn_source *);
bool dtn_source_next(struct dtn_source *);      /* go to the next operand; false: none is left */

/* At least `want` bytes in a row, or all that is left; how many are there goes into `got`. */
const uint8_t *dtn_source_need(struct dtn_source *, size_t want, size_t *got);
void dtn_source_take(struct dtn_source *, size_t n);    /* of what dtn_source_need has shown */
bool dtn_source_skip(struct dtn_source *, uint64_t n);  /* false: the input ends before */

/* What the beginning of something that is no stream looks like, as " (PNG image; …)", or "". */
const char *dtn_source_guess(const uint8_t *, size_t n);

#endif
