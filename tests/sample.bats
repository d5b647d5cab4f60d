#!/usr/bin/env bats
# dtn-sample: the same images whatever the way they are asked for, and what is refused

load common

# A model with random weights: see tests/tools/model.c.
model() { "$TOOLS/model" "$@"; }

setup() {
	cd "$BATS_TEST_TMPDIR"
	model m.dtn
}

# The bytes of all images of a stream.
pixels() { dtn-info --dump image "$@"; }

meta() { dtn-info --json "$2" | grep -oE "\"$1\": *\"[^\"]*\"" | sed 's/.*: *"\(.*\)"/\1/'; }

@test "64 images of the model's size, as bytes" {
	dtn-sample m.dtn > s.dtn
	dtn-info -c s.dtn
	pixels s.dtn > p
	same bytes $((64 * 8 * 8)) "$(stat -c %s p)"
	zstd -tq s.dtn
	[ "$(od -An -v -tu1 -w64 p | sort -u | wc -l)" = 64 ]
}

@test "operand, -, standard input and -o give the same bytes" {
	dtn-sample -n 3 m.dtn > a
	dtn-sample -n 3 - < m.dtn > b
	cat m.dtn | dtn-sample -n 3 > c
	dtn-sample -n 3 -o d m.dtn
	cmp a b; cmp a c; cmp a d
}

@test "the same bytes for any number of threads and any -b" {
	dtn-sample -n 50 --steps 5 -j 1 m.dtn > a
	local options
	for options in "-j 2" "-j 7" "-j 0" "-b 1" "-b 20 -j 3" "-b 2147483647 -j 3"; do
		# shellcheck disable=SC2086
		dtn-sample -n 50 --steps 5 $options m.dtn > b
		cmp a b
	done
}

@test "parts make the whole" {
	local options
	for options in "--steps 5" "--steps 5 --eta 1" "--sampler ddpm --steps 7"; do
		# shellcheck disable=SC2086
		{
			dtn-sample -n 64 $options m.dtn > a
			dtn-sample -n 32 $options m.dtn > b
			dtn-sample -n 32 --first 32 $options m.dtn > c
			dtn-sample -n 5 --first 13 $options m.dtn > d
		}
		pixels a > whole
		pixels b c > parts
		cmp whole parts
		pixels d > part
		tail -c +$((13 * 64 + 1)) whole | head -c $((5 * 64)) | cmp - part
	done
}

@test "the same seed twice, another seed, none" {
	dtn-sample -n 4 --seed 7 m.dtn > a
	dtn-sample -n 4 --seed 7 m.dtn > b
	cmp a b
	dtn-sample -n 4 m.dtn > c
	dtn-sample -n 4 --seed 0 --no-prov m.dtn > d
	pixels a > pa; pixels c > pc; pixels d > pd
	cmp pc pd
	run cmp pa pc
	[ "$status" = 1 ]
	same seed 7 "$(meta sample.seed a)"
	same "seed not given" 0 "$(meta sample.seed c)"
}

@test "every option changes the images, or does not" {
	dtn-sample -n 2 m.dtn > a
	pixels a > base
	local options
	for options in "--sampler ddpm" "--sampler dpm++2m" "--sampler dpm++2m --steps 50" "--steps 49" "--eta 0.5" "--spacing leading" "--spacing linspace" \
		"--spacing quad" "--no-clip" "--raw" "--first 1" "--sampler ddpm --variance large" "--seed 1"; do
		# shellcheck disable=SC2086
		dtn-sample -n 2 $options m.dtn > b
		pixels b > other
		! cmp -s base other || fail "$options: the same images"
	done
	dtn-sample -n 2 --sampler ddim --steps 50 --eta 0 --spacing trailing --dtype u8 --device cpu m.dtn > b
	pixels b > other
	cmp base other
	dtn-sample -n 2 --sampler ddpm m.dtn > a
	dtn-sample -n 2 --sampler ddpm --steps 100 --variance small m.dtn > b
	pixels a > base; pixels b > other
	cmp base other
	dtn-sample -n 2 --sampler dpm++2m m.dtn > a
	dtn-sample -n 2 --sampler dpm++2m --steps 25 m.dtn > b
	pixels a > base; pixels b > other
	cmp base other
	same sampler dpm++2m "$(meta sample.sampler a)"
	fails 2 '--eta is for' dtn-sample -o s --sampler dpm++2m --eta 1 m.dtn
}

@test "a model of fewer than 50 steps takes them all" {
	model few.dtn ddpm.steps=9
	dtn-sample -n 2 few.dtn > a
	same steps 9 "$(meta sample.steps a)"
}

@test "f32 is u8 before rounding" {
	dtn-sample -n 3 m.dtn > a
	dtn-sample -n 3 --dtype f32 m.dtn > b
	same range "0,255" "$(meta image.range a)"
	same range "-1,1" "$(meta image.range b)"
	pixels b | od -An -v -tf4 -w4 | awk '{ v = ($1 + 1) * 127.5; print int(v + 0.5) }' > rounded
	pixels a | od -An -v -tu1 -w1 | awk '{ print $1 }' > bytes
	paste rounded bytes | awk '$1 - $2 > 1 || $2 - $1 > 1 { exit 1 } $1 != $2 { n++ } END { exit n > 2 }'
	awk '$1 < 0 || $1 > 255 { exit 1 }' rounded
}

@test "--trace: image by image from noise to the image" {
	dtn-sample -n 20 --steps 6 m.dtn > images
	dtn-sample -n 20 --steps 6 --trace 3 m.dtn > trace
	same frames 3 "$(meta sample.frames trace)"
	pixels trace > t
	same bytes $((20 * 3 * 64)) "$(stat -c %s t)"
	# The last of each three frames is the image.
	local i
	for i in 0 7 19; do
		tail -c +$(((i * 3 + 2) * 64 + 1)) t | head -c 64 > last
		pixels images | tail -c +$((i * 64 + 1)) | head -c 64 | cmp - last
	done
	# All begin with the same noise, whatever the steps; with a frame for each step nothing is left out.
	dtn-sample -n 20 --steps 2 --trace 2 m.dtn | pixels - | head -c 64 > first
	head -c 64 t | cmp - first
	dtn-sample -n 1 --steps 6 --trace 7 m.dtn | pixels - > all
	same "different frames" 7 "$(od -An -v -tx1 -w64 all | sort -u | wc -l)"
	tail -c +$((3 * 64 + 1)) all | head -c 64 > middle
	tail -c +65 t | head -c 64 | cmp - middle
}

@test "--trace-x0 ends with the image, too" {
	dtn-sample -n 2 --steps 6 --trace 4 m.dtn | pixels - > xt
	dtn-sample -n 2 --steps 6 --trace 4 --trace-x0 m.dtn > s
	pixels s > x0
	same shown x0 "$(meta sample.show s)"
	! cmp -s xt x0 || fail "the same frames"
	tail -c 64 xt > a; tail -c 64 x0 > b
	cmp a b
}

# frames STREAM FRAME...: those of the first image, of 64 bytes each
frames() {
	local stream=$1 f
	shift
	for f; do pixels "$stream" | tail -c +$((f * 64 + 1)) | head -c 64; done
}

@test "--trace-at: the frames at these timesteps and the image" {
	local show spacing at every
	for show in "" --trace-x0; do
		# of each spacing: four steps, of which the second and the last
		for spacing in trailing:74,24 leading:50,0 linspace:66,0 quad:35,0; do
			at=${spacing#*:} spacing="--sampler ddpm --steps 4 --spacing ${spacing%:*} -n 11"
			# shellcheck disable=SC2086
			dtn-sample $spacing --trace 5 $show m.dtn > all
			# shellcheck disable=SC2086
			dtn-sample $spacing --trace-at $at $show m.dtn > some
			same frames 3 "$(meta sample.frames some)"
			same timesteps "$at" "$(meta sample.at some)"
			same samples 33 "$(dtn-info --json some | jq .samples)"
			cmp <(frames some 0 1 2 30 31 32) <(frames all 1 3 4 51 53 54)
		done
	done
	same shown x0 "$(meta sample.show some)"
	same "no timesteps" "" "$(meta sample.at all)"
	# the first is the noise itself
	dtn-sample -n 1 --trace-at 99 m.dtn > some
	dtn-sample -n 1 --trace 2 m.dtn > all
	cmp <(pixels some) <(pixels all)
	# all of them
	every=$(seq -s , 99 -1 0)
	dtn-sample -n 1 --sampler ddpm --trace-at "$every" m.dtn | pixels - > some
	dtn-sample -n 1 --sampler ddpm --trace 101 m.dtn | pixels - | cmp - some
	# as pictures: rows of three, and moving
	dtn-sample -n 4 --trace-at 99,49 m.dtn > some
	dtn-png --pad 0 some > some.png
	same size "24 32 1" "$(unpng some.png | head -n 1)"
	unpng -t some.png | grep -x 'sample.at=99,49'
}

@test "--trace-at where sampling begins with an image, a step of its own" {
	stream -n 6 -s 8x8x1 > images.dtn
	dtn-noise -t 40 -T 100 --schedule linear --seed 3 images.dtn > noised.dtn
	dtn-sample --from noised.dtn --steps 10 --trace-at 40,29 --dtype f32 m.dtn > s
	dtn-info --dump noised noised.dtn | head -c 256 > x40
	pixels s | head -c 256 | cmp - x40
	fails 2 '^dtn-sample: --trace-at 49: no step is there; the nearest is at 40$' \
		dtn-sample --from noised.dtn --steps 10 --trace-at 49 m.dtn
	dtn-sample --from images.dtn --strength 0.5 --steps 10 --trace-at 49,9 m.dtn > s
	fails 2 '^dtn-sample: --trace-at 59: no step is there; the nearest is at 49$' \
		dtn-sample --from images.dtn --strength 0.5 --steps 10 --trace-at 59 m.dtn
	# a part of the steps is the nearest number of them
	dtn-sample --from images.dtn --strength 0.56 --steps 10 --trace-at 59 m.dtn > s
	fails 2 '^dtn-sample: --trace-at 59: no step is there; the nearest is at 49$' \
		dtn-sample --from images.dtn --strength 0.54 --steps 10 --trace-at 59 m.dtn
}

@test "--trace-at: timesteps that cannot be" {
	local at
	fails 2 '^dtn-sample: --trace-at 50: no step is there; the nearest are at 51 and 49$' \
		dtn-sample --trace-at 99,50 m.dtn
	fails 2 '^dtn-sample: --trace-at 0: no step is there; the nearest is at 1$' dtn-sample --trace-at 0 m.dtn
	fails 2 '^dtn-sample: --trace-at 99: no step is there; the nearest is at 96$' \
		dtn-sample --steps 25 --spacing leading --trace-at 99 m.dtn
	fails 2 '^dtn-sample: --trace-at 49,99: wants timesteps that fall$' dtn-sample --trace-at 49,99 m.dtn
	fails 2 '^dtn-sample: --trace-at 49,49: wants timesteps that fall$' dtn-sample --trace-at 99,49,49 m.dtn
	for at in 100 -1 1,100 x 9, ,9 99,,49 "" 99999999999999999999; do
		fails 2 "^dtn-sample: --trace-at $at: wants up to 4096 numbers from 0 to 99, separated by commas$" \
			dtn-sample --trace-at "$at" m.dtn
	done
	fails 2 '^dtn-sample: --trace and --trace-at exclude each other$' dtn-sample --trace 5 --trace-at 99 m.dtn
	run bash -c 'dtn-sample --trace-at 98 m.dtn 2> /dev/null | dtn-png 2>&1 > /dev/null'
	[[ $output == *"upstream failed"*"no step is there"* ]]
}

@test "averaged weights, unless --raw or there are none" {
	dtn-sample -n 2 m.dtn > a
	dtn-sample -n 2 --raw m.dtn > b
	same weights ema "$(meta sample.weights a)"
	same weights param "$(meta sample.weights b)"
	model plain.dtn tensors=param
	dtn-sample -n 2 plain.dtn > c
	pixels b > pb; pixels c > pc
	cmp pb pc
	same "name of the model" "$(meta sample.model b)" "$(meta sample.model c)"
	[ "$(meta sample.model a)" != "$(meta sample.model b)" ]
}

@test "predictions, schedules, sizes and colors" {
	local config
	for config in "ddpm.prediction=v ddpm.schedule=cosine" "ddpm.prediction=x0" \
		"ddpm.prediction=v ddpm.zero_snr=1" "ddpm.prediction=eps ddpm.zero_snr=1" \
		"ddpm.prediction=v ddpm.schedule=jsd" "ddpm.prediction=eps ddpm.schedule=jsd" \
		"image.height=5 image.width=11 image.channels=3 ddpm.schedule=sigmoid" \
		"image.height=1 image.width=1" "ddpm.steps=1" "unet.mult=1 unet.attn=none"; do
		# shellcheck disable=SC2086
		model c.dtn $config
		dtn-sample -n 3 --steps 1 c.dtn | dtn-info -c -
		dtn-sample -n 3 --dtype f32 c.dtn | pixels - > p
		! od -An -v -tf4 p | grep -q nan || fail "$config: no numbers"
	done
}

@test "the kind of attention is the model's; without a word softmax" {
	local kind
	for kind in softmax linear; do
		model $kind.dtn unet.attention=$kind unet.heads=2
		dtn-sample -n 2 --steps 2 --dtype f32 $kind.dtn | pixels - > $kind
	done
	run ! cmp -s softmax linear
	model c.dtn unet.heads=2
	dtn-sample -n 2 --steps 2 --dtype f32 c.dtn | pixels - | cmp - softmax
}

@test "records of at most 4 MiB" {
	model wide.dtn image.height=64 image.width=64 image.channels=3 unet.attn=none unet.channels=4 unet.mult=1,1,1,1
	dtn-sample -n 1 --steps 1 --trace 100 --dtype f32 wide.dtn > s
	[ "$(dtn-info s | grep -oE '[0-9]+ records' | cut -d ' ' -f 1)" = 2 ]
	dtn-sample -n 1 --steps 1 --trace 100 --dtype f32 wide.dtn | dtn-info -c -
}

@test "what is written tells how it was made" {
	dtn-sample -n 2 -j 3 -b 9 --eta 0.25 -o s.dtn m.dtn
	dtn-info s.dtn > text
	grep -q "sample.eta = 0.25" text
	grep -q "sample.spacing = trailing" text
	grep -qE "dtn-sample -n 2 --eta 0.25$" text
	absent m.dtn text
	dtn-sample --no-prov -n 2 m.dtn > t
	dtn-info t > text
	absent "dtn-sample" text
	dtn-sample -n 2 m.dtn | dtn-png > p.png
	unpng -t p.png | grep -q "sample.model"
}

@test "the kernels of other processors give nearly the same images" {
	dtn-sample -n 4 --dtype f32 --precision f32 --device cpu:v2 m.dtn | pixels - | od -An -v -tf4 -w4 > a
	dtn-sample -n 4 --dtype f32 --precision f32 m.dtn | pixels - | od -An -v -tf4 -w4 > b
	paste a b | awk '{ d = $1 - $2; s += d * d; n++ } END { exit !(n == 256 && sqrt(s / n) < 0.02) }'
}

# --- classes ------------------------------------------------------------------------------------------

# A model with three classes; the second has a comma in its name.
classes() { model classes.dtn unet.classes=3 labels=cat,a%2Cb,dog "$@"; }

# f32 numbers of the images, one a line.
numbers() { dtn-sample --dtype f32 --precision f32 "$@" classes.dtn | pixels - | od -An -v -tf4 -w4; }

@test "guidance 1 is the class, 0 is none, and between and beyond it is a line" {
	classes
	numbers -n 20 --class cat --guidance 1 > cat
	numbers -n 20 --class dog --guidance 1 > dog
	numbers -n 20 --guidance 0 > none
	! cmp -s cat dog || fail "cat and dog are one"
	! cmp -s cat none || fail "cat and none are one"
	numbers -n 20 --class cat --guidance 0 | cmp - none
	# in one step without clipping an image is linear in what the network says
	local one="-n 20 --steps 1 --no-clip"
	numbers $one --class cat --guidance 1 > cat
	numbers $one --guidance 0 > none
	for s in 0.5 2 7.5; do
		numbers $one --class cat --guidance $s | paste - cat none | awk -v s=$s '
			{ want = $3 + s * ($2 - $3); d = $1 - want; if (d * d > 1e-6 * (1 + want * want)) exit 1
			  far += ($2 - $3) ^ 2 } END { exit !(NR == 1280 && far > 1) }' || fail "guidance $s"
	done
}

@test "guidance between timesteps only" {
	classes
	local all="--class cat --guidance 3 --steps 10" k
	numbers -n 2 $all --trace 11 --guidance 1 > learned
	numbers -n 2 $all --trace 11 > guided
	# of steps at 99, 89 .. 9 those at 69 to 39 are guided, so four frames of an image are as learned,
	# with the noise, and not the others
	numbers -n 2 $all --trace 11 --guide-at 39,69 > between
	for k in 0 1; do
		for f in learned between; do tail -n +$((k * 704 + 1)) $f | head -n 256 > $f.begin; done
		cmp learned.begin between.begin
	done
	! cmp -s <(tail -n +257 learned | head -n 64) <(tail -n +257 between | head -n 64) || fail "no guidance"
	numbers -n 2 $all --trace 11 --guide-at 30,78 | cmp - between
	! cmp -s guided between || fail "guidance everywhere"
	numbers -n 2 $all --trace 11 --guide-at 0,99 | cmp - guided
	numbers -n 2 $all --trace 11 --guide-at 40,48 | cmp - learned
	# one image is made like the others, whatever -j and -b
	numbers -n 20 $all --guide-at 39,69 > images
	numbers -n 20 $all --guide-at 39,69 -j 3 -b 1 | cmp - images
	numbers -n 3 --first 13 $all --guide-at 39,69 -j 1 > part
	tail -n +$((13 * 64 + 1)) images | head -n $((3 * 64)) | cmp - part
	dtn-sample -n 1 $all --guide-at 39,69 classes.dtn > s
	same timesteps 39,69 "$(meta sample.guide_at s)"
	dtn-png -o s.png s
	unpng -t s.png | grep -q 'sample.guide_at.*39,69'
	for k in 0 1; do absent guide_at <(dtn-info <(dtn-sample -n 1 --guidance $k classes.dtn)); done
}

@test "timesteps of guidance that are none" {
	classes
	local k
	for k in 5 5, 1,2,3 -1,5 5,100 x,y ''; do
		fails 2 "--guide-at $k: wants" dtn-sample -o s --guide-at "$k" classes.dtn
	done
	fails 2 '--guide-at 6,5: wants two timesteps, LOW,HIGH' dtn-sample -o s --guide-at 6,5 classes.dtn
	fails 2 'wants up to 2 numbers from 0 to 99' dtn-sample -o s --guide-at 0,100 classes.dtn
	for k in 0 1; do
		fails 2 "--guide-at wants a --guidance other than 0 and 1, not $k" \
			dtn-sample -o s --guidance $k --guide-at 0,9 classes.dtn
	done
	fails 2 '--guide-at: the model was not trained with classes' dtn-sample -o s --guide-at 0,9 m.dtn
	[ ! -e s ]
}

@test "several classes take turns, by the number of the image" {
	classes
	local k
	dtn-sample -n 12 --class all --guidance 2 classes.dtn > all
	dtn-info --dump label all | od -An -v -td4 -w48 | xargs > labels
	same labels "0 1 2 0 1 2 0 1 2 0 1 2" "$(cat labels)"
	same names "cat,a%2Cb,dog" "$(meta labels all)"
	dtn-sample -n 12 --class cat,a%2Cb,dog --guidance 2 classes.dtn | pixels - > named
	pixels all | cmp - named
	dtn-sample -n 12 --class a,b --guidance 2 classes.dtn > second
	pixels second | tail -c +65 | head -c 64 > one
	tail -c +65 named | head -c 64 | cmp - one
	same label "1" "$(dtn-info --dump label second | od -An -v -td4 -w4 | sort -u | xargs)"
	# parts make the whole here, too
	for k in "-n 5" "-n 3 --first 5 -j 1" "-n 4 --first 8 -b 1"; do
		# shellcheck disable=SC2086
		dtn-sample $k --class all --guidance 2 classes.dtn > part
		pixels part >> parts
		dtn-info --dump label part >> part-labels
	done
	cmp parts named
	dtn-info --dump label all | cmp - part-labels
	# every frame has its image's label
	dtn-sample -n 3 --trace 2 --class all classes.dtn | dtn-info --dump label - |
		od -An -v -td4 -w24 | xargs > labels
	same labels "0 0 1 1 2 2" "$(cat labels)"
	# also of numbers that have no multiples
	dtn-sample -n 2 --first $((1 << 62)) --steps 1 --trace 4 classes.dtn | dtn-info --dump label - |
		od -An -v -td4 -w32 | xargs > labels
	same "of large numbers" "1 1 1 1 2 2 2 2" "$(cat labels)"
	dtn-sample -n 3 --class all --guidance 2 classes.dtn > s
	same class all "$(meta sample.class s)"
	same guidance 2 "$(meta sample.guidance s)"
	absent label <(dtn-info <(dtn-sample -n 3 --guidance 0 classes.dtn))
	# which is what happens by itself
	dtn-sample -n 12 classes.dtn | pixels - | cmp - named
	# also where a class has this name, which then can be asked for
	model called.dtn unet.classes=3 labels=cat,all,dog
	dtn-sample -n 4 --steps 1 called.dtn | dtn-info --dump label - | od -An -v -td4 -w16 | xargs > labels
	same labels "0 1 2 0" "$(cat labels)"
	dtn-sample -n 4 --steps 1 --class all called.dtn | dtn-info --dump label - |
		od -An -v -td4 -w16 | xargs > labels
	same "of the class" "1 1 1 1" "$(cat labels)"
}

@test "classes that are not there" {
	classes
	fails 2 'there is no such class, but cat,a%2Cb,dog' dtn-sample -o s --class bird classes.dtn
	fails 2 'bird: there is no such class' dtn-sample -o s --class cat,bird classes.dtn
	fails 2 'bird: there is no such class' dtn-sample -o s --class bird --guidance 0 classes.dtn
	fails 2 'was not trained with classes' dtn-sample -o s --class cat m.dtn
	fails 2 '--guidance: the model was not trained with classes' dtn-sample -o s --guidance 2 m.dtn
	fails 2 '--guidance -1' dtn-sample -o s --guidance -1 --class cat classes.dtn
	classes train.label_dropout=0
	fails 2 'trained without --label-dropout' dtn-sample -o s --guidance 0 classes.dtn
	fails 2 'trained without --label-dropout' dtn-sample -o s --class cat --guidance 2 classes.dtn
	dtn-sample -n 1 classes.dtn > s
	same guidance 1 "$(meta sample.guidance s)"
	rm s
	model bad.dtn unet.classes=2 labels=a,b,c 2> said || true
	grep -q 'unet.classes=2: is not how many names labels has' said
	[ ! -e s ]
}

@test "images to begin with are of no class unless they are said to be" {
	classes
	stream -n 6 -s 8x8x1 > images.dtn
	dtn-sample --from images.dtn classes.dtn > s
	same guidance 0 "$(meta sample.guidance s)"
	fails 2 'wants their --class' dtn-sample -o t --from images.dtn --guidance 2 classes.dtn
	dtn-sample --from images.dtn --class cat --guidance 0 classes.dtn | pixels - > none
	pixels s | cmp - none
	dtn-sample --from images.dtn --class cat classes.dtn | pixels - > cats
	! cmp -s none cats || fail "the class is not looked at"
	dtn-noise --pure images.dtn > noise.dtn
	dtn-sample -n 6 classes.dtn | pixels - > drawn
	dtn-sample --from noise.dtn classes.dtn | pixels - | cmp - drawn
}

# --- beginning with a stream ----------------------------------------------------------------------------

@test "--from noise is what would have been drawn" {
	stream -n 30 -s 8x8x1 > images.dtn
	dtn-noise --pure --seed 5 images.dtn > noise.dtn
	local options
	for options in "--steps 6" "--sampler ddpm --steps 7" "--steps 5 --spacing leading --eta 1"; do
		# shellcheck disable=SC2086
		{
			dtn-sample -n 30 --seed 5 $options m.dtn | pixels - > drawn
			dtn-sample --from noise.dtn --seed 5 $options m.dtn | pixels - | cmp - drawn
			dtn-sample --from - --seed 5 -n 7 --first 13 $options m.dtn < noise.dtn | pixels - > part
		}
		tail -c +$((13 * 64 + 1)) drawn | head -c $((7 * 64)) | cmp - part
	done
	# other noise, other images
	dtn-noise --pure --seed 6 images.dtn | dtn-sample --from - --steps 6 m.dtn | pixels - > other
	! cmp -s drawn other || fail "the noise is not looked at"
	fails 2 '--strength is for images; the stream has noise' \
		dtn-sample -o s --from noise.dtn --strength 0.5 m.dtn
}

@test "values that are no numbers are told of" {
	model m.dtn huge=conv_out.bias
	dtn-sample -n 2 --first 1 --steps 3 --no-clip m.dtn > s 2> err
	same said "dtn-sample: warning: 128 values are no numbers and written as 0" "$(cat err)"
	same black "0" "$(pixels s | od -An -v -tu1 -w1 | sort -nu | xargs)"
	dtn-sample -n 2 --steps 3 --no-clip --dtype f32 m.dtn 2> err > s
	dtn-sample -n 2 --steps 3 m.dtn > s 2>> err
	same "of numbers" "" "$(cat err)"
}

@test "--from images: the less strength, the more is left of them" {
	stream -n 20 -s 8x8x1 > images.dtn
	pixels images.dtn | od -An -v -tu1 -w1 > x0
	local far last=0 strength
	for strength in 0 0.1 0.5 1; do
		dtn-sample --from images.dtn --strength $strength m.dtn > s
		same strength $strength "$(meta sample.strength s)"
		far=$(pixels s | od -An -v -tu1 -w1 | paste - x0 |
			awk '{ s += ($1 - $2) ^ 2 } END { printf "%d\n", sqrt(s / NR) }')
		echo "strength $strength: $far from the images"
		((far > last)) || fail "strength $strength: $far, before $last"
		last=$far
	done
	# the default, any threads, parts
	dtn-sample --from images.dtn --strength 0.75 m.dtn | pixels - > a
	dtn-sample --from images.dtn -j 1 m.dtn | pixels - | cmp - a
	dtn-sample --from images.dtn --first 3 -n 9 -b 1 m.dtn | pixels - > b
	tail -c +$((3 * 64 + 1)) a | head -c $((9 * 64)) | cmp - b
	# f32 images are the same ones
	stream -n 20 -s 8x8x1 -t f32 | dtn-sample --from - m.dtn | pixels - > c
	cmp -l a c | awk '{ d = $2 - $3 } END { exit NR > 20 }'
}

@test "--from images with noise: goes on at their timestep" {
	stream -n 6 -s 8x8x1 > images.dtn
	dtn-noise -t 40 -T 100 --schedule linear --seed 3 images.dtn > noised.dtn
	dtn-sample --from noised.dtn --dtype f32 --trace 2 m.dtn > s
	same timestep 40 "$(meta sample.from s)"
	dtn-info --dump noised noised.dtn | head -c 256 > x40
	pixels s | head -c 256 | cmp - x40
	dtn-noise -t 40,50 -T 100 --schedule linear images.dtn > two.dtn
	fails 3 'timesteps 40 and 50: --from wants images of one' dtn-sample -o s --from two.dtn m.dtn
	dtn-noise -t 40 -T 50 --schedule linear images.dtn > other.dtn
	fails 3 'another schedule' dtn-sample -o s --from other.dtn m.dtn
	fails 2 '--strength is for images' dtn-sample -o s --from noised.dtn --strength 1 m.dtn
	# one schedule under two names
	model m.dtn ddpm.schedule=quadratic
	dtn-noise -t 40 -T 100 --schedule scaled-linear --seed 3 images.dtn > noised.dtn
	dtn-sample -n 6 --from noised.dtn m.dtn > s
}

@test "--from what it cannot be" {
	stream -n 5 -s 8x8x1 > images.dtn
	stream -n 5 -s 8x9x1 > wide.dtn
	fails 3 'images of 9x8x1, but the model makes images of 8x8x1' dtn-sample -o s --from wide.dtn m.dtn
	stream -n 5 -s 8x8x3 > colors.dtn
	fails 3 'images of 8x8x3, but the model makes images of 8x8x1' dtn-sample -o s --from colors.dtn m.dtn
	dtn-sample -n 2 --trace 3 m.dtn > trace.dtn
	fails 3 'frames of dtn-sample --trace; --from wants images or noise' \
		dtn-sample -o s --from trace.dtn m.dtn
	fails 3 '5 samples, which are not enough' dtn-sample -o s --from images.dtn -n 6 m.dtn
	fails 3 '5 samples, which are not enough' dtn-sample -o s --from images.dtn --first 5 m.dtn
	stream -n 5 -s 8x8x1 -t i32 > s32.dtn
	fails 3 '--from wants f32' dtn-sample -o s --from s32.dtn m.dtn
	stream -n 5 -s 8x8x1 -t f32 -x 3 > nan.dtn
	fails 3 'is not finite' dtn-sample -o s --from nan.dtn m.dtn
	stream -n 5 -s 8x8x1 -t f32 -r noised > bare.dtn
	fails 3 'no timesteps' dtn-sample -o s --from bare.dtn m.dtn
	fails 3 'expected samples, found a model' dtn-sample -o s --from m.dtn m.dtn
	fails 1 'No such file' dtn-sample -o s --from nowhere.dtn m.dtn
	fails 2 '--strength wants --from' dtn-sample -o s --strength 0.5 m.dtn
	fails 2 '--strength 1.5' dtn-sample -o s --from images.dtn --strength 1.5 m.dtn
	head -c -20 images.dtn > cut.dtn
	fails 3 'cut.dtn: ' dtn-sample -o s --from cut.dtn m.dtn
	fails 3 'noise after images' dtn-sample -o s --from <(cat images.dtn; dtn-noise --pure images.dtn) m.dtn
	[ ! -e s ]
}

@test "wrong options" {
	fails 2 'sampler' dtn-sample --sampler euler m.dtn
	fails 2 '-n 0' dtn-sample -n 0 m.dtn
	fails 2 '--steps 0' dtn-sample --steps 0 m.dtn
	fails 2 '--steps 101: the model has 100' dtn-sample --steps 101 m.dtn
	fails 2 'eta' dtn-sample --eta 1.5 m.dtn
	fails 2 '--eta is for' dtn-sample --sampler ddpm --eta 0 m.dtn
	fails 2 '--variance is for' dtn-sample --variance large m.dtn
	fails 2 'spacing' dtn-sample --spacing even m.dtn
	fails 2 '--trace 1' dtn-sample --trace 1 m.dtn
	fails 2 '--trace-x0 wants --trace or --trace-at, ' dtn-sample --trace-x0 m.dtn
	fails 2 'dtype' dtn-sample --dtype u16 m.dtn
	fails 2 'device' dtn-sample --device tpu m.dtn
	fails 2 'precision' dtn-sample --precision f64 m.dtn
	fails 2 'one model' dtn-sample m.dtn m.dtn
	fails 2 '--first' dtn-sample --first -1 m.dtn
	fails 2 'no-such' dtn-sample --no-such m.dtn
}

@test "wrong inputs" {
	fails 1 'nowhere.dtn.*No such file' dtn-sample -o s nowhere.dtn
	fails 1 'Is a directory' dtn-sample -o s .
	: > empty
	fails 3 'empty input' dtn-sample -o s empty
	stream > samples.dtn
	fails 3 'expected a model, found samples' dtn-sample -o s samples.dtn
	dtn-png samples.dtn > a.png
	fails 3 'not a dtn stream' dtn-sample -o s a.png
	head -c 20000 m.dtn > half.dtn
	fails 3 'half.dtn: .*truncated' dtn-sample -o s half.dtn
	model nan.dtn nan=conv_in.weight
	fails 3 'conv_in.weight.* is not finite' dtn-sample -o s nan.dtn
	cat m.dtn m.dtn > two.dtn
	fails 3 'expected one model' dtn-sample -o s two.dtn
	[ ! -e s ]
}

@test "a flipped bit of a model is noticed, or changes nothing" {
	local i size status step
	model s image.height=4 image.width=4 unet.channels=2 unet.groups=1 unet.mult=1 unet.attn=none
	dtn-sample -n 1 --steps 1 s > expected
	size=$(wc -c < s)
	step=$((size / $(either 70 2000)))
	for ((i = 0; i < size; i += step)); do
		flip $i s t
		status=0
		dtn-sample -n 1 --steps 1 t > o 2> e || status=$?
		if [ $status = 0 ]; then
			cmp o expected
		else
			same "status at $i: $(cat e)" 3 $status
			same "lines at $i" 1 "$(wc -l < e)"
		fi
	done
}

@test "who reads the images hears of a failure" {
	run bash -c 'dtn-sample nowhere.dtn 2>/dev/null | dtn-png 2>&1 >/dev/null'
	[[ $output == *"upstream failed"*"nowhere.dtn"* ]]
	run bash -c 'dtn-sample -n 100000 m.dtn | head -c 1 >/dev/null; echo "${PIPESTATUS[0]}"'
	same "status after a closed pipe" 141 "$output"
	run dtn-sample -n 2 m.dtn -o /dev/full
	same status 1 "$status"
	[[ $output == *"No space left"* ]]
}

@test "images arrive while others are made" {
	# The reader ends after the first record, long before 100,000 images.
	timeout 20 bash -c 'dtn-sample -n 100000 m.dtn | head -c 4096 | wc -c' > n
	same bytes 4096 "$(cat n)"
}

@test "a terminal: no images on it, progress beside them" {
	run on_terminal "dtn-sample -n 1 m.dtn"
	same status 2 "$status"
	[[ $output == *terminal* ]]
	on_terminal "dtn-sample -n 64 --sampler ddpm m.dtn > $BATS_TEST_TMPDIR/s" > shown
	grep -q "images/s" shown
	absent "$(printf '\033')" shown
	on_terminal "dtn-sample -q -n 64 --sampler ddpm m.dtn > $BATS_TEST_TMPDIR/t" > shown
	same "shown with -q" "" "$(cat shown)"
	# all of its width but the last column, whatever another program had shown there
	for width in 30 100; do
		script -qec "stty cols $width; dtn-sample -n 64 --sampler ddpm m.dtn > t" /dev/null < /dev/null > shown
		same "lengths of lines" $((width - 1)) "$(tr '\r' '\n' < shown | awk 'length { print length }' | sort -u)"
	done
	cmp s t
	dtn-sample -n 2 m.dtn 2> shown > /dev/null
	same "shown without a terminal" "" "$(cat shown)"
}
