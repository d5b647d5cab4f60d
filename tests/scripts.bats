#!/usr/bin/env bats
# The pipelines and plots of scripts/, with the smallest networks and few steps: do they run through,
# and do the pictures have the shapes that they should?

load common

TINY="--channels 8 --mult 1,2 --groups 4 --attn none -j 2"

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	mkdir digits cars cifar
	# MNIST's format: forty images
	printf '\0\0\10\3\0\0\0\50\0\0\0\34\0\0\0\34' > digits/train-images-idx3-ubyte
	yes 0123456789abc | head -c $((40 * 784)) >> digits/train-images-idx3-ubyte
	stream -n 20 -s 40x36x3 -c dtn-load | dtn-png --each cars
	# CIFAR-10's: twenty images of classes 0 and 1
	for i in 1 2 3 4 5 6 7 8 9 10; do
		printf '\0' && yes "$i-" | head -c 3072
		printf '\1' && yes "$i+" | head -c 3072
	done > cifar/data_batch_1.bin
	printf '%s\n' airplane automobile bird cat deer dog frog horse ship truck > cifar/batches.meta.txt
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	DATA=$BATS_FILE_TMPDIR
	export SIZE STEPS RUN NET HALF WHOLE EVERY
}

# script NAME ARGUMENT...: it says first how long it will take
script() {
	local name=$1
	shift
	sh "$ROOT/scripts/$name" "$@" 2> said || fail "$(cat said)"
	head -n 1 said | grep -qE "^$name: about [0-9]+ (minutes|hours|days)" || fail "$(cat said)"
}

# shows "WIDTH HEIGHT CHANNELS" PICTURE
shows() { same "size of $2" "$1" "$(unpng "$2" | head -n 1)"; }

# A picture that gnuplot drew, with something on it: paper alone takes less.
drawn() { [ "$(wc -c < "$1")" -gt 12000 ] || fail "$1 has $(wc -c < "$1") bytes"; }

# --- pipelines ----------------------------------------------------------------------------------------

@test "mnist" {
	NET=$TINY HALF="--steps 2" WHOLE="--steps 4" STEPS=3 script mnist --quick "$DATA/digits"
	same "rows of the log" 5 "$(wc -l < mnist.tsv)"
	shows "582 582 1" mnist.png
	shows "582 582 1" mnist-x0.png
	drawn mnist-loss.png
}

@test "cars" {
	NET=$TINY RUN="--steps 2" script cars --quick -T 6 -s 12 -b 4 "$DATA/cars"
	shows "58 58 3" cars-6.png
	shows "86 72 3" cars-6-trace.png
	[ ! -e cars-300.dtn ]
	fails 2 '^usage: cars' sh "$ROOT/scripts/cars" --fast "$DATA/cars"
}

@test "stanford-cars" {
	NET=$TINY SIZE=16 RUN="--steps 3 -b 4 --warmup 1" STEPS=5 script stanford-cars --quick "$DATA/cars"
	shows "128 92 3" stanford-noise.png
	shows "164 146 3" stanford-trace.png
	shows "74 38 3" stanford.png
	drawn stanford-schedule.png
	drawn stanford-loss.png
}

@test "cifar10-cars" {
	NET="--channels 8 --mult 1,2 --groups 4 --attn 16" RUN="--steps 4 -b 4 --val-every 2" STEPS=3 \
		script cifar10-cars --quick "$DATA/cifar"
	same "cars" 10 "$(dtn-info --json cifar-data.dtn | jq .samples)"
	same "of them to train on" 9 "$(dtn-info --json cifar-train.dtn | jq .samples)"
	shows "332 332 3" cifar-ddpm.png
	shows "332 332 3" cifar-ddim.png
	drawn cifar-loss.png
	drawn cifar-bins.png
	rm ./*
	NET=$TINY RUN="--steps 2 -b 4 --val-every 1" STEPS=2 script cifar10-cars --quick "$DATA/cars"
	same "of a folder" 17 "$(dtn-info --json cifar-train.dtn | jq .samples)"
}

@test "fashion-mnist" {
	NET="--blocks 1 --mult 1,1 --attn 14 -j 2" RUN="--steps 4 -b 4" EVERY=2 STEPS=3 \
		script fashion-mnist --quick "$DATA/digits"
	shows "466 466 1" clothes.png
	drawn clothes-loss.png
	[ "$(find clothes-steps -type f | wc -l)" -ge 2 ]
}

@test "cars.mk makes all, and nothing again" {
	run_make() { make -s -f "$ROOT/scripts/cars.mk" IMAGES="$DATA/cars" SIZE=8 TIME=1s "$@"; }
	run_make 2> said || fail "$(cat said)"
	shows "146 146 3" cars.png
	drawn cars-loss.png
	run_make -q
	dtn-sample cars.dtn | dtn-png --scale 2 -o at-once.png
	cmp <(unpng at-once.png) <(unpng cars.png)
	touch cars-16.dtn
	same "what is made again" "dtn-cat" "$(run_make -n | cut -d ' ' -f 1)"
	rm cars-16.dtn
	PATH=/usr/bin:/bin run_make cars-16.dtn         # of programs that are built, not installed
}

@test "a wrong argument: how the script is called, before anything is done" {
	local name wrong
	for name in mnist cars stanford-cars cifar10-cars fashion-mnist plot-loss plot-bins plot-schedule; do
		for wrong in --help "a b c" --quick ""; do
			[[ $name$wrong != fashion-mnist && $name$wrong != fashion-mnist--quick ]] || continue
			# shellcheck disable=SC2086
			fails 2 "^usage: $name .*[A-Z]" sh "$ROOT/scripts/$name" $wrong
		done
	done
	same "files" "" "$(ls)"
}

# --- plots --------------------------------------------------------------------------------------------

@test "plots of tables as the programs write them" {
	local kind
	for kind in linear cosine; do
		dtn-schedule -T 40 --schedule $kind | "$ROOT/scripts/plot-schedule" - $kind.png
		drawn $kind.png
	done
	run ! cmp -s linear.png cosine.png
	stream -n 20 -s 8x8x1 -c dtn-load > s.dtn
	# shellcheck disable=SC2086
	dtn-train $TINY -b 4 --steps 9 --val 0.2 --val-every 3 --log log -o m.dtn s.dtn
	"$ROOT/scripts/plot-loss" log loss.png 2> said
	"$ROOT/scripts/plot-bins" log bins.png 2>> said
	[ ! -s said ]
	drawn loss.png
	drawn bins.png
	# without validation
	cut -f 1-8 log > short
	"$ROOT/scripts/plot-loss" short short.png
	drawn short.png
	run ! cmp -s loss.png short.png
	fails 1 '^plot-bins: short: no validation in it' "$ROOT/scripts/plot-bins" short bins.png
}

@test "plots without gnuplot" {
	local name
	for name in plot-schedule plot-loss plot-bins; do
		fails 1 "^$name: gnuplot is missing: install the package gnuplot-nox" \
			env PATH=/nowhere /bin/sh "$ROOT/scripts/$name" table picture.png
		[ ! -e picture.png ]
	done
}
