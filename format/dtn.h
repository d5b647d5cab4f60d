/* dtn.h -- the .dtn stream: read it, write it.  man/dtn.5 is the specification.
 *
 *      stream  := segment+
 *      segment := HEAD [META] [PROV] record* ( [INDX] END | FAIL )
 *
 * A source, a filter and a sink:
 *
 *      dtn_writer_open(&out, args.level) ... dtn_write_segment, dtn_write_record ..., dtn_write_end
 *      while (dtn_next_segment(in)) while ((record = dtn_next_record(in))) dtn_read_tensor(in, i)
 *
 * Whatever is wrong with an input ends the program with status 3 and one line that names the input
 * and the place; no function here returns an error.
 */
#ifndef DTN_FORMAT_H
#define DTN_FORMAT_H

#include "lib/base.h"

enum dtn_kind { DTN_ANY = 0, DTN_SAMPLES = 1, DTN_MODEL = 2 };

enum dtn_role {
	DTN_NONE = 0, DTN_IMAGE = 1, DTN_NOISE = 2, DTN_NOISED = 3, DTN_TIMESTEP = 4, DTN_LABEL = 5,
	DTN_SAMPLE = 6, DTN_PARAM = 16, DTN_EMA = 17, DTN_ADAM_M = 18, DTN_ADAM_V = 19,
	DTN_RNG_STATE = 20, DTN_COUNTER = 21, DTN_BUFFER = 22
};

const char *dtn_role_name(int role);    /* "image", "adam_m", …; "role N" for private ones */

/* --- metadata: ordered, unique keys, UTF-8 values ----------------------------------------- */

struct dtn_meta {
	int n, cap;
	struct dtn_pair { char *key, *value; } *pair;
};

const char *dtn_meta_get(const struct dtn_meta *, const char *key);     /* NULL: not there */
void dtn_meta_set(struct dtn_meta *, const char *key, const char *format, ...) DTN_PRINTF(3, 4);
void dtn_meta_copy(struct dtn_meta *to, const struct dtn_meta *from);   /* replaces equal keys */
void dtn_meta_agree(struct dtn_meta *, const struct dtn_meta *);        /* keeps what both say */
void dtn_meta_release(struct dtn_meta *);

/* --- provenance: one line per program run ------------------------------------------------- */

struct dtn_prov {
	int n, cap;
	struct dtn_run_line { char *parents, *program, *version, *command; } *line;
};                                      /* the id of line[i] is i + 1 */

/* Add this run, whose parents are all lines that nobody names as a parent yet.  `leave_out` lists
 * options that cannot change the output, separated by spaces: "--log= -b= --resume" ('=' marks
 * those that take an argument); -j -o -q -v --force and --no-prov are always left out.  So are the
 * given operands, which are pointers into argv, as dtn_args finds them: names of streams say
 * nothing that the stream does not.  0, NULL: keep the operands. */
void dtn_prov_add(struct dtn_prov *, int argc, char **argv, const char *leave_out, int operands,
		  char *const *operand);
void dtn_prov_merge(struct dtn_prov *, const struct dtn_prov *);        /* renumbers, no repeats */
void dtn_prov_release(struct dtn_prov *);

/* --- records ------------------------------------------------------------------------------ */

enum { DTN_MAX_RANK = 8, DTN_MAX_NAME = 255 };

struct dtn_tensor {
	char name[DTN_MAX_NAME + 1];
	int type;                       /* enum dtn_type, or another byte that can only be copied */
	int role;                       /* enum dtn_role */
	bool batched;                   /* dim[0] is the record's number of samples */
	int rank;                       /* 0 .. 8 */
	uint64_t dim[DTN_MAX_RANK];     /* slowest first */
	uint64_t bytes;                 /* size * product of dim; the writer computes it */
};

struct dtn_record {
	uint64_t seq, first;            /* number in the segment; samples before it */
	uint32_t samples;               /* 0: not a batch */
	int tensors;
	struct dtn_tensor *tensor;
};

/* A tensor's description, its bytes included; `dim` has `rank` numbers.  Dies where no stream can
 * hold it. */
struct dtn_tensor dtn_tensor(const char *name, int role, int type, bool batched, int rank,
			     const uint64_t *dim);

/* --- reading ------------------------------------------------------------------------------ */

struct dtn_reader;      /* hidden, to spare callers its state */
struct dtn_writer;

/* The operands of a program, read as if they were one stream; none, or "-": standard input, which
 * must be no terminal.  `kind`: the kind it must have, or DTN_ANY. */
struct dtn_reader *dtn_reader_open(int operands, char *const *operand, enum dtn_kind kind);
void dtn_reader_close(struct dtn_reader *);

extern uint64_t dtn_max_record;         /* bytes that readers take; 1 GiB, or --max-record */
void dtn_reader_check_index(struct dtn_reader *);       /* die where INDX is wrong, used or not */

/* Write frames that nobody here understands, but that may be passed on, to this writer. */
void dtn_reader_pass_on(struct dtn_reader *, struct dtn_writer *);

/* Go to the next segment (reading to the end of this one); false: a clean end of input.  Dies where
 * there is not even one.  Metadata and provenance are valid until the next call. */
bool dtn_next_segment(struct dtn_reader *);
enum dtn_kind dtn_reader_kind(const struct dtn_reader *);
int dtn_reader_minor(const struct dtn_reader *);        /* the stream's version is 1.minor */
uint32_t dtn_reader_chunk_size(const struct dtn_reader *);
const struct dtn_meta *dtn_reader_meta(const struct dtn_reader *);
const struct dtn_prov *dtn_reader_prov(const struct dtn_reader *);

/* The next record, skipping what of the last was not read; NULL after the segment's END was seen
 * and verified.  Valid until the next call. */
const struct dtn_record *dtn_next_record(struct dtn_reader *);

/* Tensor i of the record, unfiltered, in C order; tensors must be asked for in ascending order.
 * `into`: room for record->tensor[i].bytes, or NULL for a buffer of the reader's, valid until the
 * next read. */
void *dtn_read_tensor(struct dtn_reader *, int i, void *into);

/* The same in parts, for a tensor that need not be in memory whole: its next bytes, valid until the
 * next read, and how many they are; NULL after the last. */
const void *dtn_read_part(struct dtn_reader *, int i, size_t *n);

/* Skip what was not read of tensor i; how many bytes the stream spends on the skipped chunks. */
uint64_t dtn_skip_tensor(struct dtn_reader *, int i);

/* The tensor with this role (name NULL) or this role and name; -1: none. */
int dtn_find_tensor(const struct dtn_record *, int role, const char *name);

/* "cars.dtn" or "stdin": what messages call the input that is being read. */
const char *dtn_reader_name(const struct dtn_reader *);

/* Die with status 3: "cars.dtn: record 12: MESSAGE". */
_Noreturn void dtn_reader_die(const struct dtn_reader *, const char *format, ...) DTN_PRINTF(2, 3);

/* --- chunks as they are: to copy or keep a tensor without decoding it --------------------- */

struct dtn_chunk {
	int codec, filter;              /* codec 1: zstd */
	uint32_t raw, stored;           /* bytes before and after compression */
	const void *data;               /* stored bytes, valid until the next call */
};

/* The next chunk of tensor i, still compressed; false after the last.  Its length is verified, its
 * checksum is not.  Do not mix with dtn_read_tensor on the same tensor. */
bool dtn_read_chunk(struct dtn_reader *, int i, struct dtn_chunk *);

/* Decode one chunk of a tensor into `raw` bytes at `into`; dies, naming `name`, if corrupt. */
void dtn_decode_chunk(const char *name, const struct dtn_tensor *, const struct dtn_chunk *,
		      void *into);

/* --- writing ------------------------------------------------------------------------------ */

struct dtn_output;

/* A writer into `output`, which stays the caller's and must outlive it; on death it writes FAIL.
 * level: zstd's, -5 .. 19; 0 stores. */
struct dtn_writer *dtn_writer_open(struct dtn_output *output, int level);

/* Threads of the program's that may compress, too: each(pool, jobs, job, arg) calls
 * job(arg, worker, i) once for every i < jobs, on n threads at most, each with its own worker < n,
 * and returns when all are done.  The stream's bytes do not depend on them. */
struct dtn_threads {
	int n;
	void (*each)(void *pool, int jobs, void (*job)(void *arg, int worker, int i),
		     void *arg);
	void *pool;
};
void dtn_writer_share(struct dtn_writer *, const struct dtn_threads *);

/* The chunk size of the segments that follow, default 1 MiB.  A program that copies chunks as they
 * are sets it to their stream's. */
void dtn_writer_chunk_size(struct dtn_writer *, uint32_t size);
void dtn_write_segment(struct dtn_writer *, enum dtn_kind, const struct dtn_meta *,
		       const struct dtn_prov *);

/* One record: descriptions and where each tensor's bytes are.  seq, first and bytes are filled in
 * by the writer.  The filter follows from the type: byte-delta for u8, shuffle for larger ones. */
void dtn_write_record(struct dtn_writer *, struct dtn_record *, const void *const data[]);

/* The same in parts, for tensors that are copied as they are: describe, then all their chunks. */
void dtn_write_describe(struct dtn_writer *, struct dtn_record *);
void dtn_write_tensor(struct dtn_writer *, const void *data);
void dtn_write_chunk(struct dtn_writer *, const struct dtn_chunk *);

/* A frame of another kind between two records, as dtn_reader_pass_on does it. */
void dtn_write_frame(struct dtn_writer *, uint32_t tag, uint32_t flags, const void *body, size_t n);

void dtn_write_end(struct dtn_writer *);        /* INDX and END: the segment is whole */
void dtn_writer_close(struct dtn_writer *);     /* flushes; the output is not committed */

#endif
