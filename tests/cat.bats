#!/usr/bin/env bats
# dtn-cat: every sample where it belongs, copied where that can be, classes brought together

load common

setup() { cd "$BATS_TEST_TMPDIR"; }

# The elements of a tensor, as bytes and as numbers.
images() { dtn-info --dump image "$1"; }
labels() { dtn-info --dump label "$1" | od -An -v -td4 -w4 | tr -d ' '; }
count() { dtn-info --json "$1" | jq .samples; }
value() { dtn-info --json "$1" | jq -r ".meta[\"$2\"]"; }
runs() { dtn-info "$1" | sed -n '/made by/,$p' | tail -n +2 | sed 's/^ *[0-9]* *[0-9,-]* *[^ ]* [^ ]*  //'; }

# The numbers of the samples, of up to 36 whose first pixel is 7 times the number modulo 256.
numbers() {
	images "$1" | od -An -v -tu1 -w"${2:-16}" | awk '{ print $1 * 183 % 256 }' | tr '\n' ' ' | sed 's/ $//'
}

@test "without options it is cat(1), byte for byte" {
	stream -n 9 -s 4x4x1 -l -c dtn-load > a
	stream -n 5 -s 4x4x1 -l -c dtn-load -m x.y=z -b 1 > b
	cat a b > expected
	dtn-cat a b | cmp - expected
	cat a b | dtn-cat | cmp - expected
	dtn-cat a - < b | cmp - expected
	dtn-cat -o c a b
	cmp c expected
	dtn-cat -j 2 --no-prov expected | cmp - expected
}

@test "large records of many chunks, of two chunk sizes" {
	stream -n 6 -s 512x512x3 -i -b 3 > a
	stream -n 6 -s 512x512x3 -i -b 4 -k 65536 > b
	cat a b > expected
	dtn-cat a b | cmp - expected
	dtn-cat --split 0.7 -o x -o y a b
	same samples "8 4" "$(count x) $(count y)"
	cat <(images x) <(images y) | cmp - <(images expected)
	dtn-cat --skip 5 --head 3 expected > z
	images z | cmp - <(images expected | tail -c +$((5 * 786432 + 1)) | head -c $((3 * 786432)))
}

@test "the streams of tests/files keep their content" {
	local f n=0
	for f in "$ROOT"/tests/files/good-*.dtn; do
		case $f in
		*mixed*) fails 3 'segment 2: expected samples, found a model$' dtn-cat "$f"; continue ;;
		*unknown-type*) fails 3 'incompatible field "image": u8 .N,3,5,3., expected 0x' dtn-cat "$f"
			continue ;;
		esac
		n=$((n + 1))
		rm -rf x y
		mkdir x y
		dtn-cat "$f" > s
		dtn-info -c s
		"$ROOT/tests/reader.sh" "$f" x | grep -v '^end' > x/list
		"$ROOT/tests/reader.sh" s y | grep -v '^end' > y/list
		diff -r x y
	done
	((n > 10))
}

@test "frames that nobody knows are passed on where they stood" {
	local f=$ROOT/tests/files/good-ancillary.dtn tags='META|RECD|CHNK|INDX|END |FAIL|DTN|[a-z][a-z][a-z][a-z]'
	dtn-cat "$f" > s
	LC_ALL=C grep -aobE "W\*M.{5}($tags)" s | sed 's/.*:W//; s/M.*\(....\)$/\1/' > found
	LC_ALL=C grep -aobE "W\*M.{5}($tags)" "$f" | sed 's/.*:W//; s/M.*\(....\)$/\1/' > expected
	diff expected found
	[ "$(wc -l < found)" -gt 3 ]
}

@test "--skip and --head cut anywhere, whatever the records" {
	local skip head b
	for b in 1 4 5 12 30; do
		stream -n 12 -s 4x4x1 -l -b $b > s
		cat s s > t
		for skip in 0 1 4 11 12 13 23 24 30; do
			for head in 0 1 5 12 100; do
				dtn-cat --skip $skip --head $head t > o
				images o | cmp - <(images t | tail -c +$((skip * 16 + 1)) | head -c $((head * 16)))
				same "labels, $skip $head" "$(labels t | tail -n +$((skip + 1)) | head -n $head)" \
					"$(labels o)"
			done
		done
	done
}

# held COMMAND...: standard input stays open after its end, as long as the command runs
held() {
	local status=0 pid
	rm -f fifo
	mkfifo fifo
	(cat; exec sleep 100) <&0 > fifo &
	pid=$!
	timeout 60 "$@" < fifo || status=$?
	kill $pid
	return $status
}

@test "--head reads no further than it must" {
	stream -n 12 -s 4x4x1 > s
	held dtn-cat --head 12 < s > o
	same samples 12 "$(count o)"
	head -c 700 s | held dtn-cat --head 4 > o
	same samples 4 "$(count o)"
	# also where everything is kept first
	held dtn-cat --head 8 --split 0.5 -o a -o b < s
	same samples "4 4" "$(count a) $(count b)"
}

@test "whole records are copied, not decoded; parts are" {
	stream -n 8 -s 64x64x1 -i -b 4 > s
	# a byte within the second chunk's data: copied with its checksum, found by whoever decodes it
	size=$(wc -c < s)
	dd if=/dev/zero of=s bs=1 count=1 seek=$((size - 5000)) conv=notrunc status=none
	dtn-cat s | cmp - s
	fails 3 'record 1: checksum mismatch' dtn-info -c s
	fails 3 '^dtn-cat: s: record 1: checksum mismatch \(tensor image\)$' dtn-cat -o o -z 1 s
	fails 3 'record 1: checksum mismatch' dtn-cat -o o --skip 5 s
	fails 3 'record 1: checksum mismatch' dtn-cat -o o --shuffle 1 s
	dtn-cat --head 4 s | dtn-info -c
	dtn-cat --split 0.5 -o x -o y s
	dtn-info -c x
	fails 3 'record 0: checksum mismatch' dtn-info -c y
	fails 3 'record 1: checksum mismatch' dtn-cat --split 0.6 -o x -o y s
}

@test "-z compresses anew" {
	stream -n 64 -s 64x64x3 -l > s
	dtn-cat -z 0 s > none
	dtn-cat -z 19 s > much
	((2 * $(wc -c < much) < $(wc -c < none)))
	dtn-cat -z 1 none | cmp - s
	dtn-cat -z 1 much > again
	cmp again s
	dtn-cat -z 0 --split 0.5 -o x -o y s
	(($(wc -c < x) > 64 / 2 * 64 * 64 * 3))
}

@test "--shuffle: each sample once, with its label, in the order of dtn-load --shuffle" {
	stream -n 36 -s 4x4x1 -l -b 5 > s
	dtn-cat --shuffle 3 s > o
	same "all" "$(seq 0 35 | sort)" "$(numbers o | tr ' ' '\n' | sort)"
	[ "$(numbers o)" != "$(numbers s)" ]
	same "labels" "$(for i in $(numbers o); do echo $((i % 10)); done)" "$(labels o)"
	dtn-cat --shuffle 3 s | cmp - o
	cat s | dtn-cat --shuffle 3 - | cmp - o
	dtn-cat --shuffle 4 s > p
	[ "$(numbers o)" != "$(numbers p)" ]
	stream -n 36 -s 4x4x1 | dtn-png --each d
	dtn-load d > l
	dtn-load --shuffle 3 d > ls
	dtn-cat --shuffle 3 l > c
	cmp <(images ls) <(images c)
}

@test "the records of the input do not matter to --shuffle, nor does the memory" {
	local size
	stream -n 300 -s 16x16x3 -l -b 7 > a
	stream -n 300 -s 16x16x3 -l -b 300 > b
	dtn-cat --no-prov --shuffle 1 a > o
	dtn-cat --no-prov --shuffle 1 b | cmp - o
	for size in 0 1 1000 100K 231600 1G; do
		dtn-cat --no-prov --shuffle 1 --max-mem $size a | cmp - o
		dtn-cat --no-prov --split 0.33 --max-mem $size -o x$size -o y$size a
		cmp x$size x0
		cmp y$size y0
	done
	# of several records
	stream -n 40 -s 512x512x1 > a
	dtn-cat --shuffle 1 a > o
	((3 <= $(dtn-info --json o | jq .records)))
	dtn-cat --shuffle 1 --max-mem 5M a | cmp - o
}

@test "data beyond --max-mem go to a temporary file, of which nothing stays" {
	stream -n 3000 -s 64x64x3 > s
	mkdir t
	peak() { command time -f %M -o peak "$@" > o; cat peak; }
	more=$(TMPDIR=t peak dtn-cat --shuffle 1 s)
	less=$(TMPDIR=t peak dtn-cat --shuffle 1 --max-mem 4M s)
	sanitized || ((more > 36000 && less < 24000)) || fail "$more kB, with --max-mem 4M $less kB"
	same "files left" "" "$(ls -A t)"
	fails 1 '^dtn-cat: temporary file in no/where: No such file or directory$' \
		env TMPDIR=no/where dtn-cat --max-mem 4M --shuffle 1 -o x s
	[ ! -e x ]
}

@test "--split divides all, in order, rounded" {
	local f n o
	stream -n 7 -s 4x4x1 -l > s
	for f in 0:0 1:7 0.5:4 0.85:6 0.07:0 0.08:1 1e-9:0; do
		n=${f#*:} f=${f%:*}
		dtn-cat --split $f -o a -O b s
		same "first of $f" $n "$(count a)"
		same "second of $f" $((7 - n)) "$(count b)"
		dtn-cat --no-prov a b > both
		cmp <(images both) <(images s)
		cmp <(labels both) <(labels s)
	done
	dtn-cat --split 0.5 -o - -O b s > a
	same samples 4 "$(count a)"
	for o in "-O y -o x" "-o x -o y" "--rest y --output x"; do
		rm -f x y
		# shellcheck disable=SC2086
		dtn-cat --split 0.5 $o s
		cmp a x
		cmp b y
	done
	dtn-cat --shuffle 5 s > x
	dtn-cat --shuffle 5 --split 0.5 -o a -o b s
	same order "$(numbers x)" "$(numbers a) $(numbers b)"
	stream -n 1 > one
	dtn-cat --split 0.5 -o a -o b one
	same "half of one" "1 0" "$(count a) $(count b)"
}

@test "classes, then shuffling, skipping, counting, splitting, however they are given" {
	stream -n 36 -s 4x4x1 -l > s
	dtn-cat --class 3 --class 7 s | dtn-cat --shuffle 2 - | dtn-cat --skip 1 - | dtn-cat --head 4 > o
	dtn-cat --head 4 --skip 1 --shuffle 2 --class 7 --class 3 s > p
	same samples "$(numbers o)" "$(numbers p)"
	dtn-cat --class 3 --class 7 --skip 1 --head 5 s > p
	same samples "7 13 17 23 27" "$(numbers p)"
	dtn-cat --class 3 --class 7 --skip 1 --head 5 --split 0.5 -o a -o b s
	same samples "7 13 17, 23 27" "$(numbers a), $(numbers b)"
}

@test "--class by name, by number, unknown, without labels" {
	stream -n 36 -s 4x4x1 -l -m labels=a,b,c%2Cd,e,f,g,h,i,j,3 > s
	dtn-cat --class c%2Cd s > o
	same samples "2 12 22 32" "$(numbers o)"
	same "names stay" a,b,c%2Cd,e,f,g,h,i,j,3 "$(value o labels)"
	same "two at once" "2 6 12 16 22 26 32" "$(dtn-cat --class c%2Cd,h s > p; numbers p)"
	fails 3 'no class "c"' dtn-cat --class c,d -o o s
	dtn-cat --class 3 s > o
	same "a name before a number" "9 19 29" "$(numbers o)"
	fails 3 '^dtn-cat: s: no class "k"; there are a,b,c%2Cd,e,f,g,h,i,j,3$' dtn-cat --class k -o o s
	fails 3 'no class "0"' dtn-cat --class a --class 0 -o o s
	dtn-cat --class k s 2> e | dtn-info -c 2> e2 || true
	grep -q 'upstream failed: dtn-cat: s: no class "k"' e2
	stream -n 36 -s 4x4x1 -l > n
	dtn-cat --class 3 n > o
	same "by number" "3 13 23 33" "$(numbers o)"
	fails 3 '^dtn-cat: n: no sample of class 10 ' dtn-cat --class 10 -o o n
	fails 3 'no sample of class x' dtn-cat --class x -o o n
	stream -n 4 > u
	fails 3 '^dtn-cat: u: record 0: no labels to choose classes by$' dtn-cat --class 3 -o o u
	stream -n 36 -s 4x4x1 -l -m labels=a,b > few
	fails 3 '^dtn-cat: few: record 0: label 2, but 2 classes have names$' dtn-cat --class a -o o few
	# a class of the first stream alone is no error, nor one that comes too late for --head
	stream -n 4 -l -m labels=w,x,y,z -s 4x4x1 > w
	dtn-cat --class z s w > o
	same samples 1 "$(count o)"
	dtn-cat --class a --class z --head 2 s w > o
	same samples "0 10" "$(numbers o)"
}

@test "classes of several streams become one list" {
	stream -n 4 -s 4x4x1 -l -m labels=cat,dog,cow,hen > a
	stream -n 3 -s 4x4x1 -l -m labels=dog,eel,cat > b
	dtn-cat a b > o
	same numbers "0 1 2 3 1 4 0" "$(labels o | tr '\n' ' ' | sed 's/ $//')"
	head -c "$(wc -c < a)" o | cmp - a
	tail -c +$(($(wc -c < a) + 1)) o > second
	same "the later list" "cat,dog,cow,hen,eel" "$(value second labels)"
	same "dtn-info tells the longest" "cat,dog,cow,hen,eel" "$(value o labels)"
	same "in any order" "cat,dog,cow,hen,eel" "$(cat second a | value - labels)"
	dtn-info o 2> err > said
	[ ! -s err ]
	cat a b | dtn-info 2> err > said
	same warning "dtn-info: warning: stdin: segments number their classes differently; dtn-cat makes one \
list" "$(cat err)"
	images o | cmp - <(cat a b | dtn-info --dump image)
	same "the first as it was; a run where labels changed" "dtn-cat" "$(runs second)"
	same "no run where nothing changed" "" "$(runs a)"
	dtn-cat --shuffle 0 a b > o
	same "one list" "cat,dog,cow,hen,eel" "$(value o labels)"
	same "one segment" 1 "$(dtn-info --json o | jq .segments)"
	same numbers "0 0 1 1 2 3 4" "$(labels o | sort | tr '\n' ' ' | sed 's/ $//')"
	dtn-cat --split 1 -o o -o p a b
	same numbers "0 1 2 3 1 4 0" "$(labels o | tr '\n' ' ' | sed 's/ $//')"
	dtn-cat --class dog a b > o
	same dogs "1 1" "$(labels o | tr '\n' ' ' | sed 's/ $//')"
	dtn-cat a a > o
	cmp o <(cat a a)
	stream -n 4 -s 4x4x1 -l > none
	fails 3 '^dtn-cat: none: record 0: classes without names, after classes with names$' \
		dtn-cat -o o a none
	fails 3 '^dtn-cat: a: record 0: classes with names, after classes without names$' \
		dtn-cat --shuffle 1 -o o none a
	stream -n 4 -s 4x4x1 -l -m labels=dog,cat > few
	fails 3 '^dtn-cat: few: label 2, but 2 classes have names$' dtn-cat -o o a few
}

@test "a hundred thousand names of classes" {
	awk 'BEGIN { for (i = 0; i < 130000; i++) printf "%s%x", i ? "," : "", i }' > names
	awk 'BEGIN { for (i = 130000; i-- > 0;) printf "%x%s", i, i ? "," : "" }' > reversed
	# more than a command line takes at once
	printf '#include "format/dtn.h"\n#include "lib/output.h"\n#include <stdio.h>
		int main(int argc, char **argv) { static char t[1 << 20]; struct dtn_output o; struct dtn_meta m = {0};
		struct dtn_writer *w; int n = fread(t, 1, sizeof(t) - 1, stdin); (void)argc; dtn_begin(argv); t[n] = 0;
		dtn_meta_set(&m, "labels", "%%s", t); dtn_output_open(&o, NULL, false); w = dtn_writer_open(&o, 1);
		dtn_write_segment(w, DTN_SAMPLES, &m, NULL); dtn_write_end(w); dtn_writer_close(w); return 0; }' > make.c
	cc -D_GNU_SOURCE -I"$ROOT" -o make make.c "$ROOT/build/opt/libdtn.a" -lzstd -lz
	./make < names > a
	./make < reversed > b
	limited 5 1024 dtn-cat a b a b > o
	same segments 4 "$(dtn-info --json o | jq .segments)"
	limited 5 1024 dtn-cat --split 0.5 -o x -o y a b
}

@test "one segment of several keeps what all say" {
	stream -n 2 -s 4x4x1 -m sample.seed=7 -m sample.steps=50 -m x.a=1 -c dtn-load > a
	stream -n 2 -s 4x4x1 -m x.b=2 -m sample.steps=50 -m sample.seed=8 -c dtn-sample > b
	dtn-cat --shuffle 1 a b > o
	same "what is said" '{"image.layout":"NHWC","sample.steps":"50"}' "$(dtn-info --json o | jq -c .meta)"
	same runs "$(printf '%s\n' stream "dtn-cat --shuffle 1")" "$(runs o)"
	dtn-cat --no-prov --shuffle 1 a b > o
	same runs "stream" "$(runs o)"
	dtn-cat --head 3 a b > o
	same "the first segment's" 7 "$(value o sample.seed)"
}

@test "the runs that are recorded" {
	stream -n 9 -l -c dtn-load > s
	same "plain" stream "$(dtn-cat s | runs -)"
	same "--head" "$(printf '%s\n' stream 'dtn-cat --head 3')" "$(dtn-cat --head 3 -j 2 s | runs -)"
	same "--no-prov" stream "$(dtn-cat --head 3 --no-prov s | runs -)"
	dtn-cat --max-mem 1M --split 0.5 -o a -O b s
	same "--split" "$(printf '%s\n' stream 'dtn-cat --split 0.5')" "$(runs b)"
}

@test "what does not fit together" {
	stream -n 2 -s 8x8x1 > a
	stream -n 2 -s 8x9x1 > b
	fails 3 '^dtn-cat: b: record 0: incompatible field "image": u8 \[N,8,9,1\], expected u8 \[N,8,8,1\]$' \
		dtn-cat -o o a b
	stream -n 2 -s 8x8x1 -t f32 > b
	fails 3 'incompatible field "image": f32 \[N,8,8,1\], expected u8' dtn-cat -o o a b
	cat a a b > all
	fails 3 '^dtn-cat: all: segment 3: record 0: incompatible' dtn-cat --shuffle 1 -o o all
	stream -n 2 -s 8x8x1 -l > b
	fails 3 'b: record 0: fields "image", "label", expected "image"$' dtn-cat -o o a b
	fails 3 'a: record 0: fields "image", expected "image", "label"$' dtn-cat -o o b a
	stream -n 2 -s 8x8x1 -m image.range=-1,1 > b
	fails 3 '^dtn-cat: b: image.range -1,1, expected no image.range$' dtn-cat -o o a b
	stream -n 2 -s 8x8x1 -m sample.frames=2 > b
	fails 3 'b: trajectories of 2 frames, expected no trajectories$' dtn-cat -o o a b
	fails 3 'a: no trajectories, expected trajectories of 2 frames$' dtn-cat -o o b a
	stream -n 2 -s 8x8x1 -m noise.frames=2 > c
	fails 3 'c: strips of 2 timesteps, expected no strips$' dtn-cat -o o a c
	[ ! -e o ]
	stream -n 2 -s 8x8x1 -m sample.frames=0 > b
	fails 3 'sample.frames: no number of frames: 0' dtn-cat -o o b
}

@test "trajectories stay whole and count as one" {
	stream -n 30 -s 4x4x1 -m sample.frames=5 -b 4 > s
	dtn-cat --skip 1 --head 2 s > o
	same samples "5 6 7 8 9 10 11 12 13 14" "$(numbers o)"
	dtn-cat --head 3 s > o
	same samples "$(seq -s ' ' 0 14)" "$(numbers o)"
	dtn-cat --shuffle 1 s > o
	same "whole ones" "$(numbers o | tr ' ' '\n' | awk '{ f = $1 % 5; if (f == 0) t = $1; print t + f }' | xargs)" \
		"$(numbers o)"
	same all "$(seq 0 29 | sort)" "$(numbers o | tr ' ' '\n' | sort)"
	same frames 5 "$(value o sample.frames)"
	dtn-cat --shuffle 1 --max-mem 10 s | cmp - <(dtn-cat --shuffle 1 --max-mem 1G s)
	dtn-cat --split 0.5 -o a -o b s
	same split "15 15" "$(count a) $(count b)"
	dtn-cat --shuffle 2 --split 0.34 -o a -o b s
	same split "10 20" "$(count a) $(count b)"
	stream -n 30 -s 4x4x1 -m noise.frames=5 | dtn-cat --skip 5 > o
	same "of timesteps, too" "25 26 27 28 29" "$(numbers o)"
	stream -n 29 -s 4x4x1 -m sample.frames=5 > t
	fails 3 '^dtn-cat: t: 29 samples are no whole trajectories of 5 frames$' dtn-cat -o o t
	fails 3 'no whole trajectories' dtn-cat --shuffle 1 -o o t
}

@test "options that cannot be" {
	local o
	stream > s
	fails 2 '^dtn-cat: --split wants -o FILE and -O FILE$' dtn-cat --split 0.5 s
	fails 2 '^dtn-cat: --split wants -o FILE and -O FILE$' dtn-cat --split 0.5 -o a s
	fails 2 '^dtn-cat: --split wants -o FILE and -O FILE$' dtn-cat --split 0.5 -O a s
	fails 2 '^dtn-cat: two outputs are for --split$' dtn-cat -o a -o b s
	fails 2 '^dtn-cat: two outputs are for --split$' dtn-cat -O b s
	fails 2 '^dtn-cat: more than two outputs$' dtn-cat --split 0.5 -o a -O b -o c s
	fails 2 '^dtn-cat: more than two outputs$' dtn-cat --split 0.5 -O a -O b s
	fails 2 '^dtn-cat: more than two outputs$' dtn-cat --split 0.5 -o a -o b -o c s
	fails 2 'to the same file twice' dtn-cat --split 0.5 -o a -O a s
	fails 2 'to the same file twice' dtn-cat --split 0.5 -o - -o - s
	mkdir d
	ln -s ../a d/link
	for o in ./a d/../a "$PWD/a" d/link; do
		fails 2 "to the same file twice: $o$" dtn-cat --split 0.5 -o a -O "$o" s
	done
	same "files left" "d s" "$(ls -A | grep -v '^\.err\|^\.out' | xargs)"
	dtn-cat --split 0.5 -o a -O d/a s
	cmp <(images s) <(images a; images d/a)
	ln -f a b
	fails 2 'to the same file twice' dtn-cat --split 0.5 -o a -o b s
	for o in '--split 1.5' '--split -0.1' '--split x' '--split nan' '--head -1' '--skip x' '--shuffle 1.5' \
		'--head 18446744073709551616'; do
		# shellcheck disable=SC2086
		fails 2 "^dtn-cat: ${o}: wants " dtn-cat $o s
	done
}

@test "samples without classes or bytes, segments without samples, records without" {
	stream -n 0 > none
	dtn-cat none none | cmp - <(cat none none)
	dtn-cat --shuffle 1 none > o
	dtn-cat --split 0.5 -o a -o b none none
	same samples "0 0 0" "$(count o) $(count a) $(count b)"
	dtn-cat --head 2 none <(stream -n 3) > o
	same samples 2 "$(count o)"
	stream -n 5 -s 0x4x1 -l > empty
	dtn-cat --shuffle 1 empty | dtn-cat --head 3 > o
	same samples 3 "$(count o)"
	f=$ROOT/tests/files/good-scalar.dtn
	fails 3 'no batch of samples|belongs to the whole record' dtn-cat --shuffle 1 "$f"
}

@test "truncated input and failed producers leave no file, however it is read" {
	local n size how
	stream -n 8 -s 4x4x1 -l > s
	size=$(wc -c < s)
	for how in '--shuffle 1 -o a' '--split 0.5 -o a -o b' '--class 3 -o a' '-z 3 -o a' '--skip 2 -o a'; do
		for ((n = 0; n < size; n += 41)); do
			# shellcheck disable=SC2086
			head -c $n s | fails 3 'truncated|empty input' dtn-cat $how
			same "files after $n with $how" s "$(ls)"
		done
	done
	for how in '--shuffle 1' '--class 3' '--skip 3'; do
		# shellcheck disable=SC2086
		fails 3 'upstream failed: dtn-load: a.png' dtn-cat $how "$ROOT/tests/files/bad-failed.dtn"
	done
}

@test "a flipped bit is noticed by dtn-cat, or by whoever reads what it copied" {
	local i size status step
	step=$(either 7 1)
	stream -n 3 -s 4x4x1 -l > s
	images s > expected
	labels s > expected.labels
	size=$(wc -c < s)
	for ((i = 0; i < size; i += step)); do
		flip $i s t
		status=0
		dtn-cat t > o 2> e || status=$?
		[ $status = 3 ] || [ $status = 0 ] || fail "status $status at $i: $(cat e)"
		if dtn-info -c o 2> e; then
			same "status at $i" 0 $status
			images o | cmp - expected
			labels o | cmp - expected.labels
		fi
	done
}

@test "hostile streams: refused, or copied as they are for others to refuse" {
	local name message status n=0
	"$ROOT/build/opt/tests/format/hostile" --write .
	while IFS=$'\t' read -r name message; do
		n=$((n + 1))
		status=0
		limited 2 256 dtn-cat "$name.dtn" > o 2> e || status=$?
		[ $status = 3 ] || [ $status = 0 ] || fail "$name: status $status, $(cat e)"
		if [ -n "$message" ] && [ $status = 0 ]; then
			[[ $message == *"corrupt chunk"* || $message == *"(tensor"* || $message == "index does"* ]] ||
				fail "$name is accepted"
			[[ $message == "index does"* ]] || fails 3 "$(printf %.20s "${message//[^a-z ]/.}")" \
				dtn-info -c o
		fi
		[ $status = 0 ] || same "lines of $name" 1 "$(wc -l < e)"
		status=0
		limited 2 256 dtn-cat --shuffle 1 "$name.dtn" > o 2> e || status=$?
		[ $status = 3 ] || { [ $status = 0 ] && [[ -z $message || $message == "index does"* ]]; } ||
			fail "$name with --shuffle: status $status, $(cat e)"
	done < cases
	((n > 250))
}

@test "models are refused" {
	stream -n 4 -s 8x8x1 | dtn-train -q --channels 8 --mult 1 --groups 4 --blocks 1 -b 4 --steps 1 -o m
	fails 3 '^dtn-cat: m: expected samples, found a model$' dtn-cat m
	fails 3 'expected samples, found a model$' dtn-cat --shuffle 1 m
}

@test "ten thousand segments" {
	local i
	stream -n 1 -s 2x2x1 -l > a
	for i in 1 2 3 4; do
		cat a a a a a a a a a a > b
		mv b a
	done
	limited 20 256 dtn-cat a | cmp - a
	limited 20 256 dtn-cat --shuffle 1 a > o
	same samples 10000 "$(count o)"
	same records 1 "$(dtn-info --json o | jq .records)"
}
