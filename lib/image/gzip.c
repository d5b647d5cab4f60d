/* gzip.c -- zlib's compressed files, with reasons instead of codes. */
#include "lib/image/gzip.h"

#include <errno.h>
#include <string.h>

size_t dtn_gzip_read(gzFile gz, void *to, size_t n)
{
	size_t done = 0;

	while (done < n) {
		size_t want = n - done < 1 << 20 ? n - done : 1 << 20;
		int got = gzread(gz, (uint8_t *)to + done, (unsigned)want);

		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

bool dtn_gzip_fault(gzFile gz, struct dtn_fault *fault)
{
	int code;
	const char *text = gzerror(gz, &code);

	if (code == Z_ERRNO)
		return dtn_fault_system(fault, errno);
	if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR)
		return dtn_fault(fault, DTN_INPUT, "truncated");
	return dtn_fault(fault, DTN_INPUT, "corrupt gzip data (%s)", text);
}

bool dtn_gzip_end(gzFile gz, struct dtn_fault *fault)
{
	uint8_t extra;
	int code;

	if (dtn_gzip_read(gz, &extra, 1) > 0)
		return dtn_fault(fault, DTN_INPUT, "bytes after the last image");
	gzerror(gz, &code);
	return code == Z_OK || dtn_gzip_fault(gz, fault);
}
