#!/usr/bin/env bats
# What every program does when its surroundings fail: hostile inputs, no memory, devices with errors; see
# programs.bash.

load common
load programs

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	prepare
	mkdir hostile
	"$ROOT/build/opt/tests/format/hostile" --write hostile
	make_nomemory
}

setup() {
	D=$BATS_FILE_TMPDIR
	G=$D/good.dtn
	cd "$BATS_TEST_TMPDIR"
}

# A library that lets the NOMEMORY-th allocation of the program itself fail, and all later ones with
# it; those of other libraries, the C library's included, are let be.
make_nomemory() {
	cat > nomemory.c <<-'END'
	#define _GNU_SOURCE
	#include <dlfcn.h>
	#include <errno.h>
	#include <link.h>
	#include <stdlib.h>
	static char *low, *high;
	static long left = -1;
	static int first(struct dl_phdr_info *info, size_t size, void *arg)
	{
		for (int i = 0; i < info->dlpi_phnum; i++) {
			const ElfW(Phdr) *p = &info->dlpi_phdr[i];
			if (p->p_type == PT_LOAD && p->p_flags & PF_X) {
				low = (char *)info->dlpi_addr + p->p_vaddr;
				high = low + p->p_memsz;
			}
		}
		return 1 + 0 * (size + !arg);
	}
	__attribute__((constructor)) static void begin(void)
	{
		dl_iterate_phdr(first, NULL);
		left = getenv("NOMEMORY") ? atol(getenv("NOMEMORY")) : -1;
	}
	static int fails(char *caller)
	{
		if (left < 0 || caller < low || caller >= high)
			return 0;
		left -= left > 0;
		errno = ENOMEM;
		return left == 0;
	}
	#define FAILS fails(__builtin_return_address(0))
	#define REAL(name) static __typeof__(name) *real; if (!real) real = dlsym(RTLD_NEXT, #name)
	void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
	void *malloc(size_t n) { return FAILS ? NULL : __libc_malloc(n); }
	void *calloc(size_t n, size_t m) { return FAILS ? NULL : __libc_calloc(n, m); }
	void *realloc(void *p, size_t n) { return FAILS ? NULL : __libc_realloc(p, n); }
	int posix_memalign(void **p, size_t to, size_t n)
	{
		REAL(posix_memalign);
		return FAILS ? ENOMEM : real(p, to, n);
	}
	void *aligned_alloc(size_t to, size_t n)
	{
		REAL(aligned_alloc);
		return FAILS ? NULL : real(to, n);
	}
	END
	cc -shared -fPIC -o nomemory.so nomemory.c -ldl
}

# result PROGRAM ARGUMENT...: the program, after the words in `with`, with its result in the file r, and
# what it says in e
result() {
	local program=$1
	shift
	rm -f r
	if [ $out = file ]; then
		$with "$program" $need -o r "$@" > o 2> e
	else
		$with "$program" $need "$@" > r 2> e
	fi
}
with=

# well_said PROGRAM: one line on standard error
well_said() {
	same "lines: $(cat e)" 1 "$(wc -l < e)"
	grep -qaE "^$1: [^ ].*[^.]$" e || fail "said: $(cat e)"
	! LC_ALL=C grep -qP '[^\x20-\x7e\n]' e || fail "unprintable: $(cat -v e)"
}

# Each program gets a third of the cases (in the long tests, and with a sanitizer, all), dtn-info (in
# format.bats) all of them.  Threads want address space for their stacks.
hostile() {
	local name message found step n=${#1} most=256
	step=$(either 3 1)
	! sanitized || step=1
	[ $out != file ] || most=1024
	while IFS=$'\t' read -r -u 3 name message; do
		n=$((n + 1)) found=0
		((n % step == 0)) || continue
		with="limited 2 $most" result "$1" "$D/hostile/$name.dtn" || found=$?
		if [ $found != 0 ]; then
			same "status with $name: $(cat e)" 3 $found
			well_said "$1"
			[ $out != file ] || [ ! -e r ] || fail "$name left a file"
		fi
		if [ -n "$message" ] && [ $out = stream ]; then
			found=0
			dtn-info -c r > o 2>&1 || found=$?
		fi
		[ $found != 0 ] || harmless || fail "$name was accepted"
	done 3< "$D/hostile/cases"
}

# What is good as a stream, an index that nobody looks into who reads a stream in order, and data that
# the program does not ask for.
harmless() {
	[[ -z $message || $message == "index does"* ]] ||
		[[ $out != stream && $message == *"(tensor label"* ]]
}
listeners() { readers && [ "$program" != dtn-info ]; }
@test "49: hostile inputs" { each listeners hostile; }

# The least address space, in KiB, in which a program begins at all.
least_space() {
	local low=0 high=1000000 size
	while ((high - low > 4)); do
		size=$(((low + high) / 2))
		if (ulimit -v $size; "$1" --version) > o 2> e; then high=$size; else low=$size; fi
	done
	echo $high
}

# Address space from hardly any to plenty: every run ends well, or says that memory is short.  What the
# dynamic linker and the libraries say before the program begins is not ours.
little_memory() {
	local size least part found=0 said=0
	part=$(either 4 40)
	least=$(least_space "$1")
	for ((size = least; size < 1000000; size += 100 + (size - least) / part)); do
		found=0
		(ulimit -v $size; result "$1" $operand) || found=$?
		case $found in
		0) break ;;
		127) ;;
		1)
			said=1
			well_said "$1"
			grep -qE 'memory|thread' e || fail "with $size KiB: $(cat e)"
			;;
		*) fail "status $found with $size KiB: $(cat e)" ;;
		esac
	done
	same "status with $size KiB" 0 $found
	# A table takes no more memory than a version.
	((said)) || [ "$1" = dtn-schedule ] || fail "memory was never short"
}
@test "50: little address space" {
	unsanitized "a sanitizer wants more of it"
	each all little_memory
}

no_memory() {
	local n part found=0 failed=0
	part=$(either 5 100)
	for ((n = 1; n < 1000000; n += 1 + n / part)); do
		found=0
		with="env NOMEMORY=$n LD_PRELOAD=$D/nomemory.so"
		result "$1" $operand || found=$?
		[ $found != 0 ] || break
		failed=$((failed + 1))
		same "status without allocation $n: $(cat e)" 1 $found
		well_said "$1"
		grep -q 'out of memory' e || fail "allocation $n: $(cat e)"
		[ $out != file ] || [ ! -e r ] || fail "left a file after $n"
	done
	same "status at the end" 0 $found
	((failed > 1)) || fail "only $failed allocations"
}
@test "50: any allocation may fail" {
	unsanitized "the allocations are the sanitizer's"
	each all no_memory
}

# injected PROGRAM FAULT PATTERN [STRACE OPTION]...: f stays old, and the reason is told
injected() {
	local program=$1 fault=$2 pattern=$3 found=0
	shift 3
	echo old > f
	strace -f -o trace -e "trace=${fault%%:*}" "$@" -e "inject=$fault" \
		"$program" -q $single $need -o f $operand > o 2> e || found=$?
	grep -q INJECTED trace || fail "$fault was never met"
	same "status after $fault: $(cat e)" 1 $found
	well_said "$program"
	grep -qE "$pattern" e || fail "after $fault: $(cat e)"
	same "the old file after $fault" old "$(cat f)"
	same "temporary files after $fault" "" "$(ls -A | grep '^\.f' || true)"
}

# calls PROGRAM NAME,NAME... [STRACE OPTION]...: the numbers of these calls, in `make check` the first
calls() {
	strace -f -o trace -e "trace=$2" "${@:3}" "$1" -q $single $need -o f $operand > o
	local n
	n=$(grep -cE "^[0-9]+ +(${2/,/|})\(" trace) || n=1     # which will not be met
	seq "$(either 1 "$n")"
}

device_errors() {
	local n single=''       # strace counts for each thread
	! has threads || single='-j 1'
	if [ $in != nothing ]; then
		for n in $(calls "$1" pread64,read -P "$operand"); do
			injected "$1" pread64,read:error=EIO:when=$n+ \
				': (.*: )?Input/output error$' -P "$operand"
		done
	fi
	for n in $(calls "$1" writev); do
		injected "$1" writev:error=ENOSPC:when=$n 'No space left on device$'
	done
	injected "$1" fsync:error=EIO 'Input/output error$'
	injected "$1" rename,renameat,renameat2:error=EXDEV 'Invalid cross-device link$'
}
@test "51: errors of devices are told, and the old file stays" { each outputs device_errors; }

interrupted_calls() {
	local fault
	make_with "$1" expected
	for fault in read,pread64:error=EINTR:when=1+3 writev:error=EINTR:when=1+2; do
		rm -f f
		if [[ $fault == read* ]] && [ $in != nothing ]; then
			strace -f -o trace -e trace=read,pread64 -P "$operand" -e "inject=$fault" \
				"$1" $need -o f $operand > o
		elif [[ $fault == write* ]]; then
			strace -f -o trace -e trace=writev -e "inject=$fault" "$1" $need -o f $operand > o
		else
			continue
		fi
		grep -q INJECTED trace || fail "$fault was never met"
		cmp f expected
	done
}
@test "51: calls that a signal interrupts are made again" { each outputs interrupted_calls; }

# with_three_files COMMAND...: with no file open but the three that every program begins with
with_three_files() (
	local file
	for file in /proc/self/fd/*; do
		file=${file##*/}
		[ "$file" -le 2 ] || eval "exec $file>&-"
	done
	exec "$@"
)

# Files still open when the program ends are ours to close, but for the three it began with.
valgrind_clean() {
	local found=0
	with_three_files valgrind -q --error-exitcode=99 --track-fds=yes --log-file=log \
		"$1" $need $(o) $operand > r 2> e || found=$?
	same "status: $(cat e log)" 0 $found
	if grep -E 'Open file descriptor ([3-9]|[1-9][0-9])' -A 4 log | grep -vE 'inherited' | grep -q 'at 0x'; then
		fail "left open: $(cat log)"
	fi
}
@test "52: valgrind finds nothing" {
	unsanitized "the sanitizer is in its place"
	each all valgrind_clean
}
