# common.bash -- what the Bats files share: where the programs are, streams to feed them, how to look
#
# A test finds the programs through BIN; a program of the same name that is installed on this machine
# is never found, because a folder of failing dummies comes before the rest of PATH.
# shellcheck shell=bash
bats_require_minimum_version 1.5.0

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BIN=${BIN:-build/opt/bin}
[[ $BIN == /* ]] || BIN=$ROOT/$BIN
TOOLS=$ROOT/build/opt/tests/tools
PATH=$BIN:$ROOT/build/check/block:$PATH
export ROOT BIN TOOLS PATH LC_ALL=C
unset LANG LANGUAGE NO_COLOR POSIXLY_CORRECT

# The programs that were built.
programs() {
	local path
	for path in "$BIN"/dtn-*; do
		basename "$path"
	done
}

# A stream of samples whose pixels are known: see tests/tools/stream.c.
stream() { "$TOOLS/stream" "$@"; }

# A PNG file as text: size and pixels, or with -t what it says of itself.
unpng() { "$TOOLS/unpng" "$@"; }

# either SHORT LONG: how much is tried by `make check`, and by `make check-long`
either() { if [ -n "${LONG-}" ]; then echo "$2"; else echo "$1"; fi; }

# The programs are watched by a sanitizer, which reserves more address space than a limit allows, holds
# on to what was freed, and is slow.
sanitized() { [[ $BIN == */san/* || $BIN == */tsan/* ]]; }

# unsanitized WHY: the rest of a test is not for programs that a sanitizer watches
unsanitized() { ! sanitized || skip "$1"; }

# limited SECONDS MIB COMMAND...: in so much time of a processor and so much address space.  On the clock it
# may take ten times as long, as others want the processor, too; no more, as it may hang.  With the address
# sanitizer, a single allocation cannot be larger, and the program is ended soon after all of its memory is;
# 64 MiB are the sanitizer's own, and the time is five times as long.
limited() {
	local seconds=$1 mib=$2
	shift 2
	if sanitized; then
		local ours=max_allocation_size_mb=$mib:hard_rss_limit_mb=$((mib + 64)):quarantine_size_mb=16
		seconds=$((5 * seconds))
		ASAN_OPTIONS=${ASAN_OPTIONS-}:$ours timeout $((10 * seconds)) prlimit --cpu=$seconds "$@"
	else
		timeout $((10 * seconds)) prlimit --cpu="$seconds" --as=$((mib << 20)) "$@"
	fi
}

# flip I FROM TO: a copy in which one bit of byte I is another
flip() {
	local byte
	byte=$(tail -c +$(($1 + 1)) "$2" | head -c 1 | od -An -tu1)
	cp "$2" "$3"
	# shellcheck disable=SC2059
	printf "\\x$(printf %x $((byte ^ 1 << $1 % 8)))" | dd of="$3" bs=1 seek="$1" conv=notrunc status=none
}

# Run COMMAND LINE with a terminal as stdin, stdout and stderr; what it printed is on stdout.
on_terminal() { script -qec "$1" /dev/null </dev/null | tr -d '\r'; return "${PIPESTATUS[0]}"; }

# Stop with a message.
fail() {
	printf '%s\n' "$*" >&2
	return 1
}

# same WHAT EXPECTED FOUND
same() { [[ $2 == "$3" ]] || fail "$1: expected '$2', found '$3'"; }

# absent PATTERN FILE ("! grep" would not fail a Bats test)
absent() {
	local found=0
	grep -- "$1" "$2" >&2 || found=$?
	[ $found = 1 ] || fail "'$1' is in $2, or that cannot be read"
}

# fails STATUS PATTERN COMMAND...: ends with the status, and says one line on stderr that matches the
# pattern (a usage error: and where to look for help); what it printed is in .out
fails() {
	local status=0 expected=$1 pattern=$2 lines
	shift 2
	"$@" >"$BATS_TEST_TMPDIR/.out" 2>"$BATS_TEST_TMPDIR/.err" || status=$?
	same "status of '$*', which said '$(cat "$BATS_TEST_TMPDIR/.err")'" "$expected" $status
	lines=$(wc -l <"$BATS_TEST_TMPDIR/.err")
	if ((lines == 2)); then
		tail -n 1 "$BATS_TEST_TMPDIR/.err" | grep -qE "^Try 'dtn-[a-z]+ --help'\.$" ||
			fail "two lines: $(cat "$BATS_TEST_TMPDIR/.err")"
	else
		same "lines on stderr of '$*': $(cat "$BATS_TEST_TMPDIR/.err")" 1 "$lines"
	fi
	head -n 1 "$BATS_TEST_TMPDIR/.err" | grep -qE -- "$pattern" ||
		fail "'$*' said '$(cat "$BATS_TEST_TMPDIR/.err")', which is not '$pattern'"
}

# The commands in the EXAMPLES section of a manual page: what stands in its literal displays.
examples() {
	awk '/^\.Sh / { on = $2 == "EXAMPLES" } /^\.Bd|^\.Dl/ && on { d = /^\.Bd/; if (!d) { sub(/^\.Dl /, ""); print } next }
		/^\.Ed/ { d = 0 } on && d' "$1" | sed 's/\\e/\\/g; s/\\(ti/~/g; s/\\-/-/g; s/\\&//g; s/^\$ //'
}
