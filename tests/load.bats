#!/usr/bin/env bats
# dtn-load: which images are found, in which order, what their pixels and labels are, what is refused

load common

setup() { cd "$BATS_TEST_TMPDIR" || exit; }

picture() { "$TOOLS/picture" "$@"; }

# pixels STREAM: the values of all images on one line; labels STREAM: the numbers of their classes.
pixels() { dtn-info --dump image "$1" | od -An -v -tu1 -w1000000 | tr -s ' ' | sed 's/^ //'; }
labels() { dtn-info --dump label "$1" | od -An -v -td4 -w1000000 | tr -s ' ' | sed 's/^ //'; }
no_labels() { absent '"label"' <(dtn-info --json "$1"); }
names() { dtn-info "$1" | sed -n 's/^ *labels = //p'; }
dims() { dtn-info --json "$1" | tr -d ' \n' | grep -oE '"name":"image"[^}]*' | grep -oE '\[[0-9,]*\]'; }

@test "pixels arrive as they are, gray or RGB as the first image is" {
	mkdir d
	picture png -s 2x2 -k gray -v 1 > d/a.png
	picture png -s 2x2 -v 2 > d/b.png
	dtn-load d > s
	same dims '[2,2,2,1]' "$(dims s)"
	same gray "7 12 10 15" "$(pixels s | cut -d ' ' -f 1-4)"
	dtn-load d/b.png > s
	same RGB "14 25 36 19 30 41 17 28 39 22 33 44" "$(pixels s)"
	dtn-load --rgb d > s
	same dims '[2,2,2,3]' "$(dims s)"
	same "gray as RGB" "7 7 7 12 12 12 10 10 10 15 15 15" "$(pixels s | cut -d ' ' -f 1-12)"
	dtn-load --gray d/b.png > s             # 0.299 14 + 0.587 25 + 0.114 36 = 22.97
	same "RGB as gray" "23 28 26 31" "$(pixels s)"
}

@test "16 bits, interlacing and transparency" {
	picture png -s 4x2 -k gray16 > a.png
	dtn-load a.png > s
	same "high bytes" "0 5 10 15 3 8 13 18" "$(pixels s)"
	picture png -s 19x13 > a.png
	picture png -s 19x13 -k interlaced > b.png
	dtn-load a.png > a
	dtn-load b.png > b
	same interlaced "$(pixels a)" "$(pixels b)"
	picture png -s 4x1 -k graya > a.png
	dtn-load a.png > s
	same "white shows through" "255 255 10 15" "$(pixels s)"
	picture png -s 2x1 -k rgba > a.png
	dtn-load a.png > s
	same "white shows through" "255 255 255 5 16 27" "$(pixels s)"
}

@test "folders are searched in the order of bytes, whatever order files were made in" {
	local f
	mkdir -p d/b d/a-x d/a
	for f in 6:d/z.png 4:d/b/1.PNG 3:d/a/2.jpeg.png 1:d/B.png 2:d/a-x/1.png 5:d/é.png; do
		picture png -s 1x1 -k gray -v "${f%%:*}" > "${f#*:}"
	done
	dtn-load --labels none d/ > s
	same order "7 14 21 28 42 35" "$(pixels s)"
	# the same as
	# shellcheck disable=SC2046
	dtn-load $(find d -type f | sort) > t
	same order "$(pixels s)" "$(pixels t)"
}

@test "what is no image in a folder is passed over" {
	mkdir -p d/.hidden d/sub
	picture png -s 1x1 -k gray -v 3 > d/1.png
	cp d/1.png d/.hidden/2.png
	cp d/1.png d/._2.png
	cp d/1.png d/no-ending
	echo "not an image" | tee d/README > d/labels.csv
	mkfifo d/pipe.png
	ln -s /dev/zero d/zero.png
	ln -s .. d/sub/up
	ln -s . d/again
	timeout 10 dtn-load --labels none d > s 2> err
	same images "21 21" "$(pixels s)"
	same stderr "" "$(cat err)"
	dtn-load -v --labels none d 2>&1 > s | grep -q "README: no image, passed over"
	mkdir empty
	fails 3 "empty: no images" dtn-load empty
	echo text > empty/notes.txt
	fails 3 "empty: no images" dtn-load empty
	echo GIF89a > empty/x.gif
	fails 3 "empty/x.gif: GIF" dtn-load empty
}

@test "one size is kept; different ones are fitted to 64x64, and one line says so" {
	mkdir d
	for i in 1 2 3; do picture png -s 5x3 -v $i > d/$i.png; done
	dtn-load d > s 2> err
	same dims '[3,3,5,3]' "$(dims s)"
	same stderr "" "$(cat err)"
	picture png -s 5x4 > d/4.png
	dtn-load d > s 2> err
	same dims '[4,64,64,3]' "$(dims s)"
	same lines 1 "$(wc -l < err)"
	grep -q -- "64x64.*-s" err
	dtn-load -q d 2>&1 > s | cmp - /dev/null
	dtn-load --limit 3 d > s                # the fourth has no say
	same dims '[3,3,5,3]' "$(dims s)"
	dtn-load --limit 3 --skip-bad d > s 2> err
	same dims '[3,3,5,3]' "$(dims s)"
	same stderr "" "$(cat err)"
	echo text | tee d/0.png > d/2.png
	dtn-load --limit 2 --skip-bad d > s 2> err
	same "dims around bad ones" '[2,3,5,3]' "$(dims s)"
	dtn-load --limit 3 --skip-bad d > s 2> err
	same "dims of two, and the fourth in the place of a bad one" '[3,64,64,3]' "$(dims s)"
	rm d/0.png
	picture png -s 5x3 -v 2 > d/2.png
	dtn-load -s 7x2 d > s 2> err
	same dims '[4,2,7,3]' "$(dims s)"
	dtn-load -s 4 d > s 2>> err
	same dims '[4,4,4,3]' "$(dims s)"
	same stderr "" "$(cat err)"
}

@test "crop, stretch and pad" {
	picture png -s 4x2 -k gray > a.png      # 0 5 10 15 / 3 8 13 18
	dtn-load -s 2 --fit crop a.png > s
	same crop "5 10 8 13" "$(pixels s)"
	dtn-load -s 2 --fit stretch a.png > s   # 2.5, 12.5, 5.5 and 15.5 are rounded up
	same stretch "3 13 6 16" "$(pixels s)"
	dtn-load -s 2 --fit pad a.png > s       # the mean of four: 4 and 14; white below
	same pad "4 14 255 255" "$(pixels s)"
	dtn-load -s 4x3 --fit pad a.png > s
	same "pad alone" "0 5 10 15 3 8 13 18 255 255 255 255" "$(pixels s)"
	dtn-load -s 1 --fit stretch a.png > s
	same mean 9 "$(pixels s)"
}

@test "JPEG: colors, progressive, inks, gray, and all EXIF orientations" {
	local o k expected
	for k in rgb progressive cmyk; do
		picture jpeg -s 32x32 -k $k > a.jpg
		dtn-load -s 2 a.jpg > s
		same "$k" "255 0 0 0 255 0 0 0 255 255 255 255" "$(pixels s | near)"
	done
	picture jpeg -s 32x32 -k gray > a.jpg
	dtn-load a.jpg > s
	same gray '[1,32,32,1]' "$(dims s)"
	# Red Green / Blue White as stored is shown so
	for o in 1:RGBW 2:GRWB 3:WBGR 4:BWRG 5:RBGW 6:BRWG 7:WGBR 8:GWRB; do
		expected=$(echo "${o#*:}" | sed 's/R/255 0 0 /; s/G/0 255 0 /; s/B/0 0 255 /; s/W/255 255 255 /')
		picture jpeg -s 32x48 -o "${o%:*}" > a.jpg
		dtn-load -s 2 --fit stretch a.jpg > s
		same "orientation $o" "${expected% }" "$(pixels s | near)"
		dtn-load a.jpg > s
		((${o%:*} < 5)) && expected='[1,48,32,3]' || expected='[1,32,48,3]'
		same "size of $o" "$expected" "$(dims s)"
	done
}

@test "headers of any length are read, to learn sizes and to decode" {
	local n f
	mkdir d
	picture jpeg -s 24x16 > a.jpg
	picture jpeg -s 24x16 -o 6 > b.jpg
	dtn-load a.jpg > expected
	for n in 4000 4084 4096 30000 65533; do
		# two segments of n bytes for other programs before what is ours
		for f in a b; do
			(head -c 2 $f.jpg
			 for _ in 1 2; do
				# shellcheck disable=SC2059
				printf "\\xff\\xe5$(printf '\\x%x\\x%x' $((n >> 8)) $((n & 255)))"
				head -c $((n - 2)) /dev/zero
			 done
			 tail -c +3 $f.jpg) > d/$f.jpg
		done
		dtn-load d/a.jpg > s
		same "pixels after $n" "$(pixels expected)" "$(pixels s)"
		fails 0 '^dtn-load: images differ in size' dtn-load -o s d
		same "sizes after $n" '[2,64,64,3]' "$(dims s)"
	done
}

# Values that JPEG has changed a little.
near() { awk '{ for (i = 1; i <= NF; i++) $i = $i < 12 ? 0 : $i > 243 ? 255 : $i; print }'; }

@test "sub-folders' names are labels" {
	mkdir -p d/dog d/cat/persian "d/a,b%"
	picture png -v 1 > d/dog/1.png
	picture png -v 2 > d/cat/persian/2.png
	picture png -v 3 > d/cat/0.png
	picture png -v 4 > "d/a,b%/9.png"
	dtn-load d > s
	same names 'a%2Cb%25,cat,dog' "$(names s)"
	same labels "0 1 1 2" "$(labels s)"
	mkdir -p e/cow e/dog
	cp d/dog/1.png e/cow
	cp d/dog/1.png e/dog
	dtn-load e d > s
	same names 'a%2Cb%25,cat,cow,dog' "$(names s)"
	same labels "2 3 0 1 1 3" "$(labels s)"
	dtn-load --labels none d > s
	same "no names" "" "$(names s)"
	no_labels s
	cp d/dog/1.png d
	dtn-load d 2> err > s
	no_labels s
	same warnings 1 "$(wc -l < err)"
	grep -q "warning: no labels written, because 1 of 5 files have none: d/1.png" err
}

@test "IDX files, compressed or not, with their labels" {
	local f
	picture idx -n 9 -s 3x2 > x-images-idx3-ubyte
	picture idx -n 9 -l > x-labels-idx1-ubyte
	dtn-load x-images-idx3-ubyte > s
	same dims '[9,2,3,1]' "$(dims s)"
	same first "0 5 10 3 8 13 7" "$(pixels s | cut -d ' ' -f 1-7)"
	same labels "0 1 2 3 4 5 6 0 1" "$(labels s)"
	same names 0,1,2,3,4,5,6 "$(names s)"
	mkdir d e
	gzip -c x-images-idx3-ubyte > d/x-images-idx3-ubyte.gz
	cp x-labels-idx1-ubyte d
	gzip -c x-labels-idx1-ubyte > e/x-labels-idx1-ubyte.gz
	cp x-images-idx3-ubyte e
	for f in d/x-images-idx3-ubyte.gz d e; do
		dtn-load "$f" > t
		same "$f" "$(pixels s)" "$(pixels t)"
		same "labels of $f" "$(labels s)" "$(labels t)"
	done
	dtn-load --shuffle 1 d > t
	dtn-load --shuffle 1 e > u
	same shuffled "$(pixels t)" "$(pixels u)"
	dtn-load -s 6x4 -j 3 d > t
	dtn-load -s 6x4 -j 1 x-images-idx3-ubyte > u
	same resized "$(pixels t)" "$(pixels u)"
	gzip -dc d/x-images-idx3-ubyte.gz | dtn-load > t
	same piped "$(pixels s)" "$(pixels t)"
	no_labels t
	rm d/x-labels-idx1-ubyte
	dtn-load d > t
	no_labels t
}

@test "broken IDX files" {
	picture idx -n 9 -s 30x20 > x-images-idx3-ubyte
	picture idx -n 8 -l > x-labels-idx1-ubyte
	fails 3 "x-images-idx3-ubyte: its labels, x-labels-idx1-ubyte, are for 8 images, not 9$" \
		dtn-load x-images-idx3-ubyte
	fails 3 "IDX file of labels" dtn-load x-labels-idx1-ubyte
	ln -sf x-labels-idx1-ubyte.gz x-labels-idx1-ubyte.gz
	fails 1 "x-images-idx3-ubyte: its labels, x-labels-idx1-ubyte.gz: Too many levels" \
		dtn-load x-images-idx3-ubyte
	rm x-labels-idx1-ubyte x-labels-idx1-ubyte.gz
	gzip -k x-images-idx3-ubyte
	head -c 5000 x-images-idx3-ubyte > cut-file
	fails 3 "cut-file: truncated: 8 of 9 images$" dtn-load cut-file
	(cat x-images-idx3-ubyte; echo) > long
	fails 3 "long: 1 bytes after the last image$" dtn-load long
	(cat x-images-idx3-ubyte; head -c 9000000 /dev/zero) | gzip > long.gz
	fails 3 "long.gz: image 8: bytes after the last image$" dtn-load long.gz
	(ulimit -f 4000; fails 3 "long.gz: bytes after the last image$" dtn-load --shuffle 1 long.gz)
	head -c 300 x-images-idx3-ubyte.gz > cut.gz
	fails 3 "cut.gz: image [0-9]: truncated$" dtn-load cut.gz
	fails 3 "cut.gz: truncated$" dtn-load --shuffle 1 cut.gz
	head -c -4 x-images-idx3-ubyte.gz > cut.gz
	fails 3 "cut.gz: .*truncated$" dtn-load cut.gz
	(head -c -8 x-images-idx3-ubyte.gz; printf 'checksum') > bad.gz
	fails 3 "bad.gz: .*corrupt gzip data" dtn-load bad.gz
	(head -c 4 x-images-idx3-ubyte; printf '\177\377\377\377\0\0\377\377\0\0\377\377') > huge
	fails 3 "huge: too large: 65535x65535" dtn-load huge
	(head -c 4 x-images-idx3-ubyte; printf '\177\377\377\377\0\0\017\377\0\0\017\377') | gzip > huge.gz
	fails 3 "huge.gz: truncated" dtn-load huge.gz
	echo text | gzip > text.gz
	fails 3 "text.gz: gzip file without IDX images in it" dtn-load text.gz
}

@test "CIFAR-10 files, with names beside them" {
	picture cifar -n 12 > a.bin
	dtn-load a.bin > s
	same dims '[12,32,32,3]' "$(dims s)"
	same first "0 11 22 5 16 27" "$(pixels s | cut -d ' ' -f 1-6)"
	same labels "0 1 2 3 4 5 6 7 8 9 0 1" "$(labels s)"
	same names 0,1,2,3,4,5,6,7,8,9 "$(names s)"
	dtn-load < a.bin > t
	same piped "$(pixels s)" "$(pixels t)"
	seq 10 19 > batches.meta.txt
	dtn-load . > t
	same names 10,11,12,13,14,15,16,17,18,19 "$(names t)"
	(head -c 6146 a.bin; printf '\12'; head -c 3072 a.bin) > b.bin
	fails 3 "b.bin: image 2: corrupt CIFAR-10 data" dtn-load b.bin
	(head -c 6146 a.bin; cat a.bin) > c.bin
	cat b.bin a.bin > d.bin
	dtn-load c.bin > s
	dtn-load --skip-bad d.bin > t 2> err
	same "pixels around a bad one" "$(pixels s | cksum)" "$(pixels t | cksum)"
	same "labels around a bad one" "$(labels s)" "$(labels t)"
	grep -q "d.bin: image 2: corrupt" err
	head -c 6145 a.bin > c.bin
	fails 3 "c.bin: neither PNG, JPEG, IDX nor CIFAR-10" dtn-load c.bin
}

@test "corrupt, truncated, huge and other files are named, once" {
	local n
	mkdir d
	picture png -s 40x40 > good.png
	picture jpeg -s 40x40 > good.jpg
	cp good.png d/1.png
	for n in 0 7 20 40 90 "$(($(stat -c %s good.png) - 1))"; do
		head -c "$n" good.png > d/2.png
		fails 3 "^dtn-load: d/2.png: [a-zA-Z(]" dtn-load d
	done
	for n in 2 3 30 200 "$(($(stat -c %s good.jpg) - 2))"; do
		head -c "$n" good.jpg > d/2.png
		fails 3 "^dtn-load: d/2.png: [a-zA-Z(]" dtn-load d
	done
	echo hello > d/2.png
	fails 3 "d/2.png: neither PNG" dtn-load d
	: > d/2.png
	fails 3 "d/2.png: empty file" dtn-load d
	(head -c 16 good.png; printf '\0\0\377\377\0\0\377\377\10\2\0\0\0\71\147\116\7'; tail -c +34 good.png) > d/2.png
	fails 3 "d/2.png: too large: 65535x65535 pixels" limited 10 190 dtn-load -j 1 d
	cp good.png d/2.png
	fails 3 "d/1.png: too large: 40x40 pixels" dtn-load --max-pixels 1K d
	dtn-load --max-pixels 1600 d > s
}

@test "--skip-bad warns, counts and goes on" {
	mkdir d
	for i in 1 3 5 7; do picture png -s 1x1 -k gray -v $i > d/$i.png; done
	echo text > d/2.png
	head -c 60 d/1.png > d/4.jpg
	echo GIF89a > d/0.gif
	ln -s nowhere d/8.png
	dtn-load --skip-bad d > s 2> err
	same pixels "7 21 35 49" "$(pixels s)"
	same lines 5 "$(wc -l < err)"
	tail -n 1 err | grep -q "warning: 4 images loaded, 4 bad passed over"
	for i in 0.gif 2.png 4.jpg 8.png; do
		same "warnings of $i" 1 "$(grep -c "^dtn-load: warning: d/$i: " err)"
	done
	dtn-load -v d/1.png 2>&1 > s | grep -q '^dtn-load: 1 image of '
	dtn-load --skip-bad --limit 3 -j 3 d > s 2> err
	same "limit counts good ones" "7 21 35" "$(pixels s)"
	rm d/[1357].png
	dtn-load --skip-bad d > s 2> err && fail "loaded nothing and succeeded"
	same last "dtn-load: no image could be loaded: 4 bad" "$(tail -n 1 err)"
}

@test "a message on a terminal begins a line of its own, whatever shows how far it is" {
	local i
	mkdir d
	picture png -s 400x400 > d/1.png
	for i in $(seq 100 399); do ln d/1.png d/1$i.png; done
	echo text > d/2.png
	script -qec "dtn-load -j 1 d > s" /dev/null < /dev/null > seen || true
	tr '\r' '\n' < seen > lines
	grep -q '^dtn-load: [0-9]* of 302 images  [0-9]* images/s' lines
	grep -qx 'dtn-load: d/2.png: neither PNG, .*' lines || fail "$(tail -n 3 lines)"
	rm d/2.png d/1200.png
	echo text > d/1200.png
	script -qec "dtn-load -j 1 --skip-bad d > s" /dev/null < /dev/null > seen
	tr '\r' '\n' < seen > lines
	grep -qx 'dtn-load: warning: d/1200.png: neither PNG, .*' lines || fail "$(tail -n 3 lines)"
}

@test "more images than the program may open files" {
	mkdir d
	for i in $(seq 100); do picture png -s 1x1 -k gray -v 5 > d/$i; done
	(ulimit -n 40 && dtn-load -j 2 d/* > s)
	same operands "$(yes 35 | head -n 100 | xargs)" "$(pixels s)"
	(ulimit -n 40 && find d -type f -print0 | dtn-load -j 2 --files-from - > s)
	same --files-from "$(yes 35 | head -n 100 | xargs)" "$(pixels s)"
	for i in $(seq 100); do picture cifar -n 1 > d/$i; done
	(ulimit -n 40 && fails 1 '^dtn-load: d/[0-9]*: Too many open files$' dtn-load --skip-bad d/*)
}

@test "missing and unreadable files" {
	fails 1 "^dtn-load: nothing.png: No such file or directory$" dtn-load nothing.png
	fails 1 "^dtn-load: nothing: No such file or directory$" dtn-load --files-from nothing
	mkdir d
	ln -s nowhere d/a.png
	fails 1 "^dtn-load: d/a.png: No such file or directory$" dtn-load d
	fails 1 '^dtn-load: new\\x0aline: No such file' dtn-load $'new\nline'
	fails 3 "/dev/zero: a device" dtn-load /dev/zero
	[ "$(id -u)" != 0 ] || skip "root reads everything"
	rm d/a.png
	picture png > d/a.png
	chmod 0 d/a.png
	fails 1 "^dtn-load: d/a.png: Permission denied$" dtn-load d
}

@test "after an error the stream says so, and so does its reader" {
	mkdir d
	picture png > d/1.png
	echo text > d/2.png
	dtn-load d 2> err > s && fail "succeeded"
	fails 3 "s: .*d/2.png: neither PNG" dtn-info -c s
	dtn-load -o o d 2> err && fail "succeeded"
	[ ! -e o ] || fail "a file was left"
}

@test "a file that cannot be read is told, also in a folder" {
	local n what
	mkdir d
	picture idx -n 3 > d/x
	for n in 1 2; do
		for what in d d/x; do
			fails 1 '^dtn-load: d/x: Input/output error$' strace -f -o t -e trace=pread64 -P "$PWD/d/x" \
				-e inject=pread64:error=EIO:when=$n+ dtn-load $what
		done
	done
}

@test "threads do not change a byte" {
	local j
	mkdir d
	for i in 11 12 13 14 15 16 17 18 19 20 21 22; do
		picture png -s $((i % 3 + 20))x30 -v $i > "d/$i.png"
		picture jpeg -s 90x60 > "d/$i.jpg"
	done
	echo bad > d/055.png
	for s in "" "--shuffle 5 --limit 17"; do
		# shellcheck disable=SC2086
		dtn-load -j 1 --skip-bad $s d > a 2> /dev/null
		for j in 2 7 0; do
			# shellcheck disable=SC2086
			dtn-load -j $j --skip-bad $s d > b 2> /dev/null
			cmp a b
		done
	done
}

# Threads that dtn-load begins besides the first, in the group that the file `group` names.
begun() {
	: > t
	unshare -m sh -c 'mount --bind groups /sys/fs/cgroup && mount --bind group /proc/$$/cgroup &&
		exec strace -D -f -o t -e trace=clone3,clone dtn-load -s 8 "$@" a.png' sh "$@" > s
	# strace itself may end later than what it watches
	for _ in $(seq 50); do
		[ "$(grep -c 'exited with 0' t)" != "$(($(grep -c '^[0-9]* *clone' t) + 1))" ] || break
		sleep 0.1
	done
	grep -c '^[0-9]* *clone' t || true
}

# What tests of `begun` need: processors, a picture, a group /jobs/7 whose line is "$1/jobs/7".
grouped() {
	unshare -m sh -c 'mount --bind /dev/null /proc/$$/cgroup' || skip "cannot mount"
	unsanitized "a sanitizer has threads of its own"
	(($(nproc) > 1)) || skip "there is one processor"
	picture png > a.png
	mkdir -p groups/jobs/7 groups/cpu/jobs/7
	printf '%s\n' 9:cpuset:/ "$1/jobs/7" 1:name=cpu: > group
}

@test "as many threads as processors that the control group may use" {
	grouped 0::
	same "without limits" $(($(nproc) - 1)) "$(begun)"
	echo 'max 100000' > groups/jobs/7/cpu.max
	same "with none" $(($(nproc) - 1)) "$(begun)"
	echo '50000 100000' > groups/jobs/cpu.max
	same "of the group above, half of one" 0 "$(begun)"
	same "with -j" 2 "$(begun -j 3)"
	echo '100001 100000' > groups/jobs/cpu.max
	same "more than one" 1 "$(begun)"
}

@test "as many threads as processors that the control group of version 1 may use" {
	grouped 4:cpu,cpuacct:
	echo 100000 | tee groups/cpu/jobs/cpu.cfs_period_us > groups/cpu/jobs/7/cpu.cfs_period_us
	echo 50000 > groups/jobs/cpu.max
	echo -1 > groups/cpu/jobs/7/cpu.cfs_quota_us
	same "without limits" $(($(nproc) - 1)) "$(begun)"
	echo 50000 > groups/cpu/jobs/cpu.cfs_quota_us
	same "of the group above, half of one" 0 "$(begun)"
	echo 100001 > groups/cpu/jobs/cpu.cfs_quota_us
	same "more than one" 1 "$(begun)"
}

@test "as many threads as processors, where there are thousands" {
	local load="-f -e trace=clone3,clone,sched_getaffinity dtn-load -s 8 a.png"
	unsanitized "a sanitizer has threads of its own"
	(($(nproc) > 1)) || skip "there is one processor"
	picture png > a.png
	# shellcheck disable=SC2086
	strace -o few $load > s
	# a kernel made for 8192 refuses to tell less than all of them
	# shellcheck disable=SC2086
	strace -o many -e inject=sched_getaffinity:error=EINVAL:when=1..3 $load > s
	same "refused" 3 "$(grep -c EINVAL many)"
	same "threads" "$(grep -c '^[0-9]* *clone' few)" "$(grep -c '^[0-9]* *clone' many)"
}

@test "--limit of what is broken is the beginning of the whole" {
	local n j
	# 1000 images of 28x28, and some compressed bytes in the middle are others
	(printf '\0\0\10\3\0\0\3\350\0\0\0\34\0\0\0\34'
	 awk 'BEGIN { srand(1); for (i = 0; i < 112000; i++) printf "%07d", rand() * 1e7 }') |
		gzip -n > good.gz
	(head -c 200000 good.gz; printf '\377\377\377\377'; tail -c +200005 good.gz) > idx.gz
	dtn-load --skip-bad idx.gz > s 2> err
	grep -q "idx.gz: image [0-9]*: corrupt gzip data" err
	pixels s > all
	n=$(($(wc -w < all) / 784))
	[ "$n" -gt 200 ] || fail "only $n images"
	for n in $((n - 9)) $((n + 1)) $((n + 5)) $((n + 9)) $((n + 20)); do
		for j in 1 3; do
			dtn-load -j $j --skip-bad --limit "$n" idx.gz > s 2> err
			same "$n by $j" "$(cut -d ' ' -f "1-$((784 * n))" all | cksum)" "$(pixels s | cksum)"
		done
	done
}

@test "--shuffle: the same seed, the same order; another, another" {
	mkdir d
	for i in 1 2 3 4 5 6 7 8 9; do picture png -s 1x1 -k gray -v $i > d/$i.png; done
	dtn-load --shuffle 1 d > a
	dtn-load --shuffle 1 d > b
	dtn-load --shuffle 2 d > c
	cmp a b
	[ "$(pixels a)" != "$(pixels c)" ] || fail "seeds 1 and 2 gave the same order"
	same "all of them" "7 14 21 28 35 42 49 56 63" \
		"$(pixels a | tr ' ' '\n' | sort -n | tr '\n' ' ' | sed 's/ $//')"
	dtn-load --shuffle 1 --limit 4 d > b
	same "the first four" "$(pixels a | cut -d ' ' -f 1-4)" "$(pixels b)"
}

@test "--files-from, lines or zero bytes, and more operands after it" {
	mkdir d
	for i in 1 2 3; do picture png -s 1x1 -k gray -v $i > d/$i.png; done
	picture png -s 1x1 -k gray -v 9 > $'d/new\nline'
	printf '%s\n' d/3.png d/1.png > list
	dtn-load --files-from list d/2.png > s
	same lines "21 7 14" "$(pixels s)"
	find d -type f -print0 | sort -z | dtn-load --files-from - > s
	same zeros "7 14 21 63" "$(pixels s)"
	echo d > list
	dtn-load --files-from=list > s
	same folder "7 14 21 63" "$(pixels s)"
	fails 2 "standard input" dtn-load --files-from - -
}

@test "standard input and pipes hold one file" {
	local f found
	picture png -s 1x1 -k gray -v 5 > a.png
	dtn-load < a.png > s
	same file 35 "$(pixels s)"
	cat a.png | dtn-load - > s
	same pipe 35 "$(pixels s)"
	dtn-load a.png <(cat a.png) > s
	same both "35 35" "$(pixels s)"
	fails 3 "stdin: empty file" dtn-load < /dev/null
	fails 3 "stdin: a device" dtn-load - < /dev/zero
	fails 2 '^dtn-load: standard input given twice$' dtn-load a.png - - < /dev/null
	for f in "" - /dev/tty "--files-from -"; do
		found=0
		on_terminal "timeout 10 dtn-load $f > s" > seen || found=$?
		same "status with '$f'" 2 $found
		grep -q ' is a terminal: ' seen
	done
	[ ! -s "$BATS_TEST_TMPDIR/.out" ]
}

@test "wrong options" {
	for s in 0 x 64x 64x0 x64 -3 64y64 9999999999 1e3 100000x100000; do
		fails 2 "(-s|--size) $s: wants WxH or SIZE, .* at most 268435456 pixels" dtn-load -s "$s" .
	done
	fails 2 "--fit.*squeeze" dtn-load --fit squeeze .
	fails 2 "--limit 0" dtn-load --limit 0 .
	fails 2 "--shuffle x" dtn-load --shuffle x .
	fails 2 "--labels some" dtn-load --labels some .
	fails 2 "--max-pixels 1Q" dtn-load --max-pixels 1Q .
}

# Peak memory in KiB.
peak() { /usr/bin/time -f %M -o peak "$@" > /dev/null && cat peak; }

@test "threads that have no image to decode need no memory for one" {
	unsanitized "a sanitizer takes all addresses"
	picture jpeg -s 5000x4000 > a.jpg
	(ulimit -v 500000; dtn-load -j 9 a.jpg > s)
}

@test "memory does not grow with the number of images, but for their names" {
	local i few many
	[ -x /usr/bin/time ] || skip "no /usr/bin/time"
	unsanitized "a sanitizer remembers what was freed"
	mkdir some few many
	picture png -s 64x64 > a.png
	for i in $(seq 150); do ln a.png some/$i.png; done
	for i in $(seq 100); do cp -rl some many/$i; done
	for i in $(seq 10); do cp -rl some few/$i; done
	few=$(peak dtn-load -j 2 few)
	many=$(peak dtn-load -j 2 many)
	# names are kept, to be sorted: less than 256 bytes each; the pixels of an image are 12 KiB
	((many - few < 13500 * 256 / 1024)) || fail "$few KiB for 1,500 images, $many KiB for 15,000"
}
