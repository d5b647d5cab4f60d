/* base.h -- what every file may use: element types, shapes, messages, memory.
 *
 * Shapes are written slowest dimension first, in these letters everywhere:
 *
 *      N images   H rows   W columns   C channels in   K channels out
 *      L = H*W positions   G groups   T diffusion steps
 */
#ifndef DTN_BASE_H
#define DTN_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DTN_VERSION "0.1.0"

/* Exit statuses of every program. */
enum dtn_status {
	DTN_OK = 0,
	DTN_ENV = 1,            /* the environment: open, read, write, memory, disk */
	DTN_USAGE = 2,          /* a wrong option or operand */
	DTN_INPUT = 3           /* an input that is not acceptable */
};

/* Element types.  The value is the byte that a stream stores: class << 4 | log2(size). */
enum dtn_type {
	DTN_U8 = 0x00,
	DTN_I32 = 0x12,
	DTN_I64 = 0x13,
	DTN_F16 = 0x21,
	DTN_F32 = 0x22,
	DTN_F64 = 0x23,
	DTN_BF16 = 0x31
};

static inline size_t dtn_type_size(int type)
{
	return (size_t)1 << (type & 15);
}

const char *dtn_type_name(int type);    /* "u8", "bf16", …; "?" for an unknown one */

struct dtn_shape { int rank; int dim[4]; };     /* [N,H,W,C], [N,L,C], [N,C] or [C] */

size_t dtn_shape_count(struct dtn_shape);       /* elements; 1 for rank 0 */
bool dtn_shape_equal(struct dtn_shape, struct dtn_shape);
const char *dtn_shape_text(struct dtn_shape);   /* "[8,28,28,32]", valid for the next 8 calls */

/* Say why on stderr, as "program: MESSAGE", and exit with `status`.  A format that ends with a
 * colon gets the reason in errno appended.  Bytes that are not printable are escaped. */
#ifdef __GNUC__
#define DTN_PRINTF(at, first) __attribute__((format(printf, at, first)))
#else
#define DTN_PRINTF(at, first)
#endif
_Noreturn void dtn_die(enum dtn_status status, const char *format, ...) DTN_PRINTF(2, 3);
void dtn_warn(const char *format, ...) DTN_PRINTF(1, 2);        /* "program: warning: …" */
void dtn_note(const char *format, ...) DTN_PRINTF(1, 2);        /* "program: …", always shown */
void dtn_say(const char *format, ...) DTN_PRINTF(1, 2);         /* the same, with -v only */

/* How much is said: -2 nothing, -1 errors only, 0 warnings and notes, 1 and more: -v. */
extern int dtn_verbosity;

/* The base name of the running program, for messages. */
extern const char *dtn_program;

/* Begin a program: names it, opens descriptors 0 to 2 on /dev/null where they are closed for
 * reading or writing, and gives SIGPIPE its default action back.  Call first in main. */
void dtn_begin(char **argv);

/* Run `clean` when the program dies, with the status and message it dies with: output removes its
 * temporary file, a writer says FAIL.  Last registered, first run; at most 8. */
void dtn_at_death(void (*clean)(void *, enum dtn_status, const char *), void *arg);
void dtn_forget_death(void (*clean)(void *, enum dtn_status, const char *), void *arg);

/* Memory, or death with "out of memory" and the bytes wanted.  Free with free(). */
void *dtn_alloc(size_t count, size_t size);             /* zeroed; overflow is checked */
void *dtn_realloc(void *, size_t count, size_t size);
void *dtn_alloc_aligned(size_t bytes);                  /* not zeroed; aligned to 64 bytes */
char *dtn_strdup(const char *);
char *dtn_format(const char *format, ...) DTN_PRINTF(1, 2);     /* an allocated string */

/* What follows the last slash of a path: a part of it, maybe empty. */
const char *dtn_base_name(const char *path);

/* a*b and a+b; false on overflow. */
bool dtn_mul(uint64_t *result, uint64_t a, uint64_t b);
bool dtn_add(uint64_t *result, uint64_t a, uint64_t b);

/* `text` with control bytes and broken UTF-8 as \xNN; allocated. */
char *dtn_escape(const char *text, size_t length);

const char *dtn_plural(uint64_t n);     /* "s", but "" of one */

int64_t dtn_ceil_div(int64_t a, int64_t b);     /* a / b, rounded up; a >= 0, b > 0 */

double dtn_seconds(void);               /* monotonic clock */

#endif
