#!/usr/bin/env bats
# The pipelines and plots of scripts/, in both forms, with narrow networks and few steps: do they run
# through, and do the pictures have the shapes that they should?

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
	cp -R "$ROOT/scripts" scripts
	make_programs
}

# Scripts run what was built beside them: here programs that obey every option and end soon, because more
# options follow.  Networks are as wide as the scripts say in the long tests only.  Where there is a
# picture for each of a thousand steps, it has one image.
make_programs() {
	local program
	mkdir -p build/opt/bin
	for program in $(programs); do
		ln -s "$BIN/$program" build/opt/bin
	done
	rm build/opt/bin/dtn-train build/opt/bin/dtn-sample
	cat > build/opt/bin/dtn-train <<-END
	#!/bin/sh
	echo "dtn-train \$*" >> commands
	case " \$* " in *" --resume "*) steps=4 ;; *) steps=2 ;; esac
	case " \$* " in *" --resume "*) ;; *" --val "*) set -- "\$@" --val-every 1 ;; esac
	case " \$* " in *" --sample-every "*) set -- "\$@" --sample-every 1 ;; esac
	case " \$* " in *" --resume "*) ;; *) set -- "\$@" $(either "--channels 8" "") -b 4 ;; esac
	exec "$BIN/dtn-train" "\$@" --steps \$steps -j 2
	END
	cat > build/opt/bin/dtn-sample <<-END
	#!/bin/sh
	case " \$* " in *" --trace-at "*) echo "\$*" > sampled; set -- "\$@" --trace-at 999,666,332 ;; esac
	case " \$* " in *" --trace 1001 "*) set -- "\$@" -n 1 ;; esac
	exec "$BIN/dtn-sample" "\$@" --steps 3
	END
	chmod +x build/opt/bin/dtn-train build/opt/bin/dtn-sample
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	DATA=$BATS_FILE_TMPDIR
	SCRIPTS=$DATA/scripts
}

# Scripts have a long form and a quick one, which runs the same programs.  Attention in the long ones takes
# minutes with a sanitizer.
FORMS=("" --quick)
! sanitized || FORMS=(--quick)

# script NAME ARGUMENT...: it says first how long it will take
script() {
	local name=$1
	shift
	rm -rf ./*
	sh "$SCRIPTS/$name" "$@" > said 2>&1 || fail "$name $*: $(cat said)"
	head -n 1 said | grep -qE "^$name: about [0-9]+ (minutes|hours|days|weeks)" || fail "$(cat said)"
	absent 'no level has this size' said
}

# shows "WIDTH HEIGHT CHANNELS" PICTURE
shows() { same "size of $2" "$1" "$(unpng "$2" | head -n 1)"; }

# A picture that gnuplot drew, with something on it: paper alone takes less.
drawn() { [ "$(wc -c < "$1")" -gt 12000 ] || fail "$1 has $(wc -c < "$1") bytes"; }

# said_of WHAT MODEL: what its metadata say
said_of() { dtn-info --json "$2" | jq -r ".meta[\"$1\"]"; }

# --- pipelines ----------------------------------------------------------------------------------------

@test "mnist" {
	local form side
	for form in "${FORMS[@]}"; do
		# shellcheck disable=SC2086
		script mnist $form "$DATA/digits"
		same "rows of the log" 5 "$(wc -l < mnist.tsv)"
		side=$((${#form} ? 582 : 60))
		shows "$side $side 1" mnist.png
		shows "582 582 1" mnist-x0.png
		same "pictures on the way" $((1000 / (${#form} ? 10 : 1) + 1)) "$(ls mnist-x0 | wc -l)"
		cmp mnist.png "mnist-x0/$(ls mnist-x0 | tail -n 1)"
		drawn mnist-loss.png
	done
}

@test "cars" {
	script cars "$DATA/cars"
	for T in 300 1000; do
		shows "266 266 3" cars-$T.png
		shows "398 332 3" cars-$T-trace.png
		same "steps" $T "$(said_of ddpm.steps cars-$T.dtn)"
	done
	script cars --quick -T 6 -s 12 -b 7 "$DATA/cars"
	shows "58 58 3" cars-6.png
	shows "86 72 3" cars-6-trace.png
	grep -q -- '-T 6 .* -b 7 .*--time 100s ' commands
	[ ! -e cars-300.dtn ]
	script cars --quick -T 6 --epochs 9 "$DATA/cars"
	shows "138 138 3" cars-6.png
	grep -q -- '--epochs 9 ' commands
	fails 2 '^usage: cars' sh "$SCRIPTS/cars" --fast "$DATA/cars"
	fails 2 '^usage: cars' sh "$SCRIPTS/cars" -s 64 --quick "$DATA/cars"
}

@test "stanford-cars" {
	script stanford-cars "$DATA/cars"
	shows "464 332 3" stanford-noise.png
	shows "926 332 3" stanford-beside.png
	script stanford-cars --quick "$DATA/cars"
	shows "240 172 3" stanford-noise.png
	shows "478 172 3" stanford-beside.png
	same "pictures on the way" "$(printf '%08d.png\n' 0 1 2 3 4 5 6 7 8)" "$(ls stanford-frames)"
	shows "138 70 3" stanford-frames/00000000.png
	shows "138 70 3" stanford.png
	run ! cmp -s stanford-frames/00000000.png stanford.png
	drawn stanford-schedule.png
	drawn stanford-beta.png
	drawn stanford-loss.png
}

@test "cifar10-cars" {
	local form
	for form in "${FORMS[@]}"; do
		# shellcheck disable=SC2086
		script cifar10-cars $form "$DATA/cifar"
		same "cars" 10 "$(dtn-info --json cifar-data.dtn | jq .samples)"
		same "of them to train on" 9 "$(dtn-info --json cifar-train.dtn | jq .samples)"
		shows "332 332 3" cifar-ddpm.png
		shows "332 332 3" cifar-ddim.png
		same "moving" "266 266 3 4 0" "$("$TOOLS/unapng" cifar.png | head -n 1)"
		# the steps that the script asks for, and no others
		eval "set -- $(sed 's/-n 16/-n 1/; s/cifar.dtn/tiny.dtn/' sampled)"
		"$TOOLS/model" tiny.dtn ddpm.steps=1000
		dtn-sample "$@" > s
		same "frames" 11 "$(dtn-info --json s | jq .samples)"
		drawn cifar-loss.png
		drawn cifar-bins.png
	done
	script cifar10-cars --quick "$DATA/cars"
	same "of a folder" 17 "$(dtn-info --json cifar-train.dtn | jq .samples)"
}

@test "fashion-mnist" {
	local form
	for form in "${FORMS[@]}"; do
		# shellcheck disable=SC2086
		script fashion-mnist $form "$DATA/digits"
		shows "466 466 1" clothes.png
		drawn clothes-loss.png
		[ "$(find clothes-steps -type f | wc -l)" = 2 ]
	done
}

@test "demo" {
	[ -e /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz ] || skip "no dataset-fashion-mnist"
	cp -R "$DATA/build" "$SCRIPTS" .
	rm build/opt/bin/dtn-load
	printf '#!/bin/sh\nexec "%s/dtn-load" "$@" --limit 40\n' "$BIN" > build/opt/bin/dtn-load
	chmod +x build/opt/bin/dtn-load
	sh scripts/demo 1 > said 2>&1 || fail "$(cat said)"
	shows "466 466 1" demo.png
	same "what it says to run is what it runs" \
		"$(sed -n 's/^\$ dtn-load .* | \(dtn-train .*\)/\1/p' said)" "$(cat commands)"
}

@test "cars.mk makes all, and nothing again" {
	run_make() { make -s -f "$SCRIPTS/cars.mk" IMAGES="$DATA/cars" SIZE=8 TIME=1s "$@"; }
	run_make 2> said || fail "$(cat said)"
	shows "146 146 3" cars.png
	drawn cars-loss.png
	run_make -q
	dtn-sample --steps 3 cars.dtn | dtn-png --scale 2 -o at-once.png
	cmp <(unpng at-once.png) <(unpng cars.png)
	touch cars-16.dtn
	same "what is made again" "dtn-cat" "$(run_make -n | cut -d ' ' -f 1)"
	rm cars-16.dtn
	PATH=/usr/bin:/bin run_make cars-16.dtn         # of programs that are built, not installed
}

@test "a wrong argument: how the script is called, before anything is done" {
	local name wrong
	for name in mnist cars stanford-cars cifar10-cars fashion-mnist demo plot-loss plot-bins plot-schedule; do
		for wrong in --help "a b c" --quick ""; do
			[[ $name$wrong != fashion-mnist && $name$wrong != fashion-mnist--quick ]] || continue
			[[ $name$wrong != demo ]] || continue
			# shellcheck disable=SC2086
			fails 2 "^usage: $name .*[A-Z]" sh "$SCRIPTS/$name" $wrong
		done
	done
	same "files" "" "$(ls)"
}

@test "nothing is built, nothing installed: make is what is missing" {
	local name
	cp -R "$SCRIPTS" .
	for name in mnist cars stanford-cars cifar10-cars fashion-mnist; do
		fails 1 "^$name: no dtn-load: run make$" env PATH=/usr/bin:/bin sh "scripts/$name" "$DATA/cars"
	done
	same "files" "scripts" "$(ls)"
}

# --- plots --------------------------------------------------------------------------------------------

@test "plots of tables as the programs write them" {
	local kind
	for kind in linear cosine; do
		dtn-schedule -T 40 --schedule $kind | "$ROOT/scripts/plot-schedule" - $kind.png
		drawn $kind.png
		dtn-schedule -T 40 --schedule $kind > table
		"$ROOT/scripts/plot-schedule" --beta table beta-$kind.png
		shows "1000 350 3" beta-$kind.png
		drawn beta-$kind.png
	done
	shows "1000 700 3" linear.png
	run ! cmp -s linear.png cosine.png
	run ! cmp -s beta-linear.png beta-cosine.png
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
