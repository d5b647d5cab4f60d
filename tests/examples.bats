#!/usr/bin/env bats
# The EXAMPLES of every manual page, and README's, run as they stand, one after the other, in a folder that
# has what they name: photos, digits, a model.  The photos and the model are so small that this takes
# seconds.

load common

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	mkdir -p photos/red photos/blue
	stream -n 6 -s 8x8x3 | dtn-png --each photos/red
	stream -n 6 -s 8x8x3 | dtn-png --each photos/blue
	cp -R photos cars
	{ printf '\0\0\10\3\0\0\0\24\0\0\0\10\0\0\0\10'; seq 1000 9999 | head -c 1280; } |
		gzip > train-images-idx3-ubyte.gz
	for i in 1 2 3 4; do printf '\1'; seq 1000 9999 | head -c 3072; done | xz > data_batch_1.bin.xz
	dtn-load photos |
		dtn-train -q --channels 8 --mult 1 --groups 4 -T 60 --steps 1 -b 4 -o cars.dtn
	dtn-load photos > images.dtn
	dtn-train -q --from cars.dtn --classes --steps 1 -o classes.dtn images.dtn
}

setup() { cp -R "$BATS_FILE_TMPDIR"/. "$BATS_TEST_TMPDIR" && cd "$BATS_TEST_TMPDIR"; }

run_page() {
	local page=$ROOT/man/$1
	[ -e "$page" ] || fail "no page"
	examples "$page" > example
	[ -s example ] || fail "no examples"
	bash -eu -o pipefail -x example
}

@test "dtn-load(1)" { run_page dtn-load.1; }
@test "dtn-train(1)" { run_page dtn-train.1; }
@test "dtn-sample(1)" { run_page dtn-sample.1; }
@test "dtn-png(1)" { run_page dtn-png.1; }
@test "dtn-cat(1)" { run_page dtn-cat.1; }
@test "dtn-info(1)" { run_page dtn-info.1; }
@test "dtn-noise(1)" { run_page dtn-noise.1; }
@test "dtn-schedule(1)" { run_page dtn-schedule.1; }

@test "dtn(7), all of it" {
	sed 's/^\.Sh .*/.Sh EXAMPLES/' "$ROOT/man/dtn.7" > page
	examples page > example
	[ -s example ] || fail "no examples"
	bash -eu -o pipefail -x example
}

# Half an hour of training becomes two steps, an hour three; with a sanitizer, sampling takes five.
@test "README, first steps" {
	local words='s/--time 30m/--steps 2/; s/--time 60m/--steps 3/'
	sed -n '/^## First steps/,/^##* What/{/^    dtn-/p}' "$ROOT/README.md" | sed "$words" > example
	same "commands" 3 "$(wc -l < example)"
	same "long ones" 2 "$(grep -c -- '--steps' example)"
	! sanitized || sed -i 's/dtn-sample/& --steps 5/' example
	bash -eu -o pipefail -x example
	same "size of the picture" "398 398 3" "$(unpng out.png | head -n 1)"
}

@test "every program's page is among these" {
	local p
	for p in $(programs); do
		grep -qF "run_page $p.1;" "$BATS_TEST_FILENAME" || fail "$p is not"
	done
}
