#!/usr/bin/env bats
# What measures speed compares equals: the networks, and what the figures are called.

load common

setup() { cd "$BATS_TEST_TMPDIR"; }

# model NETWORK OPTION...: one step of it
model() {
	local network=$1
	shift
	sh "$ROOT/scripts/bench-model" "$network" m.dtn --device cpu -b 1 --steps 1 -z 0 "$@"
}

@test "a network that is compared with PyTorch's has as many weights" {
	local pair
	for pair in small:1539329 medium:8952067 $(either "" large:35746307); do
		grep -q "\"${pair%:*}\": .* ${pair#*:})" "$ROOT/scripts/pytorch-bench.py" || fail "PyTorch's has not ${pair#*:}"
		same "it says" "${pair%:*}: ${pair#*:} weights" "$(model "${pair%:*}")"
	done
}

@test "another network is no comparison" {
	fails 1 '^bench-model: small has 1062497 weights, not 1539329: no comparison$' model small --blocks 1
	fails 2 'no network is named tiny' model tiny
	fails 2 '^usage' sh "$ROOT/scripts/bench-model" small
}

@test "one evaluation of the network is called forward" {
	"$ROOT/build/opt/tests/bench/net" 0 28x28x1-1.5M forward > said
	grep -qE '^28x28x1-1.5M +forward .* images/s' said
	grep -q '^#   1539329 weights$' said
	"$ROOT/build/opt/tests/bench/net" 0 28x28x1-1.5M sample > said
	absent images/s said
}

# On a machine without a GPU: programs that leave the GPU aside and do little.
@test "bench-cuda says what it measured, of which network" {
	local p
	mkdir -p scripts build/opt/bin build/opt/tests
	cp "$ROOT"/scripts/bench-* scripts
	ln -s "$TOOLS" build/opt/tests/tools
	little() { printf '#!/bin/sh\n%s\n' "$2" > "build/opt/bin/$1" && chmod +x "build/opt/bin/$1"; }
	little dtn-info "[ \$1 != --devices ] || { echo cuda:0; exit; }; exec $BIN/dtn-info \"\$@\""
	little dtn-train "exec $BIN/dtn-train \"\$@\" --device cpu --precision f32 -b 1 --steps 1"
	little dtn-sample "exec $BIN/dtn-sample \"\$@\" --device cpu --precision f32 -n 2 --steps 2"
	PYTHON='' scripts/bench-cuda 9 small > said
	same "weights" 2 "$(grep -c '^small: 1539329 weights$' said)"
	for p in "train f32 batch 128" "train bf16 batch 128" "sample bf16, 50 steps, 256 at once" \
		"sample bf16, 50 steps, 8 at once"; do
		grep -qE "^small $p: [0-9.]+ images/s$" said || fail "$p: $(cat said)"
	done
	run -2 scripts/bench-cuda 9 tiny
}
