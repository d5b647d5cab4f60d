#!/usr/bin/env bats
# Building and installing, and what make does with the programs.

load common

setup() { cd "$BATS_TEST_TMPDIR"; }

# make with the settings that it was called with, but not its jobs
mk() { MAKEFLAGS=$(sed -E 's/ ?-j[0-9]*//; s/ ?--jobserver-[a-z]+=[^ ]*//g' <<< "${MAKEFLAGS-}") make "$@"; }

@test "a second make does nothing" {
	mk --no-print-directory -C "$ROOT" all > said
	absent '-c -o\|ar -rcs' said
	absent 'bin/dtn-' said
}

@test "54: install and uninstall keep to DESTDIR and PREFIX" {
	local p
	umask 022
	mk -C "$ROOT" install DESTDIR="$PWD/d" PREFIX=/usr > said
	same "what is in d" usr "$(ls d)"
	for p in $(programs); do
		same "mode of $p" 755 "$(stat -c %a "d/usr/bin/$p")"
		[ "$(stat -c %s "d/usr/bin/$p")" -lt 1000000 ] || fail "$(ls -l "d/usr/bin/$p")"
		same "mode of $p.1" 644 "$(stat -c %a "d/usr/share/man/man1/$p.1")"
		[ -s "d/usr/share/bash-completion/completions/$p" ]
		[ -s "d/usr/share/zsh/site-functions/_$p" ]
		[ -s "d/usr/share/fish/vendor_completions.d/$p.fish" ]
		same "version of the installed $p" "$("$p" --version)" "$("d/usr/bin/$p" --version)"
	done
	[ -s d/usr/share/man/man5/dtn.5 ]
	cmp "$ROOT/format/dtn.magic" d/usr/share/dtn/dtn.magic
	same "programs" "$(programs | sort)" "$(ls d/usr/bin)"
	if [ -e "$BIN/../lib/dtn/dtn-cuda.so" ]; then [ -x d/usr/lib/dtn/dtn-cuda.so ]; fi
	mk -C "$ROOT" uninstall DESTDIR="$PWD/d" PREFIX=/usr > said
	same "files after uninstall" "" "$(find d ! -type d)"
	rm -r d
	mk -C "$ROOT" uninstall DESTDIR="$PWD/d" PREFIX=/usr > said
	[ ! -e d ]
}

@test "54: other folders for programs and data" {
	mk -C "$ROOT" install DESTDIR="$PWD/d" PREFIX=/opt/dtn BINDIR=/opt/programs MANDIR=/man > said
	[ -x d/opt/programs/dtn-info ]
	[ -s d/man/man1/dtn-info.1 ]
	same folders "man opt" "$(echo $(ls d))"
	mk -C "$ROOT" uninstall DESTDIR="$PWD/d" PREFIX=/opt/dtn BINDIR=/opt/programs MANDIR=/man > said
	same "files after uninstall" "" "$(find d ! -type d)"
}

@test "54: a copy in another folder builds with clang, without a warning" {
	mkdir "a copy"
	tar -C "$ROOT" -cf - Makefile cmd format kernels lib man scripts | tar -C "a copy" -xf -
	(unset MAKEFLAGS; make -j2 -C "a copy" CC=clang OPT=-O0 CUDA=no all) > said 2>&1 || fail "$(tail -n 20 said)"
	! grep -E 'warning:|error:' -A 4 said || fail "warnings"
	same version "$(dtn-info --version)" "$("a copy/build/opt/bin/dtn-info" --version)"
	stream -n 3 -s 8x8x1 > s
	same "what it says" "$(dtn-info s)" "$("a copy/build/opt/bin/dtn-info" s)"
	make -C "a copy" clean > said
	[ ! -e "a copy/build" ]
}

@test "what tests/lint complains of is in its exit status" {
	mkdir -p tree/cmd tree/scripts tree/tests
	cp "$ROOT/Makefile" tree
	cp "$ROOT/tests/lint" tree/tests
	cp "$ROOT/scripts/demo" tree/scripts
	cp "$ROOT/cmd/dtn-schedule.c" tree/cmd
	sh tree/tests/lint > said
	absent '^not ok' said
	printf '\t\n' >> tree/cmd/dtn-schedule.c
	run -1 sh tree/tests/lint
	grep -q '^# .*dtn-schedule.c:[0-9]*: blanks at the end$' <<< "$output"
}

@test "57: a pipeline in a Makefile: made once, and again after an interruption" {
	mkdir photos
	stream -n 6 -s 8x8x1 | dtn-png --each photos
	cat > Makefile <<-'END'
	.RECIPEPREFIX = >
	STEPS = 2
	all.png: model.dtn
	> dtn-sample -n 4 --steps 2 model.dtn | dtn-png -o $@
	model.dtn: photos.dtn
	> dtn-train --channels 8 --mult 1 --groups 4 --steps $(STEPS) -b 4 --log log -o $@ photos.dtn
	photos.dtn: photos
	> dtn-load -o $@ photos
	END
	unset MAKEFLAGS
	make > said
	same "programs that ran" 4 "$(grep -o 'dtn-[a-z]* -' said | wc -l)"
	make > said
	grep -q 'up to date' said
	touch photos
	cp model.dtn old
	rm log
	setsid env --default-signal=INT make STEPS=1000000 > said 2>&1 3>&- & pid=$!
	for _ in $(seq 400); do
		[ ! -s log ] || [ "$(wc -l < log)" -lt 3 ] || break
		sleep 0.05
	done
	kill -INT -- -$pid
	wait $pid && fail "make succeeded: $(cat said)"
	cmp old model.dtn || [ ! -e model.dtn ]
	[ -e model.dtn.ckpt ]
	make > said
	grep -q 'dtn-train' said
	dtn-info -c model.dtn
	make > said
	grep -q 'up to date' said
}
