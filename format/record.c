/* record.c -- descriptions of records and tensors: the body of a RECD frame.
 *
 * Everything a stream claims about sizes is checked here, with arithmetic that notices overflow,
 * before any memory is asked for.
 */
#include "format/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *dtn_role_name(int role)
{
	static _Thread_local char other[16];
	static const char *const name[] = {
		"none", "image", "noise", "noised", "timestep", "label", "sample",
		[DTN_PARAM] = "param", "ema", "adam_m", "adam_v", "rng_state", "counter", "buffer"
	};

	if (role >= 0 && role < (int)(sizeof(name) / sizeof(name[0])) && name[role])
		return name[role];
	snprintf(other, sizeof(other), "role %d", role);
	return other;
}

struct dtn_tensor dtn_tensor(const char *name, int role, int type, bool batched, int rank,
			     const uint64_t *dim)
{
	struct dtn_tensor t = { .type = type, .role = role, .batched = batched, .rank = rank };

	if (!dtn_tensor_name_ok(name, strlen(name)) || rank < 0 || rank > DTN_MAX_RANK)
		dtn_die(DTN_ENV, "\"%s\" is no tensor that a stream can hold", name);
	strcpy(t.name, name);
	if (rank > 0)
		memcpy(t.dim, dim, (size_t)rank * sizeof(*dim));
	if (!dtn_tensor_size(&t, &t.bytes))
		dtn_die(DTN_INPUT, "tensor %s: size overflow", name);
	return t;
}

int dtn_find_tensor(const struct dtn_record *r, int role, const char *name)
{
	for (int i = 0; i < r->tensors; i++)
		if (r->tensor[i].role == role && (!name || !strcmp(r->tensor[i].name, name)))
			return i;
	return -1;
}

bool dtn_tensor_size(const struct dtn_tensor *t, uint64_t *bytes)
{
	bool empty = false;

	*bytes = dtn_type_size(t->type);
	for (int i = 0; i < t->rank; i++) {
		if (t->dim[i] > DTN_DIM_MOST)
			return false;
		empty |= t->dim[i] == 0;
	}
	if (empty)
		*bytes = 0;
	for (int i = 0; i < t->rank && !empty; i++)
		if (!dtn_mul(bytes, *bytes, t->dim[i]))
			return false;
	return *bytes <= DTN_DIM_MOST;
}

bool dtn_tensor_name_ok(const char *name, size_t n)
{
	static const char rest[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/-";

	if (n < 1 || n > DTN_MAX_NAME || strchr(".:/-", name[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] == '\0' || !strchr(rest, name[i]))
			return false;
	return true;
}

/* --- the set of names --------------------------------------------------------------------- */

/* FNV-1a, 64 bits.  Only this is kept of a name: that two differing names meet by accident is less
 * likely than an unnoticed error of the disk. */
static uint64_t hash(int role, const char *name)
{
	uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)role;

	for (h *= 0x100000001b3u; *name; name++)
		h = (h ^ (unsigned char)*name) * 0x100000001b3u;
	h ^= h >> 32;
	return h ? h : 1;
}

static bool insert(struct dtn_names *s, uint64_t h)
{
	size_t i = (size_t)(h * 0x9e3779b97f4a7c15u >> 20) & (s->cap - 1);

	for (; s->slot[i]; i = (i + 1) & (s->cap - 1))
		if (s->slot[i] == h)
			return false;
	s->slot[i] = h;
	s->n++;
	return true;
}

bool dtn_names_add(struct dtn_names *s, int role, const char *name)
{
	if (2 * s->n >= s->cap) {
		struct dtn_names old = *s;
		s->cap = old.cap ? 2 * old.cap : 16;
		s->slot = dtn_alloc(s->cap, sizeof(*s->slot));
		s->n = 0;
		for (size_t i = 0; i < old.cap; i++)
			if (old.slot[i])
				insert(s, old.slot[i]);
		free(old.slot);
	}
	return insert(s, hash(role, name));
}

void dtn_names_clear(struct dtn_names *s)
{
	free(s->slot);
	memset(s, 0, sizeof(*s));
}

/* --- the body of RECD --------------------------------------------------------------------- */

static char *because(const char *what)
{
	return dtn_strdup(what);
}

/* One descriptor of at most `left` bytes; `used` is set to its size. */
static char *parse_tensor(struct dtn_tensor *t, const uint8_t *p, size_t left, uint32_t samples,
			  size_t *used)
{
	size_t rank, length, end;

	memset(t, 0, sizeof(*t));
	if (left < 8 || p[1] > DTN_MAX_RANK || dtn_get16(p + 4) == 0 ||
	    dtn_get16(p + 4) > DTN_MAX_NAME)
		return because("malformed descriptor");
	rank = p[1];
	length = dtn_get16(p + 4);
	end = 8 + 8 * rank + length;
	*used = (end + 7) / 8 * 8;
	if (*used > left)
		return because("malformed descriptor");
	if ((p[3] & ~1u) != 0 || dtn_get16(p + 6) != 0)
		return because("reserved field is not zero");
	for (size_t i = end; i < *used; i++)
		if (p[i] != 0)
			return because("reserved field is not zero");
	memcpy(t->name, p + 8 + 8 * rank, length);
	if (!dtn_tensor_name_ok(t->name, length))
		return dtn_format("invalid tensor name \"%s\"", t->name);
	t->type = p[0];
	t->rank = (int)rank;
	t->role = p[2];
	t->batched = p[3] & 1;
	for (size_t i = 0; i < rank; i++)
		t->dim[i] = dtn_get64(p + 8 + 8 * i);
	if (dtn_type_size(t->type) > 8)
		return dtn_format("tensor %s: dtype 0x%02x not supported", t->name,
				  (unsigned)t->type);
	if (!dtn_tensor_size(t, &t->bytes))
		return dtn_format("tensor %s: size overflow", t->name);
	if (t->batched && (rank == 0 || t->dim[0] != samples))
		return because("inconsistent batch size");
	return NULL;
}

char *dtn_record_parse(struct dtn_record *r, const uint8_t *body, size_t n, struct dtn_names *names)
{
	size_t at = DTN_RECD_BODY, used = 0;

	r->seq = dtn_get64(body);
	r->first = dtn_get64(body + 8);
	r->samples = dtn_get32(body + 16);
	r->tensors = (int)dtn_get16(body + 20);
	if (dtn_get16(body + 22) != 0)
		return because("reserved field is not zero");
	if (r->samples > DTN_SAMPLES_MOST)
		return because("inconsistent batch size");
	if (r->tensors < 1 || r->tensors > DTN_TENSORS_MOST || (n - at) / 16 < (size_t)r->tensors)
		return because("malformed descriptor");
	r->tensor = dtn_realloc(r->tensor, (size_t)r->tensors, sizeof(*r->tensor));
	for (int i = 0; i < r->tensors; i++, at += used) {
		struct dtn_tensor *t = &r->tensor[i];
		char *reason = parse_tensor(t, body + at, n - at, r->samples, &used);
		if (reason)
			return reason;
		if (!dtn_names_add(names, t->role, t->name))
			return dtn_format("duplicate tensor \"%s\"", t->name);
	}
	return at == n ? NULL : because("malformed descriptor");
}

static size_t print_tensor(const struct dtn_tensor *t, uint8_t *p)
{
	size_t length = strlen(t->name), end = 8 + 8 * (size_t)t->rank + length;

	if (!p)
		return (end + 7) / 8 * 8;
	memset(p, 0, (end + 7) / 8 * 8);
	p[0] = (uint8_t)t->type;
	p[1] = (uint8_t)t->rank;
	p[2] = (uint8_t)t->role;
	p[3] = t->batched;
	dtn_put16(p + 4, (uint32_t)length);
	for (int i = 0; i < t->rank; i++)
		dtn_put64(p + 8 + 8 * i, t->dim[i]);
	memcpy(p + 8 + 8 * t->rank, t->name, length);
	return (end + 7) / 8 * 8;
}

size_t dtn_record_print(const struct dtn_record *r, uint8_t *body)
{
	size_t n = DTN_RECD_BODY;

	if (body) {
		dtn_put64(body, r->seq);
		dtn_put64(body + 8, r->first);
		dtn_put32(body + 16, r->samples);
		dtn_put16(body + 20, (uint32_t)r->tensors);
		dtn_put16(body + 22, 0);
	}
	for (int i = 0; i < r->tensors; i++)
		n += print_tensor(&r->tensor[i], body ? body + n : NULL);
	return n;
}
