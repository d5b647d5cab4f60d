#!/usr/bin/env bats
# cuda: the programs on a device with memory of its own, beside the CPU
#
# With the stand-in of tests/cuda for a GPU, or with the backend that DTN_TEST_CUDA names.

load common

TINY="--channels 4 --mult 1 --blocks 1 --groups 2 --attn none -b 3 --precision f32"

setup_file() {
	local backend=${DTN_TEST_CUDA-$ROOT/build/opt/tests/cuda/dtn-cuda.so}
	cd "$BATS_FILE_TMPDIR"
	# The programs look for the backend beside themselves.
	mkdir -p with/bin with/lib/dtn without/bin
	cp "$BIN"/dtn-* with/bin
	cp "$BIN"/dtn-* without/bin
	cp "$backend" with/lib/dtn/dtn-cuda.so
	stream -n 10 -s 5x4x1 -c dtn-load > good.dtn
	with/bin/dtn-train $TINY --device cpu --steps 4 -o cpu.dtn --log cpu.tsv good.dtn
	with/bin/dtn-train $TINY --device cuda --steps 4 -o cuda.dtn --log cuda.tsv good.dtn
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	F=$BATS_FILE_TMPDIR
	G=$F/good.dtn
	PATH=$F/with/bin:$PATH
}

# train ARGUMENT...: with the tiny network
# shellcheck disable=SC2086
train() { dtn-train $TINY "$@"; }

# weights MODEL: what was trained, as text, a number a line
weights() {
	local name
	for name in conv_in.weight mid_block.attentions.0.to_q.weight conv_out.weight ema:conv_out.bias adam_v:conv_in.bias; do
		dtn-info --dump "$name" "$1" | od -An -v -t f4 -w4
	done
}

# near A B MOST: all are numbers, and those of two files differ by less than MOST of the largest
near() {
	paste "$1" "$2" | awk -v most="$3" '
		/n/ { print "not a number"; exit 1 }
		{ d = $1 - $2; if (d < 0) d = -d; if (d > worst) worst = d
		  a = $1 < 0 ? -$1 : $1; if (a > largest) largest = a }
		END { if (!(worst <= most * largest) || NR < 4) { print worst, "of", largest, "in", NR; exit 1 } }'
}

# pixels STREAM: as text
pixels() { dtn-info --dump image "$1" | od -An -v -t f4 -w4; }

@test "training has the same losses and weights as on the CPU" {
	cut -f 1-6 "$F/cpu.tsv" | sed 1d | tr '\t' '\n' > a
	cut -f 1-6 "$F/cuda.tsv" | sed 1d | tr '\t' '\n' > b
	near a b 1e-5
	same "rows" 5 "$(wc -l < "$F/cuda.tsv")"
	weights "$F/cpu.dtn" > a
	weights "$F/cuda.dtn" > b
	near a b 1e-4
}

@test "a run begun on one device goes on on the other" {
	train --device cpu --steps 2 -o a.dtn "$G"
	dtn-train --device cuda --resume --steps 4 -o a.dtn "$G"
	train --device cuda --steps 2 -o b.dtn "$G"
	dtn-train --device cpu --resume --steps 4 -o b.dtn "$G"
	weights "$F/cpu.dtn" > want
	weights a.dtn > a
	weights b.dtn > b
	near want a 1e-4
	near want b 1e-4
}

@test "stopped and resumed is the same bytes as uninterrupted" {
	train --device cuda --steps 1 -o a.dtn "$G"
	dtn-train --device cuda --resume --steps 4 -o a.dtn "$G"
	cmp a.dtn "$F/cuda.dtn"
}

@test "flips, warm-up, decay, several slices a step, validation" {
	local all="--flip --warmup 3 --accum 2 --weight-decay 0.1 --predict v --weight min-snr --val 0.2 --val-every 3"
	for device in cpu cuda; do
		train $all --device $device --steps 3 -o $device.dtn --log $device.tsv "$G"
		weights $device.dtn > $device
		sed 1d $device.tsv | cut -f 1-6,9- | tr '\t' '\n' | grep -v nan > $device.log
	done
	near cpu cuda 1e-4
	near cpu.log cuda.log 1e-4
}

# One slice on either device, so that the masks are the same.
@test "dropout and classes, in a recorded step too" {
	stream -n 10 -s 5x4x1 -l -c dtn-load > labelled.dtn
	for device in cpu cuda; do
		train --dropout 0.3 --classes --device $device --steps 4 -o $device.dtn labelled.dtn
		weights $device.dtn > $device
	done
	near cpu cuda 1e-4
	local name
	name=$(dtn-info --json cpu.dtn | sed -n 's/.*"labels": *"\([^,"]*\).*/\1/p')
	for how in "--guidance 1 --steps 2" "--guidance 2 --steps 2" "--guide-at 400,700 --steps 9 -b 1" "--guide-at 999,999 --steps 2"; do
		for device in cpu cuda; do
			dtn-sample --device $device --precision f32 -n 2 --class "$name" $how --dtype f32 --force \
				-o $device.samples cpu.dtn
			pixels $device.samples > $device
		done
		near cpu cuda 1e-4
	done
}

@test "the noise that sampling begins with has the CPU's bits" {
	for device in cpu cuda; do
		dtn-sample --device $device --precision f32 -n 3 --first 7 --seed 99 --steps 2 --trace 2 --dtype f32 \
			-o $device.dtn "$F/cpu.dtn"
		dtn-info --dump image $device.dtn > $device
		# of each image the first of two frames: 20 numbers of four bytes
		for i in 0 1 2; do dd if=$device bs=80 skip=$((2 * i)) count=1 status=none; done > $device.first
		pixels $device.dtn > $device.all
	done
	cmp cpu.first cuda.first
	near cpu.all cuda.all 1e-4
}

@test "every sampler, with noise at each step or none, makes the CPU's images" {
	for how in "--sampler ddim --eta 1 --steps 3" "--sampler ddpm --steps 4" "--spacing leading --steps 2 --no-clip" \
		"--sampler dpm++2m --steps 5"; do
		for device in cpu cuda; do
			dtn-sample $how --device $device --precision f32 -n 2 --dtype f32 --force -o $device.dtn "$F/cpu.dtn"
			pixels $device.dtn > $device
		done
		near cpu cuda 1e-4
	done
}

@test "frames at chosen timesteps are the CPU's" {
	for how in "" --trace-x0; do
		for device in cpu cuda; do
			# shellcheck disable=SC2086
			dtn-sample --steps 10 --trace-at 999,499,399,99 $how --device $device --precision f32 -n 3 \
				--dtype f32 -o $device.dtn "$F/cpu.dtn"
			pixels $device.dtn > $device
		done
		same "numbers" $((3 * 5 * 20)) "$(wc -l < cuda)"
		near cpu cuda 1e-4
	done
}

# So narrow that the network's output lies partly over its input.
@test "a step reads all of the output before the next begins" {
	stream -n 4 -s 8x1x3 -c dtn-load > narrow.dtn
	train --channels 8 --mult 1,1 --steps 1 -o narrow.model --device cpu narrow.dtn
	for device in cpu cuda; do
		dtn-sample --device $device --precision f32 -n 2 --steps 3 --dtype f32 -o $device.dtn narrow.model
		pixels $device.dtn > $device
	done
	near cpu cuda 1e-4
}

@test "an image does not depend on the others, nor on how many there are" {
	dtn-sample --device cuda -n 5 --steps 2 --eta 1 --dtype f32 -o all.dtn "$F/cpu.dtn"
	dtn-sample --device cuda -n 1 --first 3 --steps 2 --eta 1 --dtype f32 -o one.dtn "$F/cpu.dtn"
	dtn-sample --device cuda -n 5 -b 2 --steps 2 --eta 1 --dtype f32 -o two.dtn "$F/cpu.dtn"
	dtn-info --dump image all.dtn > all
	dtn-info --dump image one.dtn > one
	dtn-info --dump image two.dtn | cmp - all
	dd if=all bs=80 skip=3 count=1 status=none | cmp - one
}

@test "bf16 trains and samples, close to f32" {
	train --precision bf16 --device cuda --steps 2 -o a.dtn --log a.tsv "$G"
	sed 1d a.tsv | cut -f 4 > a
	sed 1d "$F/cuda.tsv" | head -n 2 | cut -f 4 > b
	paste a b | awk '{ d = $1 - $2; if (d < 0) d = -d; if (d > 0.02 * $2) exit 1 }'
	dtn-sample --device cuda --precision bf16 -n 1 --steps 1 a.dtn > a.samples
	dtn-info -c a.samples
}

@test "what can be used is listed" {
	dtn-info --devices > list
	head -n 1 list | grep -qxE 'cpu	(sse4|avx2|avx512), (f32|bf16)'
	grep -q '^cuda:0	.*compute capability' list
	dtn-info -v --devices > again 2> why
	cmp list again
	[ ! -s why ] || fail "there is one, but: $(cat why)"
	"$F/without/bin/dtn-info" --devices -v > list 2> why
	same "all" cpu "$(cut -f 1 list)"
	grep -q 'dtn-cuda.so: No such file' why
}

@test "no backend, no driver, no such device: one line and status 1" {
	fails 1 '^dtn-sample: --device cuda: .*dtn-cuda.so: No such file' \
		"$F/without/bin/dtn-sample" --device cuda "$F/cpu.dtn"
	fails 1 '^dtn-train: --device cuda:7: no device 7' dtn-train --device cuda:7 $TINY -o a.dtn "$G"
	fails 2 'wants auto, cpu or cuda' dtn-train --device cuda:x $TINY -o a.dtn "$G"
	echo nonsense > "$F/without/lib"
	rm "$F/without/lib"
	mkdir -p "$F/without/lib/dtn"
	echo nonsense > "$F/without/lib/dtn/dtn-cuda.so"
	fails 1 '^dtn-sample: --device cuda: .*dtn-cuda.so' "$F/without/bin/dtn-sample" --device cuda "$F/cpu.dtn"
	rm -r "$F/without/lib"
}

@test "a backend of another version or of other headers is refused" {
	command -v cc > /dev/null || skip "no compiler"
	local field
	mkdir -p bin lib/dtn
	cp "$BIN/dtn-sample" bin
	for field in '"0.0.0", .headers = 1' 'DTN_VERSION, .headers = 1'; do
		printf '#include "kernels/backend.h"\nconst struct dtn_plugin dtn_plugin = { .version = %s };\n' "$field" > p.c
		cc -shared -fPIC -I"$ROOT" -o lib/dtn/dtn-cuda.so p.c
		fails 1 '^dtn-sample: --device cuda: .*dtn-cuda.so: is of (version 0.0.0, not|another build)' \
			bin/dtn-sample --device cuda "$F/cpu.dtn"
	done
}

@test "whatever changes in a header, programs and backend are told another checksum" {
	command -v make > /dev/null || skip "no make"
	local header before
	mkdir copy
	tar -C "$ROOT" -cf - Makefile kernels lib scripts | tar -C copy -xf -
	told() {
		(unset MAKEFLAGS; make -C copy -n CUDA=no build/opt/lib/plugin.o build/opt/tests/cuda/kernels/table.o) |
			grep -o 'DTN_HEADERS=[0-9]*u' | sort -u
	}
	before=$(told)
	for header in kernels/backend.h lib/base.h lib/nn/graph.h lib/nn/op.def lib/rng.h; do
		echo >> "copy/$header"
		same "sums of both" 1 "$(told | wc -l)"
		[ "$(told)" != "$before" ] || fail "$header changed, and $before stayed"
		before=$(told)
	done
}

# Here with the backend of this file for the GPU's, and few tests: one that has cases for cuda, and
# those that have none.
@test "check-cuda passes over tests of the CPU alone, and counts the others" {
	local test
	mkdir -p tree/build/opt/tests tree/tests
	cp -r "$ROOT/scripts" tree
	cp -r "$F/with/bin" "$F/with/lib" tree/build/opt
	mkdir tree/tests/op tree/build/opt/tests/op
	for test in harness.c silu.c update.c vec.c winograd.c; do
		cp "$ROOT/tests/op/$test" tree/tests/op
		[ $test = harness.c ] || cp "$ROOT/build/opt/tests/op/${test%.c}" tree/build/opt/tests/op
	done
	tree/scripts/check-cuda ops > said
	grep -qE '^[0-9]+ passed, 0 failed, 0 skipped$' said
	[ "$(tail -n 1 said | cut -d ' ' -f 1)" -gt 10 ]
	rm tree/build/opt/tests/op/update
	run -1 tree/scripts/check-cuda ops
	[[ $output == *'not ok build/opt/tests/op/update: '* ]]
}

@test "auto goes on with the CPU, and says so with -v" {
	"$F/without/bin/dtn-sample" -v -n 1 --steps 1 "$F/cpu.dtn" > a.dtn 2> said
	grep -q '^dtn-sample: no CUDA (.*): going on with the CPU$' said
	"$F/without/bin/dtn-sample" -n 1 --steps 1 "$F/cpu.dtn" 2> said > b.dtn
	[ ! -s said ]
	cmp a.dtn b.dtn
}

# The stand-in alone can be told to be without a GPU, or to have little memory.
@test "a machine without a GPU, one with little memory" {
	[ -z "${DTN_TEST_CUDA-}" ] || skip "a real GPU"
	STANDIN_DEVICES=0 fails 1 '^dtn-train: --device cuda: no NVIDIA' dtn-train --device cuda $TINY -o a.dtn "$G"
	same "devices" cpu "$(STANDIN_DEVICES=0 dtn-info --devices | cut -f 1)"
	STANDIN_MEMORY=8000 fails 1 'out of memory on cuda: [0-9]+ bytes wanted' \
		dtn-sample --device cuda -n 1 "$F/cpu.dtn"
	STANDIN_MEMORY=40000 fails 3 'wants .* GiB of memory' dtn-train --device cuda $TINY -o a.dtn "$G"
}
