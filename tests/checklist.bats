#!/usr/bin/env bats
# What every program of the suite must do, looped over the programs that were built.
#
# `about` knows how to run each of them; a program that it does not know fails the first test.  Points
# that do not apply to a program pass over it: `readers` are those that read a stream, `writers` those that
# write binary data to standard output, and so on.

load common

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	stream -n 6 -s 8x8x1 -l -c dtn-load > good.dtn
	stream -n 600 -s 32x32x3 -b 64 -i > big.dtn
	stream -n 1 -s 4x4x1 > small.dtn
	make_idx > images-idx3-ubyte
	if [ -x "$BIN/dtn-train" ]; then
		dtn-train -q $TINY --steps 1 -o model.dtn good.dtn
	fi
	cat > nonblock.c <<-'END'
	#include <fcntl.h>
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		for (int fd = 0; fd < 2; fd++)
			fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		execvp(argv[1], argv + 1);
		return argc;
	}
	END
	cc -o nonblock nonblock.c
}

setup() {
	D=$BATS_FILE_TMPDIR
	G=$D/good.dtn
	cd "$BATS_TEST_TMPDIR"
}

TINY="--channels 8 --mult 1 --groups 4 --blocks 1 -b 4"

# Twenty grey images of 8x8 in MNIST's format.
make_idx() {
	printf '\0\0\10\3\0\0\0\24\0\0\0\10\0\0\0\10'
	seq 1000 9999 | head -c 1280
}

# about PROGRAM: what it reads (samples, model, any, path, nothing), what it writes (stream, png, text;
# file: only with -o), the options it needs, a good operand, and one that makes more than a pipe holds.
about() {
	in=samples out=stream need='' operand=$G big=$D/big.dtn bigneed=''
	case $1 in
	dtn-load) in=path operand=$D/images-idx3-ubyte big=$D bigneed="-s 200 --rgb" ;;
	dtn-noise) need="-t 5" bigneed="-t 5" ;;
	dtn-train) out=file need="$TINY --steps 1" ;;
	dtn-sample) in=model operand=$D/model.dtn big=$D/model.dtn need="-n 2 --steps 2" \
		bigneed="-n 600 --steps 1 --dtype f32" ;;
	dtn-png) out=png ;;
	dtn-info) in=any out=text ;;
	dtn-cat) ;;
	dtn-schedule) in=nothing out=text operand='' big='' bigneed="-T 100000" ;;
	dtn-eval) out=text need="$G" ;;
	*) return 1 ;;
	esac
	[ "$1" != dtn-load ] || big=$operand
}

# Run PROGRAM with what it needs; more arguments follow.
# shellcheck disable=SC2086
go() {
	local program=$1
	shift
	"$program" $need "$@"
}

# make_with PROGRAM FILE ARGUMENT...: its result, in FILE, from its good operand.
make_with() {
	local program=$1 file=$2
	shift 2
	if [ $out = file ]; then
		go "$program" -o "$file" "$@" $operand
	else
		go "$program" "$@" $operand > "$file"
	fi
}

# each CHOICE COMMAND: run COMMAND PROGRAM for every program of a kind; tell who failed.
each() {
	local choice=$1 program bad='' seen=0
	shift
	for program in $(programs); do
		about "$program" || continue
		$choice || continue
		seen=$((seen + 1))
		rm -rf -- * .[!.]*
		# Within "if" or "||" bash would ignore what fails inside.
		set +e
		(set -e; "$@" "$program")
		[ $? = 0 ] || bad="$bad $program"
		set -e
	done
	((seen > 0)) || skip "no program of this kind was built"
	[ -z "$bad" ] || fail "failed:$bad"
}

all() { true; }
readers() { [ $in = samples ] || [ $in = model ] || [ $in = any ]; }
writers() { [ $out = stream ] || [ $out = png ]; }
printers() { [ $out != file ]; }
streams() { [ $out = stream ]; }
filters() { readers && [ $out = stream ] && [ $in != model ]; }
has() { [[ $("$program" --dump-options) == *$'\t'"--$1"$'\t'* ]]; }
seeded() { has seed; }
threaded() { has threads; }
outputs() { has output; }

# status EXPECTED COMMAND...: its exit status, whatever it prints.
status() {
	local found=0 expected=$1
	shift
	"$@" || found=$?
	same "status of '$*'" "$expected" "$found"
}

# --- invocation and help ----------------------------------------------------------------------------

@test "this file knows every program" {
	local p
	for p in $(programs); do
		about "$p" || fail "$p is not in the table of checklist.bats"
	done
}

help_is_good() {
	"$1" --help > help 2> err
	[ ! -s err ]
	head -n 1 help | grep -qE "^Usage: $1 "
	awk 'length > 80 { print "too long: " $0; bad = 1 } END { exit bad }' help
	"$1" -h | cmp - help
}
@test "1: --help" { each all help_is_good; }

version_is_good() {
	local number
	number=$(sed -n 's/^#define DTN_VERSION "\(.*\)"/\1/p' "$ROOT/lib/base.h")
	same version "$1 (dtn) $number" "$("$1" --version)"
	same short "$1 (dtn) $number" "$("$1" -V)"
	same quiet "$number" "$("$1" -q --version)"
}
@test "2: --version" { each all version_is_good; }

full_is_noticed() {
	fails 1 'No space left on device' sh -c "$1 --help > /dev/full"
	fails 1 'No space left on device' sh -c "$1 --version > /dev/full"
}
@test "3: --help and --version on a full device" { each all full_is_noticed; }

unknown_option() {
	fails 2 "^$1: unknown option '--no-such-option'$" "$1" --no-such-option
	fails 2 "^$1: unknown option '-%'$" "$1" -%
	same lines 2 "$("$1" --no-such-option 2>&1 | wc -l)"
}
@test "4: unknown options" { each all unknown_option; }

bad_numbers() {
	local text
	for text in '--max-mem 12Q' '--max-mem -1' '--max-mem 99999999999999999999' '--seed x' '-j 0x' \
		'-j -1' '--threads=1025' '--seed=18446744073709551616' '-z 20' '-z -6' '-z 1x'; do
		# shellcheck disable=SC2086
		fails 2 "^$1: (${text/=/ }: wants |unknown option '${text%%[ =]*}')" "$1" $text
	done
}
@test "5: numbers that are none, or too large" { each all bad_numbers; }

# The program's options that want an argument.
with_argument() { "$1" --dump-options | tail -n +2 | awk -F '\t' '$3 != "" { print $2 }'; }

missing_argument() {
	local o
	for o in $(with_argument "$1"); do
		fails 2 "^$1: option '$o' wants an argument$" "$1" "$o"
	done
	for o in $("$1" --dump-options | tail -n +2 | awk -F '\t' '$3 == "" { print $2 }'); do
		fails 2 "^$1: option '$o' takes no argument$" "$1" "$o=1"
	done
}
@test "6: missing arguments" { each all missing_argument; }

options_anywhere() {
	make_with "$1" a
	if [ $out = file ]; then
		go "$1" $operand -o b
	else
		go "$1" $operand -q > b
	fi
	cmp a b
	# what follows -- is no option
	if [ $in != nothing ]; then
		cp -R "$operand" ./-q
		if [ $out = file ]; then go "$1" -o c -- -q; else go "$1" -- -q > c; fi
		if [ $out != text ] && [ $in != path ]; then cmp a c; fi
	fi
}
@test "6: options after operands, operands after --" { each all options_anywhere; }

abbreviated() {
	same help "$("$1" --help)" "$("$1" --hel)"
	fails 2 'is ambiguous' "$1" --ver
	same version "$("$1" --version)" "$("$1" --vers)"
}
@test "6: long names may be cut short" { each all abbreviated; }

input_twice() {
	if [ $out = file ]; then
		fails 2 "^$1: standard input given twice$" go "$1" -o f - - < "$operand"
	else
		fails 2 "^$1: standard input given twice$" go "$1" - - < "$operand"
	fi
}
multiple() { readers && [[ $("$program" --dump-options | head -n 1) == *STREAM*...* ]]; }
@test "7: standard input given twice" { each multiple input_twice; }

documented() {
	local page=$ROOT/man/$1.1 option known o
	[ -e "$page" ] || fail "no manual page"
	mandoc -T ascii "$page" | sed 's/.\x08//g' > page
	while IFS='|' read -r -u 3 letter name; do
		grep -qE -- "(^|[^a-z-])$name([^a-z-]|$)" page || fail "$name is not in the page"
		[ -z "$letter" ] || grep -qE -- "^ +$letter.*, $name" page ||
			fail "'$letter, $name' is not in the page"
		grep -qF -- "$name" "$BIN/../completions/$1" || fail "$name is not completed"
	done 3< <("$1" --dump-options | tail -n +2 | awk -F '\t' '{ print $1 "|" $2 }')
	known=$(for o in $(programs); do "$o" --dump-options | cut -f 2; done)
	for option in $(grep -oE -- '(^|[ [(|])--[a-z][a-z0-9-]*' page | grep -oE -- '--[a-z0-9-]+'); do
		grep -qxF -- "$option" <<< "$known" || fail "the page names $option, which no program has"
	done
}
@test "8: --help, manual page and completion agree" { each all documented; }

called_differently() {
	ln -s "$BIN/$1" "$1"
	fails 2 "^$1: unknown option" "./$1" --no-such-option
	fails 2 "^$1: unknown option" "$BIN/../bin/$1" --no-such-option
	ln -s "$BIN/$1" other
	fails 2 "^other: unknown option" ./other --no-such-option || true
}
@test "9: messages begin with the program's base name" { each all called_differently; }

# --- standard input and output ----------------------------------------------------------------------

same_from_anywhere() {
	make_with "$1" a
	if [ $out = text ]; then
		go "$1" < $operand > b
		cat $operand | go "$1" > c
		go "$1" - < $operand > d
		cmp b c
		cmp b d
		return
	fi
	if [ $out = file ]; then
		go "$1" -o b < $operand
		cat $operand | go "$1" -o c
		go "$1" -o d - < $operand
	else
		go "$1" < $operand > b
		cat $operand | go "$1" > c
		go "$1" - < $operand > d
	fi
	cmp a b
	cmp a c
	cmp a d
}
@test "10: a file, standard input, a pipe and - give the same bytes" { each readers same_from_anywhere; }

terminal_refused() {
	local found=0
	on_terminal "$1 $need $operand" > seen || found=$?
	same status 2 $found
	grep -q terminal seen
	[ "$(wc -c < seen)" -lt 200 ]
	on_terminal "$1 $need --force $operand" > seen
	[ "$(wc -c < seen)" -gt 100 ]
	found=0
	on_terminal "$1 $need -o /dev/tty $operand" > seen || found=$?
	same status 2 $found
}
@test "11: no binary data to a terminal" { each writers terminal_refused; }

terminal_unread() {
	local found=0 where='> /dev/null'
	[ $out != file ] || where='-o f'
	on_terminal "timeout 10 $1 $need $where" > seen || found=$?
	same status 2 $found
	grep -q terminal seen
}
@test "12: no binary data from a terminal" { each readers terminal_unread; }

full_device() {
	fails 1 'No space left on device' sh -c "$1 $need $operand > /dev/full"
	# shellcheck disable=SC2086
	fails 1 'No space left on device' sh -c "$1 ${bigneed:-$need} $big > /dev/full"
}
@test "13: a full device is noticed" { each printers full_device; }

closed_output() {
	if [ $out = file ]; then
		go "$1" -o f $operand >&-
		[ -s f ]
	else
		fails 1 'Bad file descriptor' sh -c "$1 $need $operand >&-"
	fi
	[ "$1" != dtn-info ] || dtn-info -c $operand >&-
}
@test "14: closed standard output" { each all closed_output; }

closed_others() {
	local found=0
	make_with "$1" a 2>&-
	make_with "$1" b
	cmp a b
	"$1" --no-such-option 2>&- || found=$?
	same "status without stderr" 2 $found
}
@test "15: closed standard error" { each all closed_others; }

closed_input() {
	local found=0
	if [ $out = file ]; then
		go "$1" -o f <&- > o 2> e || found=$?
	else
		go "$1" <&- > o 2> e || found=$?
	fi
	[ $found = 1 ] || [ $found = 3 ] || fail "status $found: $(cat e)"
	same lines 1 "$(wc -l < e)"
}
@test "15: closed standard input" { each readers closed_input; }

broken_pipe() {
	{ sleep 0.2; status 141 "$1" $need $operand; } 2> err | true
	[ ! -s err ]
	{ sleep 0.2; status 141 env --ignore-signal=PIPE "$1" $need $operand; } 2> err | true
	[ ! -s err ]
	{ status 141 "$1" ${bigneed:-$need} $big; } 2> err | head -c 1 > /dev/null
	[ ! -s err ]
}
large_printers() { printers && [ "$program" != dtn-info ] && [ "$program" != dtn-load ]; }
@test "16: a reader that goes away" { set -o pipefail; each large_printers broken_pipe; }

clean_output() {
	go "$1" -v $operand 2> /dev/null | dtn-info -c -
	same statuses "0 0" "${PIPESTATUS[*]}"
}
@test "17: nothing but data on standard output" {
	[ -x "$BIN/dtn-info" ] || skip "no dtn-info"
	each streams clean_output
}

slow_input() {
	local small=$operand
	[ $in = model ] || small=$G
	if [ $out = file ]; then
		go "$1" -o a < "$small"
		dd if="$small" bs=1 status=none | go "$1" -o b
	else
		go "$1" < "$small" > a
		dd if="$small" bs=1 status=none | go "$1" > b
		go "$1" < "$small" | dd bs=1 status=none > c
		cmp a c
	fi
	cmp a b
}
@test "18: short reads and slow readers" { each readers slow_input; }

nonblocking() {
	if [ $out = file ]; then
		(sleep 0.3; head -c 100 $operand; sleep 0.3; tail -c +101 $operand) |
			"$D/nonblock" "$1" $need -o a
		go "$1" -o b $operand
	else
		(sleep 0.3; head -c 100 $operand; sleep 0.3; tail -c +101 $operand) |
			"$D/nonblock" "$1" $need | cat > a
		go "$1" < $operand > b
	fi
	cmp a b
}
@test "19: input that does not block" { each readers nonblocking; }

nonblocking_output() {
	"$D/nonblock" "$1" ${bigneed:-$need} $big < /dev/null | (sleep 0.5; cat) > a
	"$1" ${bigneed:-$need} $big > b
	cmp a b
}
@test "19: output that does not block" { each printers nonblocking_output; }

peak() { command time -f %M -o peak "$@" > /dev/null; cat peak; }

constant_memory() {
	local one ten extra=
	[ "$1" != dtn-info ] || extra=-c
	[ "$1" != dtn-png ] || extra="--each d"
	# shellcheck disable=SC2086
	one=$(peak "$1" $need $extra "$D/big.dtn")
	# shellcheck disable=SC2086
	ten=$(for i in 1 2 3 4 5 6 7 8 9 10; do cat "$D/big.dtn"; done | peak "$1" $need $extra)
	((ten * 10 <= one * 11 + 20000)) || fail "$one kB, ten times the input $ten kB"
}
constant() { readers && [ $in != model ] && [ $out != file ]; }
@test "20: memory does not grow with the stream" { each constant constant_memory; }

prompt() {
	local size
	size=$(wc -c < "$D/big.dtn")
	(head -c $((size / 2)) "$D/big.dtn"; sleep 4; tail -c +$((size / 2 + 1)) "$D/big.dtn") |
		go "$1" > o &
	for i in $(seq 30); do
		sleep 0.1
		[ ! -s o ] || break
	done
	[ -s o ] || fail "nothing came within 3 s"
	wait $!
}
@test "21: records are passed on as they come" { each filters prompt; }

# --- streams ----------------------------------------------------------------------------------------

count() { dtn-info --json "$1" | jq .samples; }
segments() { dtn-info --json "$1" | jq .segments; }

concatenated() {
	if [ $in = model ]; then
		fails 3 '' go "$1" "$operand" "$operand" 2>&1 || fails 2 '' go "$1" "$operand" "$operand"
	elif [ $out = stream ]; then
		cat $operand $operand | go "$1" > o
		go "$1" $operand > once
		same samples $(($(count once) * 2)) "$(count o)"
	elif [ $out = file ]; then
		cat $operand $operand | go "$1" -o f
	else
		cat $operand $operand | go "$1" > o
		[ -s o ]
	fi
}
@test "22: concatenated streams" {
	[ -x "$BIN/dtn-info" ] || skip "no dtn-info"
	each readers concatenated
}

# Every n-th prefix of a stream is refused.
prefixes() {
	local n found size step=19 file=$D/small.dtn
	[ "$1" != dtn-png ] || step=1
	[ $in != model ] || file=$operand
	size=$(wc -c < "$file")
	((size < 4000)) || step=$((size / 70))
	for ((n = 0; n < size; n += step)); do
		found=0
		if [ $out = file ]; then
			head -c $n "$file" | go "$1" -o f > o 2> e || found=$?
			[ ! -e f ] || fail "wrote f from $n of $size bytes"
		else
			head -c $n "$file" | go "$1" > o 2> e || found=$?
		fi
		same "status at $n of $size: $(cat e)" 3 $found
		grep -qE 'truncated|unexpected end|empty input' e || fail "at $n of $size: $(cat e)"
		same "lines at $n" 1 "$(wc -l < e)"
		if [ $out = stream ] && ((n % 40 == 0)); then
			found=0
			dtn-info -c o 2> e || found=$?
			same "dtn-info at $n: $(cat e)" 3 $found
		fi
	done
}
@test "23, 24: truncated streams are refused, and what comes of them is marked" { each readers prefixes; }

failed_upstream() {
	local half found=0
	half=$(($(wc -c < "$D/big.dtn") / 2))
	head -c $half "$D/big.dtn" | go "$1" 2> /dev/null | dtn-info -c - > o 2> e || found=$?
	same "status of the end" 3 $found
	grep -q 'upstream failed.*truncated' e || fail "$(cat e)"
}
@test "25: the reason travels with the stream" {
	[ -x "$BIN/dtn-info" ] || skip "no dtn-info"
	each filters failed_upstream
}

is_zstd() {
	make_with "$1" f
	zstd -tq f
	same magic "572a4d18" "$(head -c 4 f | od -An -tx1 | tr -d ' \n')"
	if [ -e "$ROOT/format/dtn.magic" ]; then
		file -m "$ROOT/format/dtn.magic" f | grep -q 'dtn' || fail "$(file -m "$ROOT/format/dtn.magic" f)"
	fi
}
binaries() { [ $out = stream ] || [ $out = file ]; }
@test "26: streams are zstd files, known to file(1)" { each binaries is_zstd; }

# --- the same bytes ---------------------------------------------------------------------------------

seeds() {
	make_with "$1" a
	make_with "$1" b
	make_with "$1" c --seed 0
	make_with "$1" d --seed 1
	cmp a b
	cmp a c || { dtn-info a > ia; dtn-info c > ic; diff ia ic | grep -q -- --seed; }
	! cmp -s a d || fail "the seed changes nothing"
}
@test "30: the seed decides" { each seeded seeds; }

threads() {
	local n
	make_with "$1" a
	for n in 0 1 2 7; do
		make_with "$1" b -j $n
		cmp a b
	done
}
@test "31: any number of threads gives the same bytes" { each threaded threads; }

surroundings() {
	mkdir -p locale sub
	[ -e "$D/locale/de_DE.UTF-8" ] || { mkdir -p "$D/locale"
		localedef -i de_DE -f UTF-8 "$D/locale/de_DE.UTF-8"; }
	make_with "$1" a
	LOCPATH=$D/locale LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8 make_with "$1" b
	TZ=Asia/Tokyo LC_ALL=C make_with "$1" c
	(cd sub && make_with "$1" ../d)
	HOME=/nowhere USER=nobody make_with "$1" e
	cmp a b
	cmp a c
	cmp a d
	cmp a e
}
@test "32: locale, time zone, folder and user do not matter" { each all surroundings; }

private() {
	make_with "$1" a
	if [ $out = stream ] || [ $out = file ]; then zstd -dc a > b; cat b >> a; fi
	for word in "$(hostname)" "$(id -un)@" "$HOME/" "$(date +%Y-%m)" "$PWD"; do
		! grep -qaF -- "$word" a || fail "the output contains '$word'"
	done
}
unnamed() { [ $in != path ] && [ $out != text ]; }
@test "34: no time, host, user or folder in the output" { each unnamed private; }

# --- output files -----------------------------------------------------------------------------------

good_manners() {
	echo old > f
	strace -f -o t -e trace=openat,open,rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync \
		"$1" $need -o f $operand > /dev/null
	grep -E 'openat\(.*"(\./)?\.f\.[A-Za-z0-9]{6}".*O_EXCL' t > /dev/null || fail "no temporary file: $(cat t)"
	grep -qE 'fsync' t
	grep -qE 'rename(at2?)?\(.*"(\./)?\.f\.[A-Za-z0-9]{6}", "f"' t
	! grep -E 'unlink.*"f"' t || fail "f was unlinked"
	[ "$(grep -n fsync t | head -n 1 | cut -d : -f 1)" -lt "$(grep -n 'rename.*"f"' t | cut -d : -f 1)" ]
	same files "f t" "$(ls -A | tr '\n' ' ' | sed 's/ $//')"
}
plain_outputs() { outputs; }
@test "35: a file appears complete, by renaming" { each plain_outputs good_manners; }

failure_keeps() {
	local found=0
	echo old > f
	mkdir d
	# input that is none
	if readers; then
		head -c 200 $operand > broken
		status 3 go "$1" -o f broken 2> /dev/null
		same "after bad input" old "$(cat f)"
	fi
	# a limit on the size of files
	(ulimit -f 0; trap '' XFSZ; "$1" $need -o f $operand) > /dev/null 2>&1 || found=$?
	same "status with a full disk" 1 $found
	same "after a full disk" old "$(cat f)"
	same "no temporary file" "" "$(ls -A | grep '^\.' || true)"
}
@test "36: failure leaves the old file and nothing else" { each outputs failure_keeps; }

killed() {
	local signal number found
	for signal in TERM:143 HUP:129 INT:130 KILL:137; do
		number=${signal#*:} signal=${signal%:*} found=0
		rm -rf f fifo .f.*
		echo old > f
		mkfifo fifo
		(head -c 300 $operand; sleep 10) > fifo &
		# a shell that runs things in the background ignores SIGINT for them
		env --default-signal=INT "$1" $need -o f fifo > o 2> e &
		sleep 0.3
		kill -$signal $!
		wait $! || found=$?
		same "status after $signal: $(cat e)" $number $found
		same "f after $signal" old "$(cat f)"
		[ $signal = KILL ] || same "files after $signal" "" "$(ls -A | grep '^\.f' || true)"
		kill %% 2> /dev/null || true
	done
}
killable() { outputs && readers; }
@test "36, 42: signals leave the old file, nothing else, and the true status" { each killable killed; }

ignored_hangup() {
	(head -c 300 $operand; sleep 1; tail -c +301 $operand) |
		(trap '' HUP; go "$1" -o f - > o & pid=$!; sleep 0.4; kill -HUP $pid; wait $pid)
	[ -s f ]
}
@test "44: a hang-up that is ignored stays ignored" { each killable ignored_hangup; }

input_is_output() {
	local way
	make_with "$1" expected
	[ $out != text ] || go "$1" < $operand > expected
	for way in same link hard; do
		rm -f f g
		cp $operand f
		case $way in
		same) go "$1" -o f f > o ;;
		link) ln -s f g; go "$1" -o g f > o; [ -L g ] ;;
		hard) ln f g; go "$1" -o g f > o; cmp f $operand; mv g f ;;
		esac
		[ $out = text ] || cmp f expected
	done
}
@test "37: input and output may be one file" { each killable input_is_output; }

modes() {
	(umask 022; go "$1" -o a $operand > o)
	same "mode with umask 022" 644 "$(stat -c %a a)"
	(umask 077; go "$1" -o b $operand > o)
	same "mode with umask 077" 600 "$(stat -c %a b)"
	: > c
	chmod 604 c
	go "$1" -o c $operand > o
	same "mode of the old file" 604 "$(stat -c %a c)"
	(umask 0; strace -f -o t -e trace=open,openat,chmod,fchmod,fchmodat "$1" $need -o d $operand > o)
	same "mode with umask 0" 666 "$(stat -c %a d)"
	! grep -E 'open(at)?\(.*/?\.d\.[A-Za-z0-9]+".*O_CREAT.*, 0[0-7]+' t | grep -v ', 0600' ||
		fail "created wider than 0600"
}
@test "38: modes" { each outputs modes; }

devices() {
	make_with "$1" expected
	go "$1" -o /dev/null $operand > o
	[ -c /dev/null ]
	go "$1" -o /dev/stdout $operand | cat > a
	cmp a expected
	go "$1" -o /dev/stdout $operand > b
	cmp b expected
	[ $out = file ] || { go "$1" -o - $operand > c; cmp c expected; }
	mkfifo fifo
	chmod 640 fifo
	cat fifo > d &
	go "$1" -o fifo $operand > o
	wait $!
	cmp d expected
	[ -p fifo ]
	same mode 640 "$(stat -c %a fifo)"
}
@test "39: devices, pipes and /dev/stdout stay what they are" { each outputs devices; }

no_target() {
	mkdir d
	fails 1 "^$1: (no/where|no|no/[^:]*): No such file or directory$" go "$1" -o no/where $operand
	fails 1 "^$1: d: Is a directory$" go "$1" -o d $operand
	: > f
	fails 1 "^$1: f/x[^:]*: Not a directory$" go "$1" -o f/x $operand
	if [ "$(id -u)" != 0 ]; then
		chmod 555 d
		fails 1 "^$1: d/f[^:]*: Permission denied$" go "$1" -o d/f $operand
	fi
}
@test "40: targets that cannot be" { each outputs no_target; }

# dtn-train wants a place for its result before anything else.
o() { if [ $out = file ]; then echo "-o f"; fi; }

no_source() {
	# shellcheck disable=SC2046
	fails 1 "^$1: no-such-file: No such file or directory$" go "$1" $(o) no-such-file
	mkdir d
	# shellcheck disable=SC2046
	fails 1 "^$1: d: Is a directory$" go "$1" $(o) d
	# shellcheck disable=SC2046
	fails 1 "^$1: a"'\\x0ab\\x1b\[1m: No such file or directory$' go "$1" $(o) $'a\nb\e[1m'
	# shellcheck disable=SC2046
	fails 1 "^$1: stdin: Is a directory$" go "$1" $(o) < d
}
@test "41: inputs that cannot be read" { each readers no_source; }

# --- messages ---------------------------------------------------------------------------------------

quiet_success() {
	make_with "$1" a 2> err
	[ "$1" = dtn-train ] || [ ! -s err ] || fail "said: $(cat err)"
	make_with "$1" a -q 2> err
	[ ! -s err ] || fail "with -q: $(cat err)"
	NO_COLOR=1 on_terminal "$1 $need -o b $operand" > seen
	! grep -q $'\e' seen || fail "an escape in spite of NO_COLOR"
	on_terminal "$1 $need -q -o b $operand" > seen
	[ $out = text ] || [ ! -s seen ] || fail "-q on a terminal: $(cat seen)"
}
@test "46: silence on success" { each outputs quiet_success; }

one_line() {
	local text
	echo 'no stream' > text
	if readers; then
		for text in text "$BIN/$1" /dev/null; do
			# shellcheck disable=SC2046
			fails 3 "^$1: [^ ].*[^.]$" go "$1" $(o) "$text"
		done
	fi
	if [ $in = samples ] && [ -e "$D/model.dtn" ]; then
		# shellcheck disable=SC2046
		fails 3 "^$1: [^ ]*model.dtn: expected samples, found a model$" go "$1" $(o) "$D/model.dtn"
	fi
	if [ $in = model ]; then
		fails 3 "^$1: [^ ]*good.dtn: expected a model, found samples$" go "$1" "$G"
	fi
	LC_ALL=C grep -qP '[^\x20-\x7e\n]' "$BATS_TEST_TMPDIR/.err" && fail "unprintable" || true
}
@test "47: every error is one line" { each all one_line; }

silent() {
	status 2 "$1" -qq --no-such-option > o 2> e
	[ ! -s e ]
	if readers; then
		# shellcheck disable=SC2046
		status 3 go "$1" -qq $(o) /dev/null > o 2> e
		[ ! -s e ] || fail "$(cat e)"
	fi
}
@test "48: -qq says nothing and keeps the status" { each all silent; }
