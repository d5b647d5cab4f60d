#!/usr/bin/env bats
# dtn-noise: the forward process as a filter, its noise, strips, initial noise, and what is refused.

load common

setup() { cd "$BATS_TEST_TMPDIR"; }

noised() { "$TOOLS/noised" "$@"; }

# numbers TYPE NAME FILE: a tensor of all records, one number a line; TYPE as od has it.
numbers() { dtn-info --dump "$2" "$3" | od -An -v -w4 -t "$1" | tr -d ' '; }

# field NAME FILE: role, type and dimensions
field() { dtn-info --json "$2" | jq -r --arg n "$1" '.tensors[] | select(.name == $n) | "\(.role) \(.dtype) \(.dims)"'; }

meta() { dtn-info --json "$2" | jq -r --arg k "$1" '.meta[$k] // "none"'; }

@test "each image at each timestep, with what belongs to it" {
	stream -n 3 -s 4x5x3 -b 2 -l | dtn-noise -t 0,50,999 --keep-noise > s
	dtn-info -c s
	same samples 9 "$(dtn-info --json s | jq .samples)"
	same image "image u8 [9,4,5,3]" "$(field image s | tr -d ' ' | sed 's/u8/ u8 /')"
	same noised "noised f32 [9,4,5,3]" "$(field noised s | tr -d ' ' | sed 's/f32/ f32 /')"
	same timestep "timestep i32 [9]" "$(field timestep s | tr -d ' ' | sed 's/i32/ i32 /')"
	same timesteps "$(printf '%s\n' 0 50 999 0 50 999 0 50 999)" "$(numbers d4 timestep s)"
	same labels "$(printf '%s\n' 0 0 0 1 1 1 2 2 2)" "$(numbers d4 label s)"
	stream -n 3 -s 4x5x3 > in
	for i in 0 1 2; do
		dtn-info --dump image in | tail -c +$((60 * i + 1)) | head -c 60 > one
		cat one one one
	done | cmp - <(dtn-info --dump image s)
	same frames 3 "$(meta noise.frames s)"
	same steps 1000 "$(meta ddpm.steps s)"
	same schedule cosine "$(meta ddpm.schedule s)"
	same seed 0 "$(meta noise.seed s)"
	same layout NHWC "$(meta image.layout s)"
}

@test "noised images are rebuilt from the kept noise to the last bit" {
	local name options
	for name in linear cosine sigmoid quadratic constant sigmoid-beta scaled-linear jsd warmup10 warmup50 exp laplace; do
		for options in "-T 1000" "-T 7" "-T 300 --zero-snr"; do
			# shellcheck disable=SC2086
			stream -n 5 -s 7x3x3 | dtn-noise $options --schedule $name --seed 5 --keep-noise \
				-t 0,1,3,6 > s
			same "$name $options" "$(for i in 0 1 2 3 4; do
				for t in 0 1 3 6; do echo "$t exact $i"; done; done)" "$(noised s)"
		done
	done
	stream -n 5 -s 7x3x3 -t f32 | dtn-noise --schedule linear --beta 0.001,0.3 -T 20 -t 19 \
		--keep-noise > s
	same f32 "$(printf '19 exact %d\n' 0 1 2 3 4)" "$(noised s)"
}

@test "the same by hand: dtn-schedule's numbers, in awk" {
	stream -n 3 -s 5x5x1 | dtn-noise -t 250 -T 500 --schedule sigmoid --keep-noise > s
	dtn-schedule -T 500 --schedule sigmoid | awk '$1 == 250 { print $5, $6 }' > ab
	paste <(dtn-info --dump image s | od -An -v -w1 -tu1) <(numbers f4 noise s) \
		<(numbers f4 noised s) > table
	same rows 75 "$(wc -l < table)"
	awk 'NR == FNR { a = $1; b = $2; next }
		{ d = a * ($1 / 127.5 - 1) + b * $2 - $3; if (d > 1e-6 || d < -1e-6) { print; exit 1 } }' ab table
	awk '{ s += $2; q += $2 * $2 } END { m = s / NR; v = q / NR - m * m; exit !(m ^ 2 < 0.2 && v > 0.5 && v < 1.7) }' table
}

@test "the noise of an image follows from its number and the seed alone" {
	stream -n 9 -s 6x6x1 -b 9 > nine
	stream -n 9 -s 6x6x1 -b 2 > twos
	dtn-noise --keep-noise -t 100 nine > a
	dtn-noise --keep-noise -t 100 twos > b
	dtn-noise --keep-noise -t 7,100,500 --schedule linear nine > c
	dtn-noise --keep-noise --random nine > d
	for f in noise noised; do
		dtn-info --dump $f a > x
		dtn-info --dump $f b | cmp - x
	done
	dtn-info --dump noise a > x
	dtn-info --dump noise d | cmp - x
	same "three times each" "$(for i in 0 1 2 3 4 5 6 7 8; do echo $i; echo $i; echo $i; done)" \
		"$(noised c | cut -d ' ' -f 3)"
	# numbers go on over segments
	same segments "$(seq 0 17)" "$(cat nine twos | dtn-noise --keep-noise -t 5 > e; noised e | cut -d ' ' -f 3)"
	dtn-noise --seed 1 --keep-noise -t 100 nine > f
	same "another seed" "$(seq 0 8)" "$(noised f | cut -d ' ' -f 3)"
	dtn-info --dump noise f > y
	if cmp -s x y; then fail "the seed changes nothing"; fi
	same "seed recorded" 1 "$(meta noise.seed f)"
}

@test "--random spreads timesteps evenly" {
	stream -n 200 -s 1x1x1 -b 64 | dtn-noise --random -T 100 > s
	numbers d4 timestep s > t
	same "each a hundredth" "$(seq 0 99)" "$(sort -n t | uniq -c | awk '$1 <= 4 { print $2 }')"
	same frames none "$(meta noise.frames s)"
	stream -n 5 -s 1x1x1 | dtn-noise --random -T 1 > s
	same "one step" "$(printf '0\n0\n0\n0\n0')" "$(numbers d4 timestep s)"
	stream -n 50 -s 1x1x1 | dtn-noise --random -T 100 --seed 3 > s
	if cmp -s <(head -n 50 t) <(numbers d4 timestep s); then fail "the seed changes no time"; fi
}

@test "--pure is where dtn-sample begins" {
	stream -n 3 -s 8x6x1 -l > in
	dtn-noise --pure --seed 4 in > s
	same tensors "label noise" "$(dtn-info --json s | jq -r '[.tensors[].name] | join(" ")')"
	same noise "noise f32 [3,8,6,1]" "$(field noise s | tr -d ' ' | sed 's/f32/ f32 /')"
	same numbers "$(seq 0 2)" "$(noised -p s)"
	same steps none "$(meta ddpm.steps s)"
	dtn-train -q -o m --channels 8 --mult 1 --groups 4 --steps 1 -b 3 in
	dtn-sample -n 3 --seed 4 --steps 1 --trace 2 --dtype f32 m > trace
	for i in 0 2 4; do
		dtn-info --dump image trace | tail -c +$((192 * i + 1)) | head -c 192
	done | cmp - <(dtn-info --dump noise s)
}

@test "other fields, metadata and frames go along" {
	dtn-noise -t 1 "$ROOT/tests/files/good-ancillary.dtn" > s
	same label "label i64 [4]" "$(field label s | tr -d ' ' | sed 's/i64/ i64 /')"
	dtn-info --dump label s | cmp - <(dtn-info --dump label "$ROOT/tests/files/good-ancillary.dtn")
	same "frames that nobody knows" "$(printf 'NOTE\nnote\nhello')" "$(grep -aoE 'NOTE|note|hello' s)"
	stream -n 2 -m x.private=7 -m labels=a,b -c dtn-load | dtn-noise -t 1 > s
	same private 7 "$(meta x.private s)"
	same labels a,b "$(meta labels s)"
	same history "$(printf 'stream\ndtn-noise')" "$(dtn-info --json s | jq -r '.provenance[].program')"
	stream -n 2 -c dtn-load | dtn-noise -t 1 --no-prov > s
	same "no line" 1 "$(dtn-info --json s | jq '.provenance | length')"
}

@test "images larger than a part of a record, and records larger than memory allows" {
	stream -n 3 -s 1100x1100x1 -b 3 > big
	dtn-noise -t 3,9 --keep-noise big > s
	same samples 6 "$(dtn-info --json s | jq .samples)"
	same rebuilt "$(printf '3 exact %d\n9 exact %d\n' 0 0 1 1 2 2)" "$(noised s)"
	stream -n 64 -s 32x32x3 -b 64 > in
	command time -f %M -o peak dtn-noise -t "$(seq -s , 0 999)" in > s
	(($(cat peak) < 300000)) || fail "$(cat peak) kB"
	same many 64000 "$(dtn-info --json s | jq .samples)"
}

@test "--model brings the schedule of a model" {
	stream -n 4 -s 8x6x1 > in
	dtn-train -q -o m --channels 8 --mult 1 --groups 4 --steps 1 -b 4 -T 60 --schedule linear \
		--beta 0.001,0.2 in
	dtn-noise -t 59 --model m in > a
	dtn-noise -t 59 -T 60 --schedule linear --beta 0.001,0.2 in > b
	dtn-info --dump noised a | cmp - <(dtn-info --dump noised b)
	for key in ddpm.steps ddpm.schedule ddpm.beta ddpm.zero_snr; do
		same $key "$(meta $key a)" "$(meta $key b)"
	done
	dtn-sample --from a -o s m
	same history "dtn-noise -t 59" "$(dtn-info --json a | jq -r '.provenance[-1].command')"
	fails 2 'from 0 to 59' dtn-noise -t 60 --model m -o f in
	dtn-noise -t 1 --model missing in 2> err | dtn-info -c - 2> said || true
	grep -q 'upstream failed: dtn-noise: missing: No such file' said
	fails 2 '^dtn-noise: --model brings its schedule: no options for another$' \
		dtn-noise -t 1 -T 60 --model m in
	fails 3 '^dtn-noise: in: expected a model, found samples$' dtn-noise -t 1 --model in -o f in
	fails 1 'No such file' dtn-noise -t 1 --model missing -o f in
	fails 2 'given twice' dtn-noise -t 1 --model - -o f - < m
	head -c -1 m > cut
	fails 3 '^dtn-noise: cut: truncated' dtn-noise -t 1 --model cut -o f in
	[ ! -e f ]
}

@test "threads change nothing, and -q and -v only what is said" {
	stream -n 300 -s 32x32x3 -b 100 -i > in
	dtn-noise --random --keep-noise in > a
	dtn-noise --random --keep-noise -j 7 in > b
	dtn-noise --random --keep-noise -v in 2> err > c
	cmp a b
	cmp a c
	same said "dtn-noise: 300 images" "$(cat err)"
}

@test "a strip is a row of the picture, noise to the right" {
	stream -n 2 -s 1x1x1 -b 2 > in
	dtn-noise --schedule linear -t 0,999,999 in | dtn-png --pad 0 > a.png
	unpng a.png > a
	same size "3 2 1" "$(head -n 1 a)"
	dtn-noise --schedule linear -t 0,999,999 in | dtn-png --pad 0 --columns 2 > a.png
	same "--columns wins" "2 3 1" "$(unpng a.png | head -n 1)"
	stream -n 4 -s 1x1x1 | dtn-noise -t 3 | dtn-png --pad 0 > a.png
	same "one time: a square" "2 2 1" "$(unpng a.png | head -n 1)"
	# at timestep 0 hardly anything has changed: pixel 84 of image 12
	stream -n 13 -s 1x1x1 | dtn-noise -t 0 | dtn-png --pad 0 --columns 13 > a.png
	near=$(unpng a.png | sed -n 2p | cut -d ' ' -f 13)
	((near > 79 && near < 89)) || fail "image 12 at timestep 0 is $near"
}

@test "streams without images, and without samples" {
	stream -n 0 | dtn-noise -t 5 > s
	same none 0 "$(dtn-info --json s | jq .samples)"
	stream -n 3 -r label > s
	fails 3 '^dtn-noise: s: record 0: no images to add noise to$' dtn-noise -t 5 s
	stream -n 3 -t i32 > s
	fails 3 '^dtn-noise: s: record 0: tensor "image": noise is added to u8 or f32 images$' \
		dtn-noise -t 5 s
	stream -n 3 | dtn-noise -t 5 > s
	fails 3 '^dtn-noise: s: record 0: images with noise already$' dtn-noise -t 5 s
	fails 3 'images with noise already$' dtn-noise --pure s
	stream -n 6 -m sample.frames=3 > s
	fails 3 '^dtn-noise: s: frames of dtn-sample --trace; noise is added to images$' dtn-noise -t 5 s
	# memory is taken for what has come, not for what is promised
	"$ROOT/build/opt/tests/format/hostile" --write .
	fails 3 '600-mib-image.dtn: truncated in record 0$' limited 2 256 dtn-noise -t 5 -o f 600-mib-image.dtn
}

@test "options that cannot be" {
	local o
	stream > s
	for o in 1000 -1 0,1000 x 1,,2 5, 1.5; do
		fails 2 "^dtn-noise: -t $o: wants up to 4096 numbers from 0 to 999, separated by commas$" \
			dtn-noise -t "$o" s
	done
	fails 2 '^dtn-noise: --at 300: wants up to 4096 numbers from 0 to 299' dtn-noise --at 300 -T 300 s
	dtn-noise -t 299 -T 300 s > o
	fails 2 "from 0 to 999" dtn-noise -t "$(seq -s , 0 4096 | sed 's/[0-9][0-9]*/1/g')" s
	for o in '' '-t 1 --random' '-t 1 --pure' '--random --pure'; do
		# shellcheck disable=SC2086
		fails 2 '^dtn-noise: one of -t, --random and --pure is wanted$' dtn-noise $o s
	done
	fails 2 'exclude each other' dtn-noise --pure --keep-noise s
	fails 2 '^dtn-noise: --schedule lin: wants linear, ' dtn-noise -t 1 --schedule lin s
	fails 2 'the ends of this schedule are fixed' dtn-noise -t 1 --beta 0.1,0.2 s
	fails 2 '^dtn-noise: -T 0: wants 1 to 1000000$' dtn-noise -t 1 -T 0 s
	fails 3 'not a dtn stream' dtn-noise -t 1 "$BATS_TEST_FILENAME"
}
