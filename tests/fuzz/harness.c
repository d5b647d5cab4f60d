/* harness.c -- feeds a fuzz target, and survives what would end a program.
 *
 * The linker exchanges three functions of the programs for ours (--wrap).  dtn_die returns to here;
 * any status but 3 is a fault, because nothing but the input can be wrong.  dtn_crc believes what
 * the input says, so that changed bytes are looked at and do not all end at a checksum.
 * dtn_source_need hands out a copy of just what was asked for, beyond which nobody reads unnoticed.
 */
#include "tests/fuzz/harness.h"

#include "format/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Noreturn void __wrap_dtn_die(enum dtn_status, const char *, ...);
uint32_t __wrap_dtn_crc(uint32_t, const void *, size_t);
uint32_t __real_dtn_crc(uint32_t, const void *, size_t);
const uint8_t *__wrap_dtn_source_need(struct dtn_source *, size_t, size_t *);
const uint8_t *__real_dtn_source_need(struct dtn_source *, size_t, size_t *);
int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

char fuzz_path[] = "/dev/stdin";
static jmp_buf died;

_Noreturn void __wrap_dtn_die(enum dtn_status status, const char *format, ...)
{
	char text[8192];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (status != DTN_INPUT)
		fuzz_must(false, text);
	longjmp(died, 1);
}

/* Of a frame: what stands behind its bytes.  Otherwise it continues the chain. */
uint32_t __wrap_dtn_crc(uint32_t crc, const void *data, size_t n)
{
	if (n > 4)
		return dtn_get32((const uint8_t *)data + n);
	return __real_dtn_crc(crc, data, n);
}

const uint8_t *__wrap_dtn_source_need(struct dtn_source *s, size_t want, size_t *got)
{
	static uint8_t *copy;
	const uint8_t *p = __real_dtn_source_need(s, want, got);

	*got = *got < want ? *got : want;
	free(copy);
	copy = dtn_alloc(*got, 1);
	return memcpy(copy, p, *got);
}

void fuzz_must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "fault: %s\n", what);
	abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("input", MFD_CLOEXEC);
		dup2(fd, 0);
	}
	if (ftruncate(fd, 0) || pwrite(fd, data, n, 0) != (ssize_t)n)
		fuzz_must(false, "no memory for the input");
	if (!setjmp(died))
		target_read(data, n);
	target_clean();
	return 0;
}
