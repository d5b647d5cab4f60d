#!/usr/bin/env bats
# How every program writes a file: complete or not at all, whatever happens; see programs.bash.

load common
load programs

setup_file() { cd "$BATS_FILE_TMPDIR" && prepare; }

setup() {
	D=$BATS_FILE_TMPDIR
	G=$D/good.dtn
	cd "$BATS_TEST_TMPDIR"
}

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
	for signal in TERM:143 HUP:129 INT:130 USR2:140 KILL:137; do
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
