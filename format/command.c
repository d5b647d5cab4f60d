/* command.c -- a command line as provenance keeps it.
 *
 * What cannot change the output is left out, so that the same work is recorded in the same words
 * whatever the number of threads or the place of the output.  What remains is quoted for a shell.
 */
#include "format/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4096 };

static const char always[] =
	"-j= --threads= -o= --output= -q --quiet -v --verbose --force --no-prov";

/* The entry "--name" or "--name=" of a list for the n bytes at `word`; NULL: none. */
static const char *entry(const char *list, const char *word, size_t n)
{
	for (; *list; list += strspn(list, " ")) {
		size_t length = strcspn(list, " ");
		if (strcspn(list, " =") == n && !strncmp(list, word, n))
			return list;
		list += length;
	}
	return NULL;
}

static bool takes_argument(const char *found)
{
	return found[strcspn(found, " =")] == '=';
}

static const char *listed(const char *leave_out, const char *word, size_t n)
{
	const char *found = entry(always, word, n);

	return found || !leave_out ? found : entry(leave_out, word, n);
}

/* The letters of a word like "-qvj4": those to leave out are skipped, up to the first that stays.
 * Returns where that is, or NULL when nothing stays; `next` too: the argument is the next word. */
static const char *letters(const char *leave_out, const char *word, bool *next)
{
	const char *p = word + 1;

	for (; *p; p++) {
		char one[] = { '-', *p, '\0' };
		const char *found = listed(leave_out, one, 2);
		if (!found)
			return p;
		if (takes_argument(found)) {
			*next = p[1] == '\0';
			return NULL;
		}
	}
	return NULL;
}

static void quote(FILE *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_./:,=+@%^-";

	if (*word && word[strspn(word, plain)] == '\0') {
		fputs(word, out);
		return;
	}
	fputc('\'', out);
	for (; *word; word++)
		if (*word == '\'')
			fputs("'\\''", out);
		else
			fputc(*word, out);
	fputc('\'', out);
}

static bool is_operand(const char *word, int operands, char *const *operand)
{
	for (int i = 0; i < operands; i++)
		if (operand[i] == word)
			return true;
	return false;
}

/* Write the option in argv[i], or nothing; returns how many words it took. */
static int option(FILE *out, char **argv, int i, const char *leave_out)
{
	const char *word = argv[i], *stays, *found;
	bool next = false;

	if (word[1] == '-') {
		size_t n = strcspn(word, "=");
		found = listed(leave_out, word, n);
		if (found)
			return takes_argument(found) && word[n] == '\0' ? 2 : 1;
		fputc(' ', out);
		quote(out, word);
		return 1;
	}
	stays = letters(leave_out, word, &next);
	if (stays) {
		char *rest = dtn_format("-%s", stays);
		fputc(' ', out);
		quote(out, rest);
		free(rest);
	}
	return next ? 2 : 1;
}

/* Printable, and cut at a character's beginning where it is too long. */
static char *shorten(char *text)
{
	char *visible = dtn_escape(text, strlen(text));
	size_t n = MOST - 3;

	free(text);
	if (strlen(visible) > MOST) {
		while (n > 0 && ((unsigned char)visible[n] & 0xc0) == 0x80)
			n--;
		strcpy(visible + n, "\xe2\x80\xa6");
	}
	return visible;
}

void dtn_prov_add(struct dtn_prov *p, int argc, char **argv, const char *leave_out, int operands,
		  char *const *operand)
{
	char *text = NULL;
	size_t size;
	bool options = true;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		dtn_die(DTN_ENV, "out of memory");
	quote(out, dtn_program);
	for (int i = 1; i < argc;) {
		const char *word = argv[i];
		if (is_operand(word, operands, operand)) {
			i++;
		} else if (options && !strcmp(word, "--")) {
			options = false;
			i++;
			if (operands == 0)
				fputs(" --", out);
		} else if (options && word[0] == '-' && word[1]) {
			i += option(out, argv, i, leave_out);
		} else {
			fputc(' ', out);
			quote(out, word);
			i++;
		}
	}
	if (fclose(out) != 0)
		dtn_die(DTN_ENV, "out of memory");
	dtn_prov_append(p, shorten(text));
}
