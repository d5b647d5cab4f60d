/* watch.cc -- every access of a kernel to memory: is it allowed, is it ordered, is it set?
 *
 * The kernels are compiled with -fsanitize=thread, which puts a call before each access to memory;
 * those calls end here instead of in the compiler's library.  Of every two bytes of device and
 * shared memory is kept who wrote and read them last, and when.  "When" is the interval between two
 * barriers, counted over all blocks and launches, and within it the meetings of the thread's warp.
 *
 *      earlier launch | other blocks of this one | this block, before the barrier | now
 *      ---------------+--------------------------+--------------------------------+-----
 *      ordered        | not ordered              | ordered                        | not, but
 *                     |                          |                                | in a warp
 *
 * Two accesses that are not ordered, at least one of them a write, are a fault whatever the order
 * in which they happened to run; so is reading shared memory that was not written in this block.
 */
#include "tests/cuda/standin.h"

#include <map>
#include <stdio.h>
#include <sys/mman.h>

struct moment { uint32_t when; uint16_t warp_when; int16_t thread; };   /* thread: see read() */
struct cell { struct moment wrote, read; };

/* Addresses are only reserved; pages are taken when touched. */
static const size_t DEVICE = (size_t)8 << 30, SHARED_REGION = 1 << 20, GRAIN = 2;
enum { GAP = 256, ARRAYS = 65 };

struct region {
	char *begin;
	size_t bytes;
	struct cell *cell;
};

static void reserve(struct region *r, size_t bytes)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

	r->bytes = bytes;
	r->begin = (char *)mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
	r->cell = (struct cell *)mmap(NULL, bytes / GRAIN * sizeof(struct cell),
				      PROT_READ | PROT_WRITE, flags, -1, 0);
	if (r->begin == MAP_FAILED || r->cell == MAP_FAILED)
		standin_fault("no addresses for %zu bytes", bytes);
}

static struct region device, shared;

__attribute__((constructor)) static void reserve_all()
{
	reserve(&device, DEVICE);
	reserve(&shared, SHARED_REGION);
	standin_device_close();
}

static inline bool within(const struct region *r, const void *p)
{
	return (size_t)((const char *)p - r->begin) < r->bytes;
}

/* --- device memory ---------------------------------------------------------------------------- */

struct piece { char *begin; size_t bytes; };

static std::map<char *, size_t> pieces;
static struct piece last;               /* where the access before this one was */
static size_t used;

/* First fit behind a gap, so that what lies beyond an end is nobody's. */
void *standin_device_new(size_t bytes)
{
	char *at = device.begin + GAP;

	for (const auto &p : pieces) {
		if ((size_t)(p.first - at) >= bytes + GAP && p.first > at)
			break;
		at = p.first + (p.second + GAP + GAP - 1) / GAP * GAP;
	}
	if (bytes > device.bytes || (size_t)(at - device.begin) + bytes + GAP > device.bytes)
		return NULL;
	pieces[at] = bytes;
	used += bytes;
	standin_device_open();
	memset(at, 0xff, bytes < 1 << 20 ? bytes : 1 << 20);    /* NaN */
	standin_device_close();
	return at;
}

bool standin_device_delete(void *p)
{
	auto found = pieces.find((char *)p);

	if (found == pieces.end())
		return false;
	used -= found->second;
	pieces.erase(found);
	last = {};
	return true;
}

bool standin_is_device(const void *p, size_t bytes)
{
	char *at = (char *)p;

	if ((size_t)(at - last.begin) >= last.bytes) {
		auto next = pieces.upper_bound(at);
		if (!within(&device, p) || next == pieces.begin())
			return false;
		--next;
		last = { next->first, next->second };
	}
	return (size_t)(at - last.begin) + bytes <= last.bytes;
}

bool standin_in_device(const void *p)
{
	return within(&device, p);
}

void standin_device_open()
{
	mprotect(device.begin, device.bytes, PROT_READ | PROT_WRITE);
}

void standin_device_close()
{
	mprotect(device.begin, device.bytes, PROT_NONE);
}

size_t standin_device_used()
{
	return used;
}

/* --- shared memory ---------------------------------------------------------------------------- */

static struct { char *begin; size_t bytes; const char *name; } array[ARRAYS];
static int arrays;

void *standin_shared_new(size_t bytes, const char *name)
{
	char *at = shared.begin + GAP;

	if (arrays > 0)
		at = array[arrays - 1].begin + (array[arrays - 1].bytes + 2 * GAP - 1) / GAP * GAP;
	array[arrays++] = { at, bytes, name };
	memset(at, 0xff, bytes);
	return at;
}

void standin_shared_clear()
{
	arrays = 0;
}

static int find_array(const void *p, size_t bytes)
{
	for (int i = 0; i < arrays; i++)
		if ((size_t)((const char *)p - array[i].begin) < array[i].bytes &&
		    (size_t)((const char *)p - array[i].begin) + bytes <= array[i].bytes)
			return i;
	return -1;
}

bool standin_is_shared(const void *p, size_t bytes)
{
	return find_array(p, bytes) >= 0;
}

static struct cell *cell_of(struct region *r, const void *p)
{
	return r->cell + (size_t)((const char *)p - r->begin) / GRAIN;
}

void standin_unset(const void *p, size_t bytes)
{
	struct cell *c = cell_of(&shared, p);

	for (size_t i = 0; i < bytes / GRAIN; i++)
		c[i].wrote.when = 0;
}

/* --- order ------------------------------------------------------------------------------------ */

/* Of thread in a moment: several threads of one warp read, or threads of several warps, or atomic
 * operations of any. */
enum { OF_WARP = 0x4000, OF_SEVERAL = 0x2000, BY_ATOMICS = 0x1000 };

/* Is what happened then ordered before what this thread does now? */
static inline bool ordered(const struct moment *m, bool global)
{
	const struct standin_place *at = &standin_at;

	if (m->when < at->block)
		return !global || m->when < at->launch;
	if (m->when < at->now || m->thread == at->thread)
		return true;
	if (m->thread & (OF_SEVERAL | BY_ATOMICS))
		return false;
	return (m->thread & ~OF_WARP) / STANDIN_LANES == at->thread / STANDIN_LANES &&
	       m->warp_when < at->warp_now;
}

static inline void remember_read(struct moment *m)
{
	const struct standin_place *at = &standin_at;
	int thread = at->thread;

	if (m->when == at->now && m->thread != thread) {
		int was = m->thread & ~OF_WARP;
		thread = was & (OF_SEVERAL | BY_ATOMICS) ||
			 was / STANDIN_LANES != thread / STANDIN_LANES ?
			 OF_SEVERAL : thread | OF_WARP;
	}
	*m = { at->now, at->warp_now, (int16_t)thread };
}

static const char *place_name(const void *p, char text[100])
{
	int i = find_array(p, 1);

	if (i >= 0)
		snprintf(text, 100, "shared %s, byte %zu", array[i].name,
			 (size_t)((const char *)p - array[i].begin));
	else
		snprintf(text, 100, "device memory, byte %zu of %zu",
			 (size_t)((const char *)p - last.begin), last.bytes);
	return text;
}

[[noreturn]] static void unordered(const void *p, const struct moment *m, bool wrote, bool write)
{
	char text[100], who[50];

	if (m->when < standin_at.block)
		snprintf(who, sizeof(who), "another block");
	else if (m->thread & (OF_SEVERAL | BY_ATOMICS))
		snprintf(who, sizeof(who), "other threads");
	else
		snprintf(who, sizeof(who), "thread %d", m->thread & ~OF_WARP);
	standin_fault("%s %s, which %s %s with no barrier between", write ? "writes" : "reads",
		      place_name(p, text), who, wrote ? "wrote" : "read");
}

static void watch_cells(struct region *r, const char *p, size_t bytes, enum standin_access how)
{
	const bool global = r == &device;
	const char *end = p + bytes;
	struct cell *c = cell_of(r, p);
	const struct moment now = { standin_at.now, standin_at.warp_now,
				    (int16_t)standin_at.thread };
	char text[100];

	for (p = r->begin + (size_t)(p - r->begin) / GRAIN * GRAIN; p < end; p += GRAIN, c++) {
		bool both_atomic = how == STANDIN_ATOMIC && c->wrote.thread == BY_ATOMICS;

		if (how == STANDIN_READ && !global && c->wrote.when < standin_at.block)
			standin_fault("reads %s, which is unset or still being copied",
				      place_name(p, text));
		if (!both_atomic && !ordered(&c->wrote, global))
			unordered(p, &c->wrote, true, how != STANDIN_READ);
		if (how == STANDIN_READ) {
			remember_read(&c->read);
			continue;
		}
		if (!ordered(&c->read, global))
			unordered(p, &c->read, false, true);
		c->wrote = now;
		if (how == STANDIN_ATOMIC)
			c->wrote.thread = BY_ATOMICS;
	}
}

/* Single bytes have no cell of their own: only where they lie is looked at. */
void standin_watch(const void *p, size_t bytes, enum standin_access how)
{
	const char *const what = how == STANDIN_READ ? "reads" : "writes";

	if (within(&device, p)) {
		if (!standin_is_device(p, bytes))
			standin_fault("%s %zu bytes at %p, outside of device memory", what, bytes,
				      p);
		if (bytes > 1)
			watch_cells(&device, (const char *)p, bytes, how);
	} else if (within(&shared, p)) {
		if (!standin_is_shared(p, bytes))
			standin_fault("%s %zu bytes at %p, outside of its shared arrays", what,
				      bytes, p);
		if (bytes > 1)
			watch_cells(&shared, (const char *)p, bytes, how);
	}
}

/* --- what the compiler calls ------------------------------------------------------------------ */

extern "C" char __ehdr_start[] __attribute__((visibility("hidden")));
extern "C" char _end[] __attribute__((visibility("hidden")));

/* Besides device and shared memory there is the thread's own stack, and what is constant in the
 * program: everything else belongs to the host. */
static inline void seen(const void *p, size_t bytes, enum standin_access how)
{
	const char *at = (const char *)p;

	if ((size_t)(at - standin_at.stack) < STANDIN_STACK || !standin_at.running)
		return;
	if (bytes > 1 && bytes <= 16 && (uintptr_t)p % bytes)
		standin_fault("%zu bytes at %p: not aligned", bytes, p);
	if (within(&device, p) || within(&shared, p))
		standin_watch(p, bytes, how);
	else if (at < __ehdr_start || at >= _end)
		standin_fault("%s %zu bytes at %p, the host's memory",
			      how == STANDIN_READ ? "reads" : "writes", bytes, p);
}

void standin_atomic(const void *p, size_t bytes)
{
	seen(p, bytes, STANDIN_ATOMIC);
}

#define ACCESS(n) \
	void __tsan_read##n(void *p) { seen(p, n, STANDIN_READ); } \
	void __tsan_write##n(void *p) { seen(p, n, STANDIN_WRITE); } \
	void __tsan_volatile_read##n(void *p) { seen(p, n, STANDIN_READ); } \
	void __tsan_volatile_write##n(void *p) { seen(p, n, STANDIN_WRITE); } \
	void __tsan_unaligned_read##n(void *p) { seen(p, n, STANDIN_READ); } \
	void __tsan_unaligned_write##n(void *p) { seen(p, n, STANDIN_WRITE); }

extern "C" {
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
void __tsan_read_range(void *p, size_t n) { seen(p, n, STANDIN_READ); }
void __tsan_write_range(void *p, size_t n) { seen(p, n, STANDIN_WRITE); }
void __tsan_vptr_update(void **, void *) { }
void __tsan_vptr_read(void **) { }
void __tsan_func_entry(void *) { }
void __tsan_func_exit(void) { }
void __tsan_init(void) { }
}
