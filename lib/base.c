/* base.c -- messages, memory and the start of a program: the only place that exits. */
#include "lib/base.h"

#include "lib/line.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *dtn_program = "dtn";
int dtn_verbosity;

static struct {
	void (*clean)(void *, enum dtn_status, const char *);
	void *arg;
} at_death[8];
static int deaths;

/* Held by who dies, for good: another thread that dies, or wants something done at death, then
 * waits for the end.  Recursive, since a clean-up may die in its turn. */
static pthread_mutex_t dying = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

const char *dtn_type_name(int type)
{
	switch (type) {
	case DTN_U8: return "u8";
	case DTN_I32: return "i32";
	case DTN_I64: return "i64";
	case DTN_F16: return "f16";
	case DTN_F32: return "f32";
	case DTN_F64: return "f64";
	case DTN_BF16: return "bf16";
	}
	return "?";
}

size_t dtn_shape_count(struct dtn_shape s)
{
	size_t n = 1;

	for (int i = 0; i < s.rank; i++)
		n *= (size_t)s.dim[i];
	return n;
}

bool dtn_shape_equal(struct dtn_shape a, struct dtn_shape b)
{
	return a.rank == b.rank && memcmp(a.dim, b.dim, (size_t)a.rank * sizeof(a.dim[0])) == 0;
}

const char *dtn_shape_text(struct dtn_shape s)
{
	static _Thread_local char ring[8][64];
	static _Thread_local int next;
	char *text = ring[next++ % 8], *p = text;

	*p++ = '[';
	for (int i = 0; i < s.rank; i++)
		p += sprintf(p, i ? ",%d" : "%d", s.dim[i]);
	strcpy(p, "]");
	return text;
}

void dtn_begin(char **argv)
{
	const char *slash = argv[0] ? strrchr(argv[0], '/') : NULL;
	sigset_t pipe_only;

	if (argv[0])
		dtn_program = slash ? slash + 1 : argv[0];
	/* A closed descriptor would be handed to the next file opened: give it to /dev/null, opened
	 * the wrong way round, so that using it still fails with EBADF. */
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) == -1 && errno == EBADF)
			(void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigprocmask(SIG_UNBLOCK, &pipe_only, NULL);
}

void dtn_at_death(void (*clean)(void *, enum dtn_status, const char *), void *arg)
{
	pthread_mutex_lock(&dying);
	if (deaths == (int)(sizeof(at_death) / sizeof(at_death[0])))
		abort();
	at_death[deaths].clean = clean;
	at_death[deaths++].arg = arg;
	pthread_mutex_unlock(&dying);
}

void dtn_forget_death(void (*clean)(void *, enum dtn_status, const char *), void *arg)
{
	pthread_mutex_lock(&dying);
	for (int i = deaths - 1; i >= 0; i--)
		if (at_death[i].clean == clean && at_death[i].arg == arg) {
			memmove(&at_death[i], &at_death[i + 1],
				(size_t)(deaths - i - 1) * sizeof(at_death[0]));
			deaths--;
			break;
		}
	pthread_mutex_unlock(&dying);
}

static char *escape(char *to, const char *text, size_t length);

/* The message without its control bytes, and with the reason where the format ends in a colon; NULL
 * where memory is short. */
static char *message(const char *format, va_list args, int error)
{
	const char *reason = strerror(error);
	size_t length = strlen(format);
	char *raw = NULL, *text, *end;
	int n = vasprintf(&raw, format, args);

	if (n < 0)
		return NULL;
	text = malloc(4 * (size_t)n + strlen(reason) + 2);
	if (text) {
		end = escape(text, raw, (size_t)n);
		if (length > 0 && format[length - 1] == ':')
			sprintf(end, " %s", reason);
	}
	free(raw);
	return text;
}

static void speak(const char *kind, const char *text)
{
	dtn_line_interrupt();
	fprintf(stderr, "%s: %s%s\n", dtn_program, kind, text ? text : "out of memory");
}

/* A clean-up that dies in its turn ends up here again: the first reason counts, and the clean-ups
 * that are left are made. */
static _Noreturn void leave(enum dtn_status status, const char *text)
{
	while (deaths > 0) {
		deaths--;
		at_death[deaths].clean(at_death[deaths].arg, status, text);
	}
	_exit((int)status);
}

void dtn_die(enum dtn_status status, const char *format, ...)
{
	static enum dtn_status first;
	static const char *text;
	int error = errno;
	va_list args;

	pthread_mutex_lock(&dying);
	if (first != DTN_OK)
		leave(first, text ? text : "out of memory");
	first = status;
	va_start(args, format);
	text = message(format, args, error);
	va_end(args);
	fflush(stdout);
	if (dtn_verbosity > -2)
		speak("", text);
	leave(first, text ? text : "out of memory");
}

#define SAY(kind, least) do { \
	int error = errno; \
	va_list args; \
	char *text; \
	if (dtn_verbosity < (least)) \
		return; \
	va_start(args, format); \
	text = message(format, args, error); \
	va_end(args); \
	speak(kind, text); \
	free(text); \
} while (0)

void dtn_warn(const char *format, ...) { SAY("warning: ", 0); }
void dtn_note(const char *format, ...) { SAY("", 0); }
void dtn_say(const char *format, ...) { SAY("", 1); }

static void *need(void *p, uint64_t bytes)
{
	if (!p)
		dtn_die(DTN_ENV, "out of memory (%llu bytes wanted)", (unsigned long long)bytes);
	return p;
}

void *dtn_alloc(size_t count, size_t size)
{
	return need(calloc(count ? count : 1, size ? size : 1), (uint64_t)count * size);
}

void *dtn_realloc(void *old, size_t count, size_t size)
{
	uint64_t bytes;

	if (!dtn_mul(&bytes, count, size))
		dtn_die(DTN_ENV, "out of memory (%zu times %zu bytes wanted)", count, size);
	return need(realloc(old, bytes ? bytes : 1), bytes);
}

void *dtn_alloc_aligned(size_t bytes)
{
	void *p = NULL;

	if (posix_memalign(&p, 64, bytes ? bytes : 64) != 0)
		p = NULL;
	return need(p, bytes);
}

char *dtn_strdup(const char *text)
{
	return need(strdup(text), strlen(text) + 1);
}

char *dtn_format(const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	return need(n < 0 ? NULL : text, 64);
}

const char *dtn_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool dtn_mul(uint64_t *result, uint64_t a, uint64_t b)
{
	return !__builtin_mul_overflow(a, b, result);
}

bool dtn_add(uint64_t *result, uint64_t a, uint64_t b)
{
	return !__builtin_add_overflow(a, b, result);
}

/* The length of the UTF-8 character at p, or 0 where there is none or it is a control. */
static size_t printable(const unsigned char *p, size_t left)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = p[0] < 0x80 ? 1 : p[0] >> 5 == 6 ? 2 : p[0] >> 4 == 14 ? 3 :
		   p[0] >> 3 == 30 ? 4 : 0;
	unsigned code;

	if (n == 0 || n > left)
		return 0;
	code = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return code < 0x20 || (code >= 0x7f && code < 0xa0) ? 0 : n;
}

/* Four bytes for each, and a zero, are enough.  Returns where the zero is. */
static char *escape(char *to, const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0; i < length;) {
		size_t n = printable(p + i, length - i);
		if (n) {
			memcpy(to, p + i, n);
			to += n;
			i += n;
		} else {
			to += sprintf(to, "\\x%02x", p[i++]);
		}
	}
	*to = '\0';
	return to;
}

char *dtn_escape(const char *text, size_t length)
{
	char *out = dtn_alloc(length * 4 + 1, 1);

	escape(out, text, length);
	return out;
}

const char *dtn_plural(uint64_t n) { return n == 1 ? "" : "s"; }

int64_t dtn_ceil_div(int64_t a, int64_t b) { return a / b + (a % b != 0); }

double dtn_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
