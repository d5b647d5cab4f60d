#!/usr/bin/env bats
# What every program of the suite must do, looped over the programs that were built; more of it is in
# files.bats and faults.bats.  A program that programs.bash does not know fails the first test.

load common
load programs

setup_file() { cd "$BATS_FILE_TMPDIR" && prepare; }

setup() {
	D=$BATS_FILE_TMPDIR
	G=$D/good.dtn
	cd "$BATS_TEST_TMPDIR"
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
	"$1" --dump-options | head -n 1 | cut -f 3 | grep -qE '^[A-Z].*\.$' || fail "purpose: $(cat help)"
	absent '\.\.\.\]' help
	absent '(default [^a-z]*[a-z0-9]' help
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
		'--max-record 1T' '-j -1' '--threads=1025' '--seed=18446744073709551616' '-z 20' '-z -6' '-z 1x'; do
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
	make_with "$1" a
	make_with "$1" b --thr 2
	cmp a b
}
@test "6: long names may be cut short" { each all abbreviated; }

input_twice() {
	if [ $out = file ]; then
		fails 2 "^$1: standard input given twice$" go "$1" -o f - - < "$operand"
	else
		fails 2 "^$1: standard input given twice$" go "$1" - - < "$operand"
		[ ! -s "$BATS_TEST_TMPDIR/.out" ]
	fi
}
multiple() { readers && [[ $("$program" --dump-options | head -n 1) == *STREAM*...* ]]; }
@test "7: standard input given twice" { each multiple input_twice; }

documented() {
	local page=$ROOT/man/$1.1 option known o
	[ -e "$page" ] || fail "no manual page"
	mandoc -T ascii "$page" | sed 's/.\x08//g; /^ *#SBATCH /d' > page       # options of Slurm
	while IFS='|' read -r -u 3 letter name; do
		grep -qE -- "(^|[^a-z-])$name([^a-z-]|$)" page || fail "$name is not in the page"
		[ -z "$letter" ] || grep -qE -- "^ +$letter.*, $name" page ||
			fail "'$letter, $name' is not in the page"
		grep -qF -- "$name" "$BIN/../completions/$1" || fail "$name is not completed"
	done 3< <("$1" --dump-options | tail -n +2 | awk -F '\t' '{ print $1 "|" $2 }')
	same "says that -j does nothing" "$(grep -A 1 -e '-j, --threads' page | grep -c 'No effect here')" \
		"$("$1" --help | grep -c 'no effect: there is one thread')"
	known=$(for o in $(programs); do "$o" --dump-options | cut -f 2; done)
	for option in $(grep -oE -- '(^|[ [(|])--[a-z][a-z0-9-]*' page | grep -oE -- '--[a-z0-9-]+'); do
		grep -qxF -- "$option" <<< "$known" || fail "the page names $option, which no program has"
	done
}
@test "8: --help, manual page and completion agree" { each all documented; }

# What may be chosen from is what the complaint about another word lists.
choices_complete() {
	local option words
	for option in $(with_argument "$1"); do
		words=$("$1" "$option" another 2>&1 < /dev/null |
			sed -nE '1s/.*: wants ([a-z][a-z0-9-]*(, [a-z0-9-]+)* or [a-z0-9-]+)$/\1/p')
		[ -z "$words" ] || grep -qE -- "$option\) words=\"$(sed 's/,\| or//g' <<< "$words")\"" \
			"$BIN/../completions/$1" || fail "after $option, completion does not offer $words"
	done
}
@test "8: completion offers what there is to choose from" { each all choices_complete; }

@test "8: bash completes an option, its words and files" {
	# shellcheck source=/dev/null
	source "$BIN/../completions/dtn-train"
	complete_after() { COMP_WORDS=(dtn-train "$1" "$2") COMP_CWORD=2 && _dtn_train dtn-train "$2" "$1"; }
	complete_after --predict ""
	same words "eps x0 v" "${COMPREPLY[*]}"
	complete_after --flip --weight-
	same options --weight-decay "${COMPREPLY[*]}"
	touch eps.dtn
	complete_after --from e
	same files eps.dtn "${COMPREPLY[*]}"
}

called_differently() {
	ln -s "$BIN/$1" "$1"
	fails 2 "^$1: unknown option" "./$1" --no-such-option
	fails 2 "^$1: unknown option" "$BIN/../bin/$1" --no-such-option
	ln -s "$BIN/$1" other
	same "as another" "other: unknown option '--no-such-option'" "$(./other --no-such-option 2>&1 | head -n 1)"
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
	# one that has read a byte; what these print may be in the pipe by then
	[ "$1" != dtn-info ] && [ "$1" != dtn-load ] || return 0
	{ status 141 "$1" ${bigneed:-$need} $big; } 2> err | head -c 1 > /dev/null
	[ ! -s err ]
}
@test "16: a reader that goes away" { set -o pipefail; each printers broken_pipe; }

clean_output() {
	go "$1" -v $operand 2> /dev/null | dtn-info -c -
	same statuses "0 0" "${PIPESTATUS[*]}"
}
@test "17: nothing but data on standard output" { each streams clean_output; }

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
@test "20: memory does not grow with the stream" {
	unsanitized "a sanitizer remembers what was freed"
	each constant constant_memory
}

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
		fails 2 'one model at a time' go "$1" "$operand" "$operand"
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
@test "22: concatenated streams" { each readers concatenated; }

# Every n-th prefix of a stream is refused.
prefixes() {
	local n found size step file=$D/small.dtn
	step=$(either 19 1)
	[ "$1" != dtn-png ] || step=1
	[ $in != model ] || file=$operand
	size=$(wc -c < "$file")
	((size < 4000)) || step=$((size / $(either 70 700)))
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
@test "25: the reason travels with the stream" { each filters failed_upstream; }

is_zstd() {
	make_with "$1" f
	zstd -tq f
	same magic "572a4d18" "$(head -c 4 f | od -An -tx1 | tr -d ' \n')"
	kind=$([ $out = stream ] && echo samples || echo model)
	same kind "f: dtn tensor stream version 1.0, $kind" "$(file -m "$ROOT/format/dtn.magic" f)"
}
binaries() { [ $out = stream ] || [ $out = file ]; }
record_limit() {
	fails 3 ': record 0: record exceeds --max-record \(7 bytes\)$' go "$1" --max-record 7 $(o) $operand
	make_with "$1" a
	make_with "$1" b --max-record 1M
	cmp a b
}
@test "records larger than --max-record are refused" { each readers record_limit; }

@test "26: streams are zstd files, known to file(1)" { each binaries is_zstd; }

@test "26: the description for file(1) is that of the page" {
	sed -n '/^A description for/,/^\.Ed/{/^[0-9>!]/p}' "$ROOT/man/dtn.5" | sed 's/\\e/\\/g' |
		diff - "$ROOT/format/dtn.magic"
}

# The bytes of a file in one line of digits.
hex() { od -An -v -tx1 "$1" | tr -d ' \n'; }

unknown_parts() {
	local frame
	go "$1" "$ROOT/tests/files/good-ancillary.dtn" > o
	# NOTE without a body, note with the body "hello"
	for frame in 572a4d180c0000004e4f544501000000a2a8781a \
		572a4d18110000006e6f74650100000068656c6c6fccbe8639; do
		hex "$ROOT/tests/files/good-ancillary.dtn" | grep -qF $frame
		hex o | grep -qF $frame || fail "the frame $frame is lost"
	done
	stream -n 3 -s 8x8x1 -m x.color="a b\c" -m train.colour=red -m zzz=1 > s
	go "$1" s | dtn-info --json > info
	same "what is unknown" '["a b\\c","red","1"]' \
		"$(jq -c '[.meta["x.color"], .meta["train.colour"], .meta.zzz]' info)"
}
@test "27: metadata and frames that a filter does not know pass through it" { each filters unknown_parts; }

# lines FILE: how many runs made it; every parent stands before its child.
runs() {
	dtn-info --json "$1" | jq '.provenance | if all(.[]; .id > ([0] + .parents | max)) then length else "cyclic" end'
}

one_more_run() {
	local before=0 leaf=''
	if readers; then before=$(runs $operand) leaf=$before; fi
	make_with "$1" a
	make_with "$1" b --no-prov
	same "runs with --no-prov" "$before" "$(runs b)"
	# a copy that changes nothing need not say so
	[ "$1" != dtn-cat ] || return 0
	same runs $((before + 1)) "$(runs a)"
	same "the last run" "$1 [$leaf]" "$(dtn-info --json a | jq -r '.provenance[-1] | "\(.program) \(.parents)"')"
	if [ $in = samples ]; then
		stream -n 6 -s 8x8x1 -l -c "dtn-load other" > other
		if [ $out = file ]; then go "$1" -o c "$G" other; else go "$1" "$G" other > c; fi
		dtn-info --json c > info
		jq -e '[.provenance[].command] | index("stream") != null and
			index("stream other") != null' info > /dev/null || fail "a chain is lost: $(jq -c .provenance info)"
		same "each once" "$(jq '[.provenance[] | [.command, .parents]] | unique | length' info)" "$(runs c)"
	fi
}
@test "28: each run adds a line to the provenance, and none is lost" { each binaries one_more_run; }

# Every tensor of FILE as ROLE:NAME.
tensors() { dtn-info --json "$1" | jq -r '.tensors[] | "\(.role):\(.name)"'; }

passed_on() {
	local t n=0
	stream -n 7 -s 4x6x3 -l -i > s
	go "$1" s > o
	for t in $(tensors s); do
		tensors o | grep -qxF "$t" || fail "$t is lost"
		dtn-info --dump "$t" s > before
		dtn-info --dump "$t" o > after
		cmp before after
		n=$((n + 1))
	done
	same tensors 2 $n
}
@test "29: what a filter does not change passes to the last bit" { each filters passed_on; }

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
@test "31: any number of threads gives the same bytes" { each all threads; }

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
	# among some thousand random bytes, shorter names turn up by chance
	for word in "$(hostname)" "$(id -un)@" "$HOME/" "$(date +%Y-%m)" "$PWD"; do
		((${#word} > 4)) || continue
		! grep -qaF -- "$word" a || fail "the output contains '$word'"
	done
}
unnamed() { [ $in != path ] && [ $out != text ]; }
@test "34: no time, host, user or folder in the output" { each unnamed private; }

stopped() {
	local i
	if [ $out = file ]; then
		(head -c 300 $operand; sleep 0.5; tail -c +301 $operand) | "$1" $need -o a &
	else
		(head -c 300 $operand; sleep 0.5; tail -c +301 $operand) | "$1" $need > a &
	fi
	for i in 1 2 3; do
		sleep 0.1
		kill -STOP $! 2> /dev/null || true
		sleep 0.1
		kill -CONT $! 2> /dev/null || true
	done
	wait $!
	if [ $out = file ]; then go "$1" -o b < $operand; else go "$1" < $operand > b; fi
	cmp a b
}
@test "45: a program that was stopped and continued writes the same" { each readers stopped; }

# --- messages ---------------------------------------------------------------------------------------

quiet_success() {
	make_with "$1" a 2> err
	[ ! -s err ] || fail "said: $(cat err)"
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
	plainly() {
		fails "$@"
		! LC_ALL=C grep -P '[^\x20-\x7e\n]' "$BATS_TEST_TMPDIR/.err" || fail "unprintable"
	}
	echo 'no stream' > text
	if readers; then
		for text in text "$BIN/$1" /dev/null; do
			# shellcheck disable=SC2046
			plainly 3 "^$1: [^ ].*[^.]$" go "$1" $(o) "$text"
		done
	fi
	if [ $in = samples ]; then
		# shellcheck disable=SC2046
		plainly 3 "^$1: [^ ]*model.dtn: expected samples, found a model$" go "$1" $(o) "$D/model.dtn"
	fi
	if [ $in = model ]; then
		plainly 3 "^$1: [^ ]*good.dtn: expected a model, found samples$" go "$1" "$G"
	fi
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
