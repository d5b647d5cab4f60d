#!/usr/bin/env bats
# dtn-png: where every pixel goes, what a picture says of itself, and what is refused

load common

setup() { cd "$BATS_TEST_TMPDIR"; }

@test "a square grid with two black pixels between and around" {
	stream -n 5 -s 2x3x1 | dtn-png > a.png
	unpng a.png > a
	same size "17 10 1" "$(head -n 1 a)"
	same "row 0" "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0" "$(sed -n 2p a)"
	same "row 2" "0 0 0 5 10 0 0 7 12 17 0 0 14 19 24 0 0" "$(sed -n 4p a)"
	same "row 3" "0 0 3 8 13 0 0 10 15 20 0 0 17 22 27 0 0" "$(sed -n 5p a)"
	same "row 6" "0 0 21 26 31 0 0 28 33 38 0 0 0 0 0 0 0" "$(sed -n 8p a)"
	same "row 9" "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0" "$(sed -n 11p a)"
}

@test "the default grid is the smallest square that holds all" {
	local n c
	for n in 1:1 2:2 3:2 4:2 5:3 9:3 10:4 16:4 17:5; do
		c=${n#*:} n=${n%:*}
		stream -n "$n" -s 1x1x1 | dtn-png --pad 0 > a.png
		same "columns of $n" $c "$(unpng a.png | head -n 1 | cut -d ' ' -f 1)"
	done
}

@test "--columns, --pad and --scale" {
	stream -n 3 -s 1x2x1 > s
	dtn-png --columns 2 --pad 1 --scale 2 s > a.png
	unpng a.png > a
	cat > expected <<-'END'
	11 7 1
	0 0 0 0 0 0 0 0 0 0 0
	0 0 0 5 5 0 7 7 12 12 0
	0 0 0 5 5 0 7 7 12 12 0
	0 0 0 0 0 0 0 0 0 0 0
	0 14 14 19 19 0 0 0 0 0 0
	0 14 14 19 19 0 0 0 0 0 0
	0 0 0 0 0 0 0 0 0 0 0
	END
	diff expected a
	dtn-png --columns 9 --pad 0 s > a.png
	same "no wider than needed" "6 1 1" "$(unpng a.png | head -n 1)"
}

@test "colors keep their channels" {
	stream -n 2 -s 1x2x3 | dtn-png --pad 0 > a.png
	unpng a.png > a
	same pixels "0 11 22 5 16 27 7 18 29 12 23 34" "$(sed -n 2p a)"
}

@test "f32 from -1 to 1 gives the same picture as u8" {
	stream -n 6 -s 9x7x3 > u8
	stream -n 6 -s 9x7x3 -t f32 > f32
	dtn-png u8 > a.png
	dtn-png f32 > b.png
	cmp a.png b.png
}

@test "values that are no numbers are black, with one warning that counts them" {
	stream -n 2 -s 2x2x1 -t f32 -x 3 > s
	dtn-png --pad 0 s > a.png 2> err
	same warning "dtn-png: warning: 3 values are no numbers and shown as black" "$(cat err)"
	unpng a.png > a
	same "row 0" "0 0 7 12" "$(sed -n 2p a)"
	same "row 1" "0 8 10 15" "$(sed -n 3p a)"
	dtn-png -q s 2> err > a.png
	[ ! -s err ]
}

@test "a trajectory is a row" {
	stream -n 6 -s 1x1x1 -m sample.frames=3 > s
	dtn-png --pad 0 s > a.png
	unpng a.png > a
	same size "3 2 1" "$(head -n 1 a)"
	same "image 0" "0 7 14" "$(sed -n 2p a)"
	dtn-png --pad 0 --columns 2 s > a.png
	same "--columns wins" "2 3 1" "$(unpng a.png | head -n 1)"
}

@test "rows of different lengths want --columns or --each" {
	stream -n 6 -s 1x1x1 -m sample.frames=3 > three
	stream -n 6 -s 1x1x1 -m sample.frames=2 > two
	stream -n 6 -s 1x1x1 > still
	fails 3 '^dtn-png: two: trajectories of 2 frames, expected 3$' dtn-png three two
	fails 3 '^dtn-png: still: trajectories and still images together want --columns or --each$' \
		dtn-png three still
	fails 3 '^dtn-png: three: trajectories and still' dtn-png still three
	dtn-png --columns 6 --pad 0 three two still > a.png
	same size "6 3 1" "$(unpng a.png | head -n 1)"
	dtn-png --each d three two still
	same files 18 "$(ls d | wc -l)"
}

@test "--each writes numbered files, gray ones gray, and makes the folder" {
	stream -n 11 -s 2x2x1 | dtn-png --each d > out
	[ ! -s out ]
	same files "$(printf '%08d.png\n' $(seq 0 10))" "$(ls -A d)"
	unpng d/00000010.png > a
	same size "2 2 1" "$(head -n 1 a)"
	same pixels "70 75" "$(sed -n 2p a)"
	stream -n 1 -s 1x1x3 | dtn-png --each d --scale 2
	same "again, in color, over the old" "2 2 3" "$(unpng d/00000000.png | head -n 1)"
	same mode "$(stat -c %a out)" "$(stat -c %a d/00000000.png)"
}

@test "segments follow each other, records of any size" {
	stream -n 3 -s 3x3x1 -b 1 > a
	stream -n 3 -s 3x3x1 -b 3 > b
	cat a b > ab
	dtn-png --no-prov ab > one.png
	dtn-png --no-prov a b > two.png
	cat a | dtn-png --no-prov - b > three.png
	cmp one.png two.png
	cmp one.png three.png
	same size "17 12 1" "$(unpng one.png | head -n 1)"
	same "the second begins anew" "$(unpng one.png | sed -n 4,6p | cut -d ' ' -f 3-5)" \
		"$(unpng one.png | sed -n 9,11p | cut -d ' ' -f 3-5)"
}

@test "a picture says how it was made" {
	stream -n 4 -m sample.seed=7 -m sample.sampler=ddim -m x.place=Zürich -c dtn-load > s
	dtn-png --columns 4 -o a.png s
	unpng -t a.png > t
	grep -x 'sample.seed=7' t
	grep -x 'sample.sampler=ddim' t
	grep -x 'x.place=Zürich' t
	grep -x 'dtn.commands=.*' -A 1 t > c
	same commands "$(printf 'dtn.commands=stream\ndtn-png --columns 4')" "$(cat c)"
	dtn-png --no-prov s > a.png
	same nothing "" "$(unpng -t a.png)"
}

@test "what two segments do not agree on is not said" {
	stream -n 1 -m sample.seed=7 -m sample.steps=50 > a
	stream -n 1 -m sample.seed=8 -m sample.steps=50 > b
	dtn-png a b > ab.png
	unpng -t ab.png > t
	grep -x 'sample.steps=50' t
	absent sample.seed t
	dtn-png --each d a b
	same first "sample.seed=7" "$(unpng -t d/00000000.png | grep seed)"
	same second "sample.seed=8" "$(unpng -t d/00000001.png | grep seed)"
}

@test "results are shown before what they were made of; --field shows any" {
	stream -n 1 -s 1x1x1 -r noised -t f32 > s
	dtn-png s > a.png
	dtn-png --field noised s > b.png
	cmp <(unpng a.png) <(unpng b.png)
	unpng -t b.png | grep -x 'dtn.commands=dtn-png --field noised'
	fails 3 '^dtn-png: s: record 0: no tensor "image"$' dtn-png --field image s
	stream -n 1 -r label > l
	fails 3 '^dtn-png: l: record 0: no tensor that holds images$' dtn-png l
}

# pixels PICTURE: its rows alone
pixels() { unpng "$1" | tail -n +2; }

@test "--field with several: side by side in the place of an image, in the order of the list" {
	local field f
	stream -n 6 -s 2x3x1 -b 4 | dtn-noise --random --keep-noise > s
	for field in image noised noise; do
		dtn-png --field $field --columns 1 --pad 0 s > $field.png
		pixels $field.png > $field
	done
	run ! cmp -s noised noise
	dtn-png --field noise,image,noised,noise --columns 1 --pad 0 s > all.png
	same size "12 12 1" "$(unpng all.png | head -n 1)"
	paste -d ' ' noise image noised noise | diff - <(pixels all.png)
	# pads as between images; the grid is a square of pairs
	dtn-png --field noised,noise --pad 1 s > pairs.png
	same size "25 7 1" "$(unpng pairs.png | head -n 1)"
	pixels pairs.png | sed -n '2p;6p' > rows
	cat > expected <<-END
	0 $(sed -n 1p noised) 0 $(sed -n 1p noise) 0 $(sed -n 3p noised) 0 $(sed -n 3p noise) 0 $(
		sed -n 5p noised) 0 $(sed -n 5p noise) 0
	0 $(sed -n 8p noised) 0 $(sed -n 8p noise) 0 $(sed -n 10p noised) 0 $(sed -n 10p noise) 0 $(
		sed -n 12p noised) 0 $(sed -n 12p noise) 0
	END
	diff expected rows
	# the last row is short
	dtn-png --field noised,noise --columns 4 --pad 0 s > short.png
	same size "24 4 1" "$(unpng short.png | head -n 1)"
	same "a short row" "$(sed -n 10p noised) $(sed -n 10p noise) $(sed -n 12p noised) $(
		sed -n 12p noise) 0 0 0 0 0 0 0 0 0 0 0 0" "$(pixels short.png | sed -n 4p)"
	# a file for each sample
	dtn-png --field noised,noise --each d s
	same files 6 "$(ls d | wc -l)"
	for f in 0 1 2 3 4 5; do pixels d/0000000$f.png; done | diff <(paste -d ' ' noised noise) -
	dtn-png --field noise --each d s
	pixels d/00000005.png | diff <(tail -n 2 noise) -
}

@test "a strip with the noise between; noise beyond -1 to 1 is clamped" {
	local f
	stream -n 2 -s 8x8x3 | dtn-noise -t 0,50,99 -T 100 --keep-noise > s
	dtn-png --field noised,noise --pad 0 s > strip.png
	same size "48 16 3" "$(unpng strip.png | head -n 1)"
	dtn-png --field noised --each x s
	dtn-png --field noise --each e s
	for f in 0 3; do
		paste -d ' ' <(pixels x/0000000$f.png) <(pixels e/0000000$f.png) \
			<(pixels x/0000000$((f + 1)).png) <(pixels e/0000000$((f + 1)).png) \
			<(pixels x/0000000$((f + 2)).png) <(pixels e/0000000$((f + 2)).png)
	done | diff - <(pixels strip.png)
	cmp <(pixels e/00000000.png) <(pixels e/00000002.png)
	pixels e/00000000.png | tr ' ' '\n' > values
	dtn-info --dump noise s | od -An -v -tf4 -w4 | head -n 192 | awk '
		{ v = int(($1 + 1) * 127.5 + 0.5); print (v < 0 ? 0 : (v > 255 ? 255 : v)) }' | diff - values
	grep -qx 0 values && grep -qx 255 values || fail "nothing beyond"
	# moving: frames of pairs
	dtn-png --field noised,noise --animate --columns 1 --pad 0 s > a.png
	"$TOOLS/unapng" a.png > a
	same "first line" "16 16 3 3 0" "$(head -n 1 a)"
	paste -d ' ' <(pixels x/00000001.png; pixels x/00000004.png) <(pixels e/00000001.png; pixels e/00000004.png) |
		diff - <(sed -n 20,35p a)
}

@test "--field: lists that are none, tensors that do not fit" {
	local list
	stream -n 2 -s 8x8x1 -l -w > s
	for list in "" , image, ,image image,,image; do
		fails 2 "^dtn-png: --field $list: wants names, separated by commas$" dtn-png --field "$list" s
	done
	fails 3 '^dtn-png: s: record 0: incompatible field "wide": \[2,8,9,1\], expected \[N,8,8,1\]$' \
		dtn-png --field image,wide s
	fails 3 '^dtn-png: s: record 0: no tensor "nose"$' dtn-png --field image,nose s
	fails 3 '^dtn-png: s: record 0: cannot make an image from shape \[2\]$' dtn-png --field image,label s
	fails 3 'image too large' dtn-png --field image,image --pad 0 --max-pixels 255 s
	dtn-png --field image,image --pad 0 --max-pixels 256 s > a.png
	fails 3 'image too large' dtn-png --field image,image --each d --max-pixels 127 s
}

@test "shapes that are no images" {
	local shape
	for shape in 0x8x1 8x0x1 8x8x2 8x8x5 8x8x0; do
		stream -n 1 -s $shape > s
		fails 3 "^dtn-png: s: record 0: cannot make an image from shape \[1,${shape//x/,}\]$" \
			dtn-png s
	done
	stream -n 1 -t i32 > s
	fails 3 '^dtn-png: s: record 0: tensor image: dtype i32 not supported$' dtn-png s
}

@test "extreme shapes that are images" {
	stream -n 1 -s 1x1x1 | dtn-png --pad 0 > a.png
	same "one pixel" "1 1 1" "$(unpng a.png | head -n 1)"
	stream -n 1 -s 1048576x1x1 | dtn-png > a.png
	same "a pole" "5 1048580 1" "$(unpng a.png | head -n 1)"
	stream -n 1 -s 1x1048576x1 | dtn-png > a.png
	same "a beam" "1048580 5 1" "$(unpng a.png | head -n 1)"
}

@test "images of another size, of another type, none at all" {
	stream -n 2 -s 8x8x1 > a
	stream -n 2 -s 8x9x1 > b
	fails 3 '^dtn-png: b: record 0: incompatible field "image": \[2,8,9,1\], expected' dtn-png a b
	stream -n 2 -s 8x8x3 > b
	fails 3 'incompatible field' dtn-png a b
	stream -n 0 > none
	fails 3 '^dtn-png: none: no images$' dtn-png none
	stream | dtn-png > a.png
	fails 3 '^dtn-png: stdin: not a dtn stream' dtn-png < a.png
}

@test "a picture that would be too large" {
	stream -n 4 -s 64x64x1 > s
	fails 3 '^dtn-png: s: image too large: ' dtn-png --max-pixels 16383 s
	dtn-png --pad 0 --max-pixels 16K s > a.png
	fails 3 'image too large' dtn-png --pad 0 --max-pixels 16K --scale 2 s
	fails 3 'image too large' dtn-png --max-pixels 16K s
	fails 3 'image too large' dtn-png --scale 1024 s
	fails 3 'image too large' dtn-png --scale 1024 --each d s
	[ ! -e d/00000000.png ]
}

@test "options that cannot be" {
	local o
	for o in '--columns 0' '--columns x' '--scale 0' '--scale 1025' '--pad -1' '--pad 1025' \
		'--max-pixels 12Q'; do
		# shellcheck disable=SC2086
		fails 2 "^dtn-png: ${o}: wants " dtn-png $o
	done
	fails 2 'exclude each other' dtn-png --each d -o f
}

@test "--each into what is no folder" {
	: > f
	stream > s
	fails 1 '^dtn-png: f/00000000.png: Not a directory$' dtn-png --each f s
	fails 1 '^dtn-png: no/where: No such file or directory$' dtn-png --each no/where s
}

@test "many large images, through a pipe" {
	stream -n 300 -s 64x64x3 -i > s
	dtn-png --no-prov s > a.png
	dtn-png --no-prov -j 2 < s > b.png
	cat s | dtn-png --no-prov > c.png
	cmp a.png b.png
	cmp a.png c.png
	same size "1190 1124 3" "$(unpng a.png | head -n 1)"
}
