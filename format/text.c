/* text.c -- the text of META, PROV and FAIL: UTF-8 without control characters.
 *
 * A newline, a tab and a backslash inside a value are written as \n, \t and \\.
 */
#include "format/frame.h"

#include <stdlib.h>
#include <string.h>

/* Copy a run without \n, \t and \, doubling the backslashes that dtn_escape puts in. */
static char *escape_run(char *to, const char *run, size_t n)
{
	char *visible = dtn_escape(run, n);

	for (const char *p = visible; *p; p++) {
		if (*p == '\\')
			*to++ = '\\';
		*to++ = *p;
	}
	free(visible);
	return to;
}

char *dtn_text_escape(const char *text, size_t n)
{
	char *out = dtn_alloc(n + 1, 5), *q = out;

	for (size_t i = 0, run; i < n; i += run) {
		for (run = 0; i + run < n && !memchr("\n\t\\", text[i + run], 3); run++)
			;
		if (run > 0) {
			q = escape_run(q, text + i, run);
			continue;
		}
		*q++ = '\\';
		*q++ = text[i] == '\n' ? 'n' : text[i] == '\t' ? 't' : '\\';
		run = 1;
	}
	*q = '\0';
	return out;
}

char *dtn_text_unescape(const uint8_t *text, size_t n, const char **reason)
{
	char *out = dtn_escape((const char *)text, n);
	size_t k = 0;

	*reason = NULL;
	if (strlen(out) != n)   /* something had to be made visible */
		*reason = "control character or invalid UTF-8";
	for (size_t i = 0; i < n && !*reason; i++) {
		char c = (char)text[i];
		if (c == '\\') {
			i++;
			c = i < n ? (char)text[i] : ' ';
			if (c != 'n' && c != 't' && c != '\\')
				*reason = "unknown escape";
			c = c == 'n' ? '\n' : c == 't' ? '\t' : '\\';
		}
		out[k++] = c;
	}
	out[k] = '\0';
	if (*reason) {
		free(out);
		return NULL;
	}
	return out;
}
