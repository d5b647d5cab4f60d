#!/usr/bin/env bats
# format: streams as files and in pipes, good ones and others; see also tests/format/*.c

load common

setup() { cd "$BATS_TEST_TMPDIR"; }

roles=(none image noise noised timestep label sample '' '' '' '' '' '' '' '' ''
	param ema adam_m adam_v rng_state counter buffer)

role_name() { echo "${roles[$1]:-role $1}"; }

# A text as a pattern that finds just this.
literally() { printf '%s' "$1" | sed 's/[][().*^$\\+?{}|]/\\&/g'; }

# The rows of tests/files/README: name, message, remark.
files() { grep -P '^(good|bad|unsupported)-' "$ROOT/tests/files/README"; }

@test "every file in tests/files has a row in the README, and the reverse" {
	files | cut -f 1 | sort > rows
	(cd "$ROOT/tests/files" && ls -- *.dtn) | sed 's/\.dtn$//' | sort > names
	diff rows names
}

@test "streams of tests/files are accepted, or refused for the reason in the README" {
	local name message
	while IFS=$'\t' read -r name message _; do
		if [[ $message == - ]]; then
			dtn-info -c "$ROOT/tests/files/$name.dtn"
		else
			fails 3 "$(literally "$message")" \
				dtn-info -c "$ROOT/tests/files/$name.dtn"
		fi
	done < <(files)
}

@test "an independent reader finds the same in them" {
	local name message tensor key role
	while IFS=$'\t' read -r name message _; do
		[[ $message == - ]] || continue
		rm -rf out && mkdir out
		"$ROOT/tests/reader.sh" "$ROOT/tests/files/$name.dtn" out > list
		[[ -n $(ls out) ]]
		for tensor in out/*; do
			key=${tensor#out/}
			role=$(role_name "${key%%:*}")
			[[ $key != *odd* ]] || key=0:i8/odd:name-1.x
			dtn-info --dump "$role:${key#*:}" "$ROOT/tests/files/$name.dtn" > dumped
			cmp "$tensor" dumped
		done
		same "samples of $name" "$(awk '/^record/ { n += $4 } END { print n + 0 }' list)" \
			"$(dtn-info --json "$ROOT/tests/files/$name.dtn" | jq .samples)"
	done < <(files)
}

@test "an independent reader understands what programs write" {
	local type
	for type in u8 f32 i32; do
		stream -n 9 -s 5x4x3 -t $type -l -m image.layout=NHWC -c "dtn-load cars/" > s
		rm -rf out && mkdir out
		"$ROOT/tests/reader.sh" s out > list
		dtn-info --dump image s | cmp - out/1:image
		dtn-info --dump label s | cmp - out/5:label
		grep -q '^meta image.layout=NHWC$' list
		grep -q '^end$' list
	done
}

@test "zstd accepts every good stream" {
	local name message
	while IFS=$'\t' read -r name message _; do
		[[ $message != - ]] || zstd -tq "$ROOT/tests/files/$name.dtn"
	done < <(files)
}

# refused HOW FILE MESSAGE: status 3 and this one line, in two seconds and 256 MiB
refused() {
	local said status=0
	said=$(limited 2 256 dtn-info "$1" "$2" 2>&1 > /dev/null) || status=$?
	same "status of dtn-info $1 $2, which said '$said'" 3 $status
	[[ $said == "dtn-info: $2: "*"$3"* && $said != *$'\n'* ]] || fail "dtn-info $1 $2 said '$said'"
}

@test "hostile streams are refused by dtn-info, quickly and in little memory" {
	local name message n=0
	"$ROOT/build/opt/tests/format/hostile" --write .
	while IFS=$'\t' read -r name message; do
		n=$((n + 1))
		if [[ -z $message ]]; then
			dtn-info -c "$name.dtn"
			dtn-info --json "$name.dtn" > out
			continue
		fi
		refused -c "$name.dtn" "$message"
		# What only decoding or seeking can find is not looked for in a listing.
		[[ $message == *"corrupt chunk"* || $message == *"(tensor"* || $message == "index does"* ]] ||
			refused --json "$name.dtn" "$message"
	done < cases
	((n > 250))
}

@test "a stream is a stream in a pipe, byte by byte and as a file" {
	stream -n 20 -l > s
	dtn-info --json s > expected
	dtn-info --json < s | cmp - expected
	dtn-info --json - < s | cmp - expected
	# shellcheck disable=SC2002
	cat s | dtn-info --json | cmp - expected
	dd if=s bs=1 status=none | dtn-info --json | cmp - expected
}

@test "streams in a row are a stream" {
	stream -n 5 > a
	stream -n 7 > b
	cat a b > ab
	same samples 12 "$(dtn-info --json ab | jq .samples)"
	same segments 2 "$(dtn-info --json ab | jq .segments)"
	dtn-info --json a b > 1
	dtn-info --json - b < a > 2
	dtn-info --json ab > 3
	cmp 1 2
	cmp 1 3
	same data "$(dtn-info --dump image ab | md5sum)" "$( (dtn-info --dump image a; dtn-info --dump image b) | md5sum)"
}

@test "of several operands the one that is damaged is named" {
	stream > a
	head -c 500 a > b
	fails 3 '^dtn-info: b: truncated' dtn-info -c a b a
	: > c
	fails 3 '^dtn-info: c: empty input' dtn-info -c a c
	fails 1 '^dtn-info: d: No such file or directory$' dtn-info -c a d
	fails 1 '^dtn-info: \.: Is a directory$' dtn-info .
	fails 1 '^dtn-info: stdin: Is a directory$' dtn-info < .
	fails 2 'standard input' dtn-info -c - -
	dtn-info a > expected
	fails 3 '^dtn-info: b: truncated' dtn-info a b
	cmp expected .out
	fails 3 '^dtn-info: b: truncated' dtn-info -o o a b
	[ ! -e o ]
}

@test "devices and closed descriptors" {
	fails 3 'stdin: not a dtn stream' timeout 5 dtn-info < /dev/zero
	fails 3 'stdin: ' timeout 5 dtn-info < /dev/urandom
	fails 3 'stdin: empty input' dtn-info < /dev/null
	fails 1 'stdin: Bad file descriptor' dtn-info <&-
}

@test "a check has no result to write" {
	stream > s
	fails 2 '^dtn-info: --check prints nothing, so -o f would get nothing$' dtn-info -c -o f s
	[ ! -e f ]
}

@test "a terminal is refused at once" {
	local status=0
	script -qec "timeout 5 dtn-info" typescript < /dev/null > out || status=$?
	same status 2 $status
	grep -q 'terminal' out
}

@test "ten thousand segments" {
	local i
	stream -n 1 -s 2x2x1 > a
	for i in 1 2 3 4; do
		cat a a a a a a a a a a > b
		mv b a
	done
	same segments 10000 "$(limited 20 256 dtn-info --json a | jq .segments)"
	limited 20 256 dtn-info -c a
}

@test "frames without end that nobody knows: constant memory, and truncated in the end" {
	cp "$ROOT/tests/files/good-samples.dtn" s
	head -c 64 s > endless
	"$ROOT/build/opt/tests/format/hostile" --write .
	# The ancillary frame of 1 MiB before INDX.
	tail -c $((1048576 + 8 + 60 + 64)) ancillary-most.dtn | head -c $((1048576 - 12 + 20)) > frame
	head -c 12 frame | tail -c 4 | grep -q more
	fails 3 'truncated: end marker missing' limited 20 128 dtn-info -c \
		< <(cat endless; for ((i = 0; i < 300; i++)); do cat frame; done)
}

@test "a long stream takes no more memory than a short one" {
	stream -n 4 -s 256x256x3 -i > once
	for ((i = 0; i < 400; i++)); do cat once; done | limited 20 128 dtn-info -c
	stream -n 1000 -s 256x256x3 -i | limited 20 128 dtn-info -c
}

@test "a zstd bomb is as large as it was announced, and no larger in memory" {
	stream -n 2000 -s 512x512x1 -b 8 | limited 20 128 dtn-info -c
}

@test "the example of dtn(5) is a stream, and its description for file(1) is right" {
	awk '/^\.Bd/ { on = 1; next } /^\.Ed/ { on = 0 } on && /^([0-9a-f][0-9a-f] ?)+/' "$ROOT/man/dtn.5" |
		tr -d ' \n' | sed 's/../\\x&/g' > hex
	# shellcheck disable=SC2059
	printf "$(cat hex)" > s
	dtn-info -c s
	same size 128 "$(wc -c < s)"
	awk '/^\.Xr file 1/ { on = 1 } /^\.Ed/ { on = 0 } on && /^[0-9>!]/' "$ROOT/man/dtn.5" |
		sed 's/\\e/\\/g; s/   */\t/g' > magic
	file -m magic s > out
	grep -q 'dtn tensor stream version 1.0, samples' out
}
