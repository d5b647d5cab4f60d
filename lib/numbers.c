/* numbers.c -- the arguments of options as numbers, sizes, times, words and lists.
 *
 * The whole argument must be a number in the permitted range; anything else is a usage error that
 * shows the option as it was typed, its argument and what is wanted.
 */
#include "lib/options.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *dtn_args_typed(const struct dtn_args *a)
{
	static char text[80];

	if (a->letter)
		snprintf(text, sizeof(text), "-%c", a->letter);
	else
		snprintf(text, sizeof(text), "--%s", a->name);
	return text;
}

/* Digits only; false where there are others, none, or too many. */
static bool digits(const char *text, const char **end, uint64_t *value)
{
	const char *p = text;

	*value = 0;
	for (; *p >= '0' && *p <= '9'; p++)
		if (!dtn_mul(value, *value, 10) || !dtn_add(value, *value, (uint64_t)(*p - '0')))
			return false;
	*end = p;
	return p > text;
}

uint64_t dtn_args_natural(const struct dtn_args *a, uint64_t least, uint64_t most)
{
	const char *end;
	uint64_t n;

	if (!digits(a->value, &end, &n) || *end || n < least || n > most)
		dtn_usage("%s %s: wants %llu to %llu", dtn_args_typed(a), a->value,
			  (unsigned long long)least, (unsigned long long)most);
	return n;
}

/* A whole integer in [least, most] from `text` to *end. */
static bool integer(const char *text, const char **end, int64_t least, int64_t most, int64_t *value)
{
	bool minus = *text == '-';
	uint64_t n;

	if (!digits(text + minus, end, &n) || n > (uint64_t)INT64_MAX)
		return false;
	*value = minus ? -(int64_t)n : (int64_t)n;
	return *value >= least && *value <= most;
}

int64_t dtn_args_int(const struct dtn_args *a, int64_t least, int64_t most)
{
	const char *end;
	int64_t n;

	if (integer(a->value, &end, least, most, &n) && !*end)
		return n;
	if (most == INT64_MAX)
		dtn_usage("%s %s: wants %lld or more", dtn_args_typed(a), a->value,
			  (long long)least);
	dtn_usage("%s %s: wants %lld to %lld", dtn_args_typed(a), a->value, (long long)least,
		  (long long)most);
}

/* strtod knows more than we want to: "inf", "nan", "0x1p3" and leading blanks. */
static bool real(const char *text, char **end, double *value)
{
	size_t n = strspn(text, "+-.0123456789eE");

	*value = strtod(text, end);
	return n > 0 && *end > text && *end <= text + n && isfinite(*value);
}

double dtn_args_real(const struct dtn_args *a, double least, double most)
{
	double x;
	char *end;

	if (real(a->value, &end, &x) && !*end && x >= least && x <= most)
		return x;
	if (isinf(most))
		dtn_usage("%s %s: wants %.7g or more", dtn_args_typed(a), a->value, least);
	dtn_usage("%s %s: wants %.7g to %.7g", dtn_args_typed(a), a->value, least, most);
}

void dtn_args_pair(const struct dtn_args *a, double pair[2], double least, double most)
{
	char *copy = dtn_strdup(a->value), *comma = strchr(copy, ',');
	struct dtn_args half = *a;

	if (!comma)
		dtn_usage("%s %s: wants two numbers, LO,HI", dtn_args_typed(a), a->value);
	*comma = '\0';
	half.value = copy;
	pair[0] = dtn_args_real(&half, least, most);
	half.value = comma + 1;
	pair[1] = dtn_args_real(&half, least, most);
	free(copy);
}

uint64_t dtn_args_size(const struct dtn_args *a)
{
	static const char units[] = "KMG";
	const char *end, *unit;
	uint64_t n;

	if (digits(a->value, &end, &n)) {
		if (!*end)
			return n;
		unit = strchr(units, *end);
		if (unit && !end[1] && dtn_mul(&n, n, (uint64_t)1024 << 10 * (unit - units)))
			return n;
	}
	dtn_usage("%s %s: wants a number below 2^64, K, M or G after it for multiples of 1024",
		  dtn_args_typed(a), a->value);
}

double dtn_args_time(const struct dtn_args *a)
{
	char *end;
	double x;

	if (real(a->value, &end, &x) && x > 0) {
		double unit = *end == 'h' ? 3600 : *end == 'm' ? 60 : 1;
		if (isfinite(x * unit) && (!*end || (strchr("smh", *end) && !end[1])))
			return x * unit;
	}
	dtn_usage("%s %s: wants a time such as 90s, 4m or 2h", dtn_args_typed(a), a->value);
}

/* "a|b|c" as "a, b or c" */
static char *enumerate(const char *choices)
{
	char *text = dtn_strdup("");

	while (*choices) {
		size_t n = strcspn(choices, "|");
		bool last = !choices[n], first = !*text;
		const char *between = first ? "" : last ? " or " : ", ";
		char *more = dtn_format("%s%s%.*s", text, between, (int)n, choices);
		free(text);
		text = more;
		choices += n + !last;
	}
	return text;
}

int dtn_choice_find(const char *choices, const char *text)
{
	const char *p = choices;

	for (int i = 0; *p; i++) {
		size_t n = strcspn(p, "|");
		if (strlen(text) == n && !strncmp(text, p, n))
			return i;
		p += n + (p[n] == '|');
	}
	return -1;
}

char *dtn_choice_text(const char *choices, int i)
{
	while (i-- > 0)
		choices = strchr(choices, '|') + 1;
	return dtn_format("%.*s", (int)strcspn(choices, "|"), choices);
}

int dtn_args_choice(const struct dtn_args *a, const char *choices)
{
	int i = dtn_choice_find(choices, a->value);

	if (i < 0)
		dtn_usage("%s %s: wants %s", dtn_args_typed(a), a->value, enumerate(choices));
	return i;
}

int dtn_args_list(const struct dtn_args *a, int *list, int most, int64_t least, int64_t greatest)
{
	const char *p = a->value;
	int64_t value;

	for (int n = 0; n < most; p++) {
		if (!integer(p, &p, least, greatest, &value))
			break;
		list[n++] = (int)value;
		if (!*p)
			return n;
		if (*p != ',')
			break;
	}
	dtn_usage("%s %s: wants up to %d numbers from %lld to %lld, separated by commas",
		  dtn_args_typed(a), a->value, most, (long long)least, (long long)greatest);
}
