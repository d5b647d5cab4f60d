/* block.cc -- run a kernel: its blocks one after another, the threads of a block as fibres.
 *
 * A fibre runs until it waits: at the block's barrier, or at a meeting of its warp (shuffles,
 * votes, tensor-core instructions, __syncwarp).  When all that must come have come, they go on.
 * Every other block runs its threads from last to first, so that no order is relied upon unseen.
 * Where threads wait and nobody can come any more, the kernel is at fault.
 */
#include "tests/cuda/standin.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { COPIES = 256, WORDS = 8 };
enum waiting { READY, AT_BARRIER, AT_MEETING, DONE };

struct copy { void *to; const void *from; int bytes, group; bool valid; };

struct fibre {
	void *sp;
	char *stack;
	enum waiting waiting;
	uint3 index;
	bool running;
	int vote;
	struct copy copy[COPIES];
	int copies, groups;             /* asynchronous: pending; committed */
};

struct warp {
	uint32_t word[2][STANDIN_LANES][WORDS]; /* of this meeting and of the one before */
	char what;
	int arrived, meetings;
	uint16_t now;
};

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
struct standin_place standin_at;

static struct fibre fibre[STANDIN_THREADS];
static struct warp warp[STANDIN_THREADS / STANDIN_LANES];
static void *scheduler_sp;
static struct fibre *current;
static int threads, at_barrier, done;
static int votes[3];                    /* of the barrier: or, and, count */
static const std::function<void()> *body;
static void *dynamic;
static uint32_t clock_now = 1;          /* 0: never */

static struct { const void *key; void *p; } shared[64];
static int shareds;
static size_t shared_bytes;

void standin_fault(const char *format, ...)
{
	va_list list;

	fflush(stdout);
	fprintf(stderr, "cuda stand-in: ");
	if (standin_at.kernel)
		fprintf(stderr, "%s, block (%u,%u,%u), thread (%u,%u,%u): ", standin_at.kernel,
			blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	_exit(70);
}

/* --- switching -------------------------------------------------------------------------------- */

/* Saves the registers that a call must keep, and goes on where `to` was saved. */
extern "C" void standin_switch(void **from, void *to);
asm(R"(
	.text
	.globl standin_switch
	.type standin_switch, @function
standin_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
	.size standin_switch, .-standin_switch
)");

static void leave(enum waiting why)
{
	current->waiting = why;
	current->running = standin_at.running;
	standin_at.running = false;
	standin_switch(&current->sp, scheduler_sp);
}

static void enter(struct fibre *f)
{
	const int i = (int)(f - fibre);

	current = f;
	threadIdx = f->index;
	standin_at.thread = i;
	standin_at.warp_now = warp[i / STANDIN_LANES].now;
	standin_at.stack = f->stack;
	standin_at.running = f->running;
	standin_switch(&scheduler_sp, f->sp);
}

static void whole_life()
{
	(*body)();
	done++;
	leave(DONE);
}

static void prepare(int i)
{
	struct fibre *f = &fibre[i];
	void **sp;

	if (!f->stack) {
		f->stack = (char *)mmap(NULL, STANDIN_STACK, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (f->stack == MAP_FAILED)
			standin_fault("no memory for a stack");
	}
	sp = (void **)(f->stack + STANDIN_STACK);
	*--sp = NULL;                           /* so that the stack is aligned after `ret` */
	*--sp = (void *)whole_life;
	for (int k = 0; k < 6; k++)
		*--sp = NULL;
	f->sp = sp;
	f->waiting = READY;
	f->running = false;
	f->copies = f->groups = 0;
	f->index = { (unsigned)i % blockDim.x, (unsigned)i / blockDim.x % blockDim.y,
		     (unsigned)i / blockDim.x / blockDim.y };
}

void standin_begin()
{
	standin_at.running = true;
}

/* --- a block ---------------------------------------------------------------------------------- */

static void new_interval()
{
	standin_at.now = ++clock_now;
	for (int w = 0; w * STANDIN_LANES < threads; w++)
		warp[w].now = 0;
}

/* Those that have ended need not come to the barrier. */
static bool open_barrier()
{
	if (at_barrier == 0 || at_barrier + done < threads)
		return false;
	for (int i = 0; i < threads; i++)
		if (fibre[i].waiting == AT_BARRIER)
			fibre[i].waiting = READY;
	votes[0] = votes[1] = votes[2] = 0;
	for (int i = 0; i < threads; i++)
		if (fibre[i].waiting == READY) {
			votes[0] |= fibre[i].vote != 0;
			votes[1] |= fibre[i].vote == 0;
			votes[2] += fibre[i].vote != 0;
		}
	at_barrier = 0;
	new_interval();
	return true;
}

static void stuck()
{
	int met = -1, waits = -1;

	for (int i = 0; i < threads; i++) {
		if (fibre[i].waiting == AT_MEETING && met < 0)
			met = i;
		if (fibre[i].waiting == AT_BARRIER && waits < 0)
			waits = i;
	}
	threadIdx = fibre[met >= 0 ? met : waits].index;
	if (met >= 0)
		standin_fault("waits for its warp, of which only %d lanes come",
			      warp[met / STANDIN_LANES].arrived);
	standin_fault("waits at a barrier to which only %d of %d threads come", at_barrier,
		      threads);
}

static void run_block(bool backwards, size_t bytes)
{
	standin_at.block = standin_at.now = ++clock_now;
	at_barrier = done = shareds = 0;
	shared_bytes = 0;
	memset(warp, 0, sizeof(warp));
	dynamic = bytes > 0 ? standin_shared_new(bytes, "dynamic") : NULL;
	for (int i = 0; i < threads; i++)
		prepare(i);
	while (done < threads) {
		bool moved = false;

		for (int k = 0; k < threads; k++) {
			struct fibre *f = &fibre[backwards ? threads - 1 - k : k];
			if (f->waiting == READY) {
				enter(f);
				moved = true;
			}
		}
		moved |= open_barrier();
		if (!moved && done < threads)
			stuck();
	}
	standin_shared_clear();
}

void standin_run(const char *kernel, dim3 grid, dim3 block, size_t bytes,
		 const std::function<void()> &thread)
{
	size_t count = (size_t)block.x * block.y * block.z;

	standin_at.kernel = kernel;
	blockDim = block;
	gridDim = grid;
	if (count < 1 || count > STANDIN_THREADS || block.z > 64)
		standin_fault("%zu threads a block: wants 1 to %d", count, STANDIN_THREADS);
	if (grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535)
		standin_fault("a grid of %u x %u x %u blocks", grid.x, grid.y, grid.z);
	if (bytes > STANDIN_SHARED)
		standin_fault("%zu bytes of shared memory: %d can be had", bytes, STANDIN_SHARED);
	threads = (int)count;
	body = &thread;
	standin_at.launch = ++clock_now;
	standin_device_open();
	for (unsigned z = 0; z < grid.z; z++)
		for (unsigned y = 0; y < grid.y; y++)
			for (unsigned x = 0; x < grid.x; x++) {
				blockIdx = { x, y, z };
				run_block((x + y + z) % 2, bytes);
			}
	standin_device_close();
	standin_at.kernel = NULL;
	blockIdx = threadIdx = { 0, 0, 0 };
}

/* --- waiting ---------------------------------------------------------------------------------- */

void __syncthreads()
{
	at_barrier++;
	leave(AT_BARRIER);
}

int __syncthreads_or(int x)
{
	current->vote = x;
	__syncthreads();
	return votes[0];
}

int __syncthreads_and(int x)
{
	current->vote = x;
	__syncthreads();
	return !votes[1];
}

int __syncthreads_count(int x)
{
	current->vote = x;
	__syncthreads();
	return votes[2];
}

/* What other blocks wrote may be read after this, where a counter says that they have. */
void __threadfence()
{
	standin_at.launch = standin_at.block;
}

int standin_lane()
{
	return standin_at.thread % STANDIN_LANES;
}

/* The words of two meetings are kept: a lane can be at most one meeting ahead of another. */
const uint32_t (*standin_meet(char what, unsigned mask, const uint32_t *words, int n))[WORDS]
{
	const int first = standin_at.thread / STANDIN_LANES * STANDIN_LANES, lane = standin_lane();
	struct warp *w = &warp[first / STANDIN_LANES];
	uint32_t(*word)[WORDS] = w->word[w->meetings % 2];

	if (mask != 0xffffffffu)
		standin_fault("a mask of %08x: only whole warps can meet here", mask);
	if (first + STANDIN_LANES > threads)
		standin_fault("a warp of %d threads cannot meet", threads - first);
	if (w->arrived > 0 && w->what != what)
		standin_fault("lanes of a warp meet at different instructions, '%c' and '%c'",
			      w->what, what);
	w->what = what;
	if (n > 0)
		memcpy(word[lane], words, (size_t)n * sizeof(*words));
	if (++w->arrived < STANDIN_LANES) {
		leave(AT_MEETING);
		return word;
	}
	w->arrived = 0;
	w->meetings++;
	standin_at.warp_now = ++w->now;
	for (int i = first; i < first + STANDIN_LANES; i++)
		if (fibre[i].waiting == AT_MEETING)
			fibre[i].waiting = READY;
	return word;
}

void __syncwarp(unsigned mask)
{
	standin_meet('w', mask, NULL, 0);
}

unsigned __ballot_sync(unsigned mask, int x)
{
	uint32_t word = x != 0;
	const uint32_t(*all)[WORDS] = standin_meet('s', mask, &word, 1);
	unsigned bits = 0;

	for (int i = 0; i < STANDIN_LANES; i++)
		bits |= all[i][0] << i;
	return bits;
}

/* --- shared memory ---------------------------------------------------------------------------- */

void *standin_shared(const void *key, size_t bytes, const char *name)
{
	for (int i = 0; i < shareds; i++)
		if (shared[i].key == key)
			return shared[i].p;
	shared_bytes += bytes;
	if (shared_bytes > STANDIN_STATIC || shareds == 64)
		standin_fault("%zu bytes of shared arrays: %d can be had", shared_bytes,
			      STANDIN_STATIC);
	shared[shareds].key = key;
	shared[shareds].p = standin_shared_new(bytes, name);
	return shared[shareds++].p;
}

void *standin_dynamic()
{
	if (!dynamic)
		standin_fault("uses dynamic shared memory, launched with none");
	return dynamic;
}

/* --- asynchronous copies: they happen when waited for ----------------------------------------- */

void standin_copy(void *to, const void *from, int bytes, bool valid)
{
	if (!standin_is_shared(to, (size_t)bytes) || (uintptr_t)to % (unsigned)bytes)
		standin_fault("copies to %p: wants %d aligned bytes of shared memory", to, bytes);
	if (valid && (!standin_is_device(from, (size_t)bytes) || (uintptr_t)from % (unsigned)bytes))
		standin_fault("copies from %p: wants %d aligned bytes of device memory", from,
			      bytes);
	if (current->copies == COPIES)
		standin_fault("more than %d copies are pending", COPIES);
	standin_watch(to, (size_t)bytes, STANDIN_WRITE);
	standin_unset(to, (size_t)bytes);
	current->copy[current->copies++] = { to, from, bytes, current->groups, valid };
}

void cp_async_commit()
{
	current->groups++;
}

void standin_wait(int left)
{
	struct fibre *f = current;
	int kept = 0;

	for (int i = 0; i < f->copies; i++) {
		struct copy *c = &f->copy[i];

		if (c->group >= f->groups - left) {
			f->copy[kept++] = *c;
			continue;
		}
		if (c->valid)
			standin_watch(c->from, (size_t)c->bytes, STANDIN_READ);
		standin_watch(c->to, (size_t)c->bytes, STANDIN_WRITE);
		if (c->valid)
			memcpy(c->to, c->from, (size_t)c->bytes);
		else
			memset(c->to, 0, (size_t)c->bytes);
	}
	f->copies = kept;
}

/* --- matrices --------------------------------------------------------------------------------- */

static void load_matrices(unsigned r[4], const void *p, bool transposed)
{
	uint32_t words[2];
	const uint32_t(*all)[WORDS];
	const int lane = standin_lane();

	if (!standin_is_shared(p, 16) || (uintptr_t)p % 16)
		standin_fault("loads a row from %p: wants 16 aligned bytes of shared memory", p);
	memcpy(words, &p, sizeof(p));
	all = standin_meet('l', 0xffffffffu, words, 2);
	for (int m = 0; m < 4; m++) {
		uint16_t half[2];

		for (int j = 0; j < 2; j++) {
			int row = lane / 4, column = 2 * (lane % 4) + j;
			const uint16_t *at;

			memcpy(&at, all[8 * m + (transposed ? column : row)], sizeof(at));
			at += transposed ? row : column;
			standin_watch(at, 2, STANDIN_READ);
			half[j] = *at;
		}
		r[m] = half[0] | (unsigned)half[1] << 16;
	}
}

void ldmatrix_4(unsigned r[4], const void *p) { load_matrices(r, p, false); }
void ldmatrix_4t(unsigned r[4], const void *p) { load_matrices(r, p, true); }

/* Both halves of 8 words are a row of 16 numbers. */
static void unpack(double x[16], const uint32_t (*all)[WORDS], int first_lane, int low, int high)
{
	for (int i = 0; i < 8; i++) {
		uint32_t word = all[first_lane + i % 4][i < 4 ? low : high];

		x[2 * i] = (double)__uint_as_float(word << 16);
		x[2 * i + 1] = (double)__uint_as_float(word & 0xffff0000u);
	}
}

/* As ptx.h draws it: words 0 to 3 are a, 4 and 5 are b. */
void mma_bf16(float d[4], const unsigned a[4], const unsigned b[2])
{
	const uint32_t words[6] = { a[0], a[1], a[2], a[3], b[0], b[1] };
	const uint32_t(*all)[WORDS] = standin_meet('m', 0xffffffffu, words, 6);
	const int row = standin_lane() / 4, column = standin_lane() % 4 * 2;
	double A[2][16], B[2][16];

	for (int i = 0; i < 2; i++) {
		unpack(A[i], all, row * 4, i, i + 2);
		unpack(B[i], all, (column + i) * 4, 4, 5);
	}
	for (int i = 0; i < 4; i++) {
		double sum = (double)d[i];

		for (int k = 0; k < 16; k++)
			sum += A[i / 2][k] * B[i % 2][k];
		d[i] = (float)sum;
	}
}

unsigned bf16_pair(float low, float high)
{
	unsigned half[2];
	float x[2] = { low, high };

	for (int i = 0; i < 2; i++) {
		unsigned u = __float_as_uint(x[i]);
		half[i] = x[i] == x[i] ? (u + 0x7fff + (u >> 16 & 1)) >> 16 : 0x7fff;
	}
	return half[0] | half[1] << 16;
}
