#!/usr/bin/env bats
# pairs.bats -- dtn-train on images that come with their noise, as dtn-noise --keep-noise writes them

load common

TINY="--channels 8 --mult 1,2 --groups 4 --attn none"

setup() {
	cd "$BATS_TEST_TMPDIR"
	stream -n 20 -s 8x6x1 -b 7 -c dtn-load > in
}

# train ARGUMENT...: with the tiny network
# shellcheck disable=SC2086
train() { dtn-train $TINY -b 4 "$@"; }

# weights MODEL: some at the beginning and at the end, with their averages
weights() {
	local name
	for name in conv_in.weight conv_out.weight ema:conv_in.weight ema:time_embedding.linear_1.weight; do
		dtn-info --dump $name "$1"
	done | md5sum
}

@test "the first sample is the one that training would have drawn" {
	local how seed
	stream -n 1 -s 8x6x3 > one
	for how in "--predict v" "--predict x0 --schedule linear" "--predict eps -T 50" \
		"--schedule sigmoid --zero-snr --loss huber" "--weight min-snr"; do
		for seed in $(seq 0 "$(either 2 9)"); do
			# shellcheck disable=SC2086
			train -b 1 --steps 1 --seed $seed $how -o drawn one
			# shellcheck disable=SC2001,SC2086
			dtn-noise --random --keep-noise --seed $seed one \
				$(grep -oE -- '-T [0-9]+|--schedule [a-z]+|--zero-snr' <<< "$how") > pair
			# shellcheck disable=SC2086
			train -b 1 --steps 1 --seed $seed $how -o given pair
			same "$how, seed $seed" "$(weights drawn)" "$(weights given)"
		done
	done
	dtn-noise --random --keep-noise --seed 5 one > other
	train -b 1 --steps 1 -o given other
	train -b 1 --steps 1 -o drawn one
	if [[ $(weights drawn) == "$(weights given)" ]]; then fail "the noise of the stream is not used"; fi
}

@test "the schedule is that of the noise" {
	dtn-noise --random --keep-noise -T 300 --schedule linear --beta 0.001,0.03 in > pairs
	train --steps 2 -o a pairs
	dtn-schedule a | cmp - <(dtn-schedule -T 300 --schedule linear --beta 0.001,0.03)
	train --steps 2 -T 300 --schedule linear --beta 0.001,0.03 -o b pairs
	same weights "$(weights a)" "$(weights b)"
	fails 2 '^dtn-train: the images come with noise of 300 steps, linear, betas 0.001 to 0.03, not of 400 steps, linear, ' \
		train --steps 2 -T 400 -o c pairs
	fails 2 'not of 300 steps, cosine: leave out -T, --schedule, --beta and --zero-snr$' \
		train --steps 2 --schedule cosine -o c pairs
	fails 2 'not of 300 steps, linear, betas 0.001 to 0.04:' \
		train --steps 2 --schedule linear --beta 0.001,0.04 -o c pairs
	fails 2 'betas 0.001 to 0.03, no signal at the end:' train --steps 2 --zero-snr -o c pairs
	dtn-noise --random --keep-noise --zero-snr in > pairs
	fails 2 'wants --predict v or x0$' train --steps 2 --predict eps -o c pairs
	same files "a b in pairs" "$(ls | tr '\n' ' ' | sed 's/ $//')"
}

@test "a last step that shows the image is noticed" {
	dtn-noise --random --keep-noise -T 20 --schedule linear --beta 1e-4,0.02 in |
		train --steps 1 -o a 2> err
	grep -q 'warning: the last of 20 steps still shows the image' err
}

@test "stopped and continued, on any number of threads, in memory or not: the same bytes" {
	dtn-noise --random --keep-noise in > pairs
	train --steps 9 --flip -o a pairs
	train --steps 4 --flip -j 1 -o b pairs
	dtn-train --resume --steps 9 -j 3 -o b pairs
	cmp a b
	train --steps 9 --flip --max-mem 1 -o c pairs
	cmp a c
	train --steps 9 --flip --max-mem 3000 -o c < pairs
	cmp a c
	dtn-noise --random --keep-noise -T 500 in > others
	fails 3 '^dtn-train: the images come with noise of 500 steps, cosine, but a was trained with 1000 steps, cosine$' \
		dtn-train --resume --steps 12 -o a others
}

@test "strips, labels and several streams" {
	stream -n 6 -s 8x6x1 -l | dtn-noise -t 10,500,900 --keep-noise > strips
	train --steps 2 -v -o a strips 2> err
	grep -q '18 images of 6x8x1' err
	dtn-noise --random --keep-noise in > b
	train --steps 2 -v -o a strips b 2> err
	grep -q '38 images of 6x8x1' err
}

@test "validation has noise of its own" {
	dtn-noise --random --keep-noise in > pairs
	dtn-noise --random --keep-noise -T 300 in > others
	train --steps 2 --val in --log l1 -o a pairs
	train --steps 2 --val pairs --log l2 -o b pairs
	train --steps 2 --val others --log l3 -o c pairs
	same "of the same images" "$(cut -f 9- l1)" "$(cut -f 9- l2)"
	same "of another schedule" "$(cut -f 9- l1)" "$(cut -f 9- l3)"
	train --steps 2 --val 0.3 --log l4 -o d pairs
	train --steps 2 --val pairs -o e in
}

@test "a network learns from pairs" {
	dtn-noise --random --keep-noise in > pairs
	train --steps 300 --log log --lr 3e-3 -o a pairs
	awk -F '\t' 'NR > 1 && NR <= 31 { first += $4 } NR > 271 { last += $4 } END {
		print first / 30, last / 30; exit !(last < 0.6 * first) }' log
}

@test "what cannot be trained on" {
	dtn-noise --random --keep-noise in > pairs
	dtn-noise --random in > unkept
	dtn-noise --pure in > pure
	dtn-noise --random --keep-noise -T 300 in > others
	fails 3 '^dtn-train: unkept: record 0: images with noise \(dtn-noise\), but without the noise: --keep-noise keeps it$' \
		train --steps 1 -o a unkept
	fails 3 '^dtn-train: pure: record 0: no images to train on$' train --steps 1 -o a pure
	fails 3 '^dtn-train: in: record 0: images without noise after some with noise$' \
		train --steps 1 -o a pairs in
	fails 3 '^dtn-train: pairs: record 0: images with noise after some without$' \
		train --steps 1 -o a in pairs
	fails 3 '^dtn-train: others: record 0: noise of another schedule$' \
		train --steps 1 -o a pairs others
	[ ! -e a ]
}

@test "damaged pairs" {
	stream -n 4 -r noised -t f32 > s
	fails 3 'no images to train on$' train --steps 1 -o a s
	stream -n 4 -s 8x6x1 -t f32 | dtn-noise --random --keep-noise > s
	fails 3 'training wants u8 images' train --steps 1 -o a s
	dtn-noise --random --keep-noise in > pairs
	for n in 2 5 9; do
		head -c $(($(wc -c < pairs) * n / 10)) pairs > cut
		fails 3 'truncated' train --steps 1 -o a cut
	done
	[ ! -e a ]
}
