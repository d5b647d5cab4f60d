/* trouble.c -- how a reader says what is wrong, and where.
 *
 *      cars.dtn: segment 2: record 12: checksum mismatch (tensor image, chunk 0)
 *
 * The segment is named from the second one on.
 */
#include "format/reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void dtn_reader_die(const struct dtn_reader *r, const char *format, ...)
{
	char *text = NULL, segment[32] = "", record[32] = "";
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (r->segments > 1)
		snprintf(segment, sizeof(segment), "segment %d: ", r->segments);
	if (r->place >= 0)
		snprintf(record, sizeof(record), "record %lld: ", (long long)r->place);
	dtn_die(DTN_INPUT, "%s: %s%s%s", r->source.name, segment, record,
		text ? text : "out of memory");
}

/* dtn_die makes the characters visible where they are not. */
const char *dtn_tag_text(uint32_t tag)
{
	static char text[5];

	if (tag == DTN_HEAD)
		return "HEAD";
	dtn_put32((uint8_t *)text, tag);
	for (int n = 4; n > 0 && text[n - 1] == ' '; n--)
		text[n - 1] = '\0';
	return text;
}

_Noreturn void dtn_reader_truncated(struct dtn_reader *r, const struct dtn_frame *frame)
{
	if (r->in_record)
		DIE_OUTSIDE(r, "truncated in record %llu", (unsigned long long)r->record.seq);
	if (frame && frame->tag == DTN_HEAD)
		DIE_OUTSIDE(r, "truncated header");
	if (frame && frame->tag == DTN_RECD)
		DIE_OUTSIDE(r, "truncated in record %llu", (unsigned long long)r->records);
	if (frame)
		DIE_OUTSIDE(r, "truncated in %s frame", dtn_tag_text(frame->tag));
	if (r->records == 0)
		DIE_OUTSIDE(r, "truncated: end marker missing after the header");
	DIE_OUTSIDE(r, "truncated: end marker missing after record %llu",
		    (unsigned long long)r->records - 1);
}

bool dtn_tag_known(uint32_t tag)
{
	return tag == DTN_HEAD || tag == DTN_META || tag == DTN_PROV || tag == DTN_RECD ||
	       tag == DTN_CHNK || tag == DTN_INDX || tag == DTN_END || tag == DTN_FAIL;
}

_Noreturn void dtn_frame_unexpected(struct dtn_reader *r, const struct dtn_frame *frame)
{
	if (frame->tag == DTN_CHNK) {
		r->place = (int64_t)r->records;
		dtn_reader_die(r, "unexpected chunk");
	}
	if (dtn_tag_known(frame->tag))
		dtn_reader_die(r, "unexpected frame \"%s\"", dtn_tag_text(frame->tag));
	if (frame->flags & 1)
		dtn_reader_die(r, "unexpected frame \"%s\" within a record",
			       dtn_tag_text(frame->tag));
	dtn_reader_die(r, "unknown frame \"%s\"", dtn_tag_text(frame->tag));
}

_Noreturn void dtn_frame_fail(struct dtn_reader *r, struct dtn_frame *frame)
{
	const uint8_t *body =
		dtn_frame_read(r, frame, DTN_FAIL_BODY, DTN_FAIL_BODY + DTN_FAIL_TEXT);
	uint32_t status = dtn_get32(body);
	char *text = dtn_escape((const char *)body + DTN_FAIL_BODY, frame->n - DTN_FAIL_BODY);

	if (status < 1 || status > 255 || dtn_get32(body + 4) != 0)
		DIE_OUTSIDE(r, "malformed FAIL frame");
	dtn_die(DTN_INPUT, "%s: upstream failed: %s", r->source.name,
		*text ? text : "no reason given");
}
