# programs.bash -- a table of all programs, and loops over it
#
# `about` knows how to run each of them.  Points that do not apply to a program pass over it:
# `readers` are those that read a stream, `writers` those that write binary data to standard output,
# and so on.
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2086     # what the tests use; options are lists of words

# Streams and a model for every test of a file, in the folder that is current.
prepare() {
	stream -n 6 -s 8x8x1 -l -c dtn-load > good.dtn
	stream -n 600 -s 32x32x3 -b 64 -i > big.dtn
	stream -n 1 -s 4x4x1 > small.dtn
	make_idx > images-idx3-ubyte
	dtn-train -q $TINY --steps 1 -o model.dtn good.dtn
	cat > nonblock.c <<-'END'
	#include <fcntl.h>
	#include <unistd.h>
	int main(int argc, char **argv)
	{
		for (int fd = 0; fd < 2; fd++)
			fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		execvp(argv[1], argv + 1);
		return argc;
	}
	END
	cc -o nonblock nonblock.c
}

TINY="--channels 8 --mult 1 --groups 4 --blocks 1 -b 4"

# Twenty gray images of 8x8 in MNIST's format.
make_idx() {
	printf '\0\0\10\3\0\0\0\24\0\0\0\10\0\0\0\10'
	seq 1000 9999 | head -c 1280
}

# about PROGRAM: what it reads (samples, model, any, path, nothing), what it writes (stream, png, text;
# file: only with -o), the options it needs, a good operand, and one that makes more than a pipe holds.
about() {
	in=samples out=stream need='' operand=$G big=$D/big.dtn bigneed=''
	case $1 in
	dtn-load) in=path operand=$D/images-idx3-ubyte big=$operand bigneed="-s 200 --rgb" ;;
	dtn-noise) need="-t 5" bigneed="-t 5" ;;
	dtn-train) out=file need="$TINY --steps 1" ;;
	dtn-sample) in=model operand=$D/model.dtn big=$D/model.dtn need="-n 2 --steps 2" \
		bigneed="-n 600 --steps 1 --dtype f32" ;;
	dtn-png) out=png ;;
	dtn-info) in=any out=text ;;
	dtn-cat) ;;
	dtn-schedule) in=nothing out=text operand='' big='' bigneed="-T 100000" ;;
	*) return 1 ;;
	esac
}

# Run PROGRAM with what it needs; more arguments follow.
# shellcheck disable=SC2086
go() {
	local program=$1
	shift
	"$program" $need "$@"
}

# make_with PROGRAM FILE ARGUMENT...: its result, in FILE, from its good operand.
make_with() {
	local program=$1 file=$2
	shift 2
	if [ $out = file ]; then
		go "$program" -o "$file" "$@" $operand
	else
		go "$program" "$@" $operand > "$file"
	fi
}

# each CHOICE COMMAND: run COMMAND PROGRAM for every program of a kind; tell who failed.
each() {
	local choice=$1 program bad='' seen=0
	shift
	for program in $(programs); do
		about "$program" || continue
		$choice || continue
		seen=$((seen + 1))
		rm -rf -- * .[!.]*
		# Within "if" or "||" bash would ignore what fails inside.
		set +e
		(set -e; "$@" "$program")
		[ $? = 0 ] || bad="$bad $program"
		set -e
	done
	((seen > 0)) || fail "no program of this kind was built"
	[ -z "$bad" ] || fail "failed:$bad"
}

all() { true; }
readers() { [ $in = samples ] || [ $in = model ] || [ $in = any ]; }
writers() { [ $out = stream ] || [ $out = png ]; }
printers() { [ $out != file ]; }
streams() { [ $out = stream ]; }
filters() { readers && [ $out = stream ] && [ $in != model ]; }
has() { [[ $("$program" --dump-options) == *$'\t'"--$1"$'\t'* ]]; }
seeded() { has seed; }
outputs() { has output; }

# status EXPECTED COMMAND...: its exit status, whatever it prints.
status() {
	local found=0 expected=$1
	shift
	"$@" || found=$?
	same "status of '$*'" "$expected" "$found"
}

# dtn-train wants a place for its result before anything else.
o() { if [ $out = file ]; then echo "-o f"; fi; }
