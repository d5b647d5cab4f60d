#!/usr/bin/env bats
# dtn-train: the same bytes however it runs, stops and goes on; what is refused; what it says

load common

# A network that takes milliseconds a step.
TINY="--channels 8 --mult 1,2 --groups 4 --attn none -b 4"

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	stream -n 40 -s 8x8x1 -c dtn-load > good.dtn
	dtn-train $TINY --steps 12 -o twelve.dtn good.dtn
}

setup() {
	cd "$BATS_TEST_TMPDIR"
	G=$BATS_FILE_TMPDIR/good.dtn
	TWELVE=$BATS_FILE_TMPDIR/twelve.dtn
}

# train ARGUMENT...: with the tiny network
# shellcheck disable=SC2086
train() { dtn-train $TINY "$@"; }

# column NAME FILE: of a log, without the name
column() {
	awk -F '\t' -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) c = i } NR > 1 { print $c }' "$2"
}

# last_loss FILE: mean of the last 20 losses of a log
last_loss() { column loss "$1" | tail -n 20 | awk '{ sum += $1 } END { printf "%.4f\n", sum / NR }'; }

# What is in this folder, but what `fails` leaves there.
files() { ls -A | grep -vx '\.err\|\.out\|separate-stderr-.*' | tr '\n' ' ' | sed 's/ $//'; }

less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }' || fail "$1 is not less than $2"; }

# --- the same bytes -----------------------------------------------------------------------------------

@test "--steps 12 is --steps 5 and then --resume --steps 12" {
	train --steps 5 -o a.dtn "$G"
	run ! cmp -s a.dtn "$TWELVE"
	dtn-train --resume --steps 12 -o a.dtn "$G"
	cmp a.dtn "$TWELVE"
	# options of the first run may be repeated
	train --steps 5 -o b.dtn "$G"
	train --seed 0 --resume --steps 12 -o b.dtn "$G"
	cmp b.dtn "$TWELVE"
	# a limit that is reached already changes nothing
	train --resume --steps 12 -o b.dtn "$G"
	cmp b.dtn "$TWELVE"
}

@test "a run in three parts, with everything that has a state" {
	local all="--dropout 0.2 --flip --accum 2 --warmup 7 --val 0.2 --val-every 3 --keep-best --weight-decay 0.1"
	train $all --steps 17 -o a.dtn "$G"
	train $all --steps 4 -o b.dtn "$G"
	same "step of the best, which is no last one" 3 "$(json train.step b.dtn.best)"
	dtn-train --resume --keep-best --val-every 3 --steps 10 -o b.dtn -j 1 "$G"
	dtn-train --resume --keep-best --val-every 3 --steps 17 -o b.dtn -j 3 "$G"
	cmp a.dtn b.dtn
	cmp a.dtn.best b.dtn.best
}

@test "threads, memory limits and pieces of the input do not matter" {
	local j
	for j in 1 2 5; do
		train --steps 12 -j $j --max-mem $((j * 700 - 700)) -o a.dtn "$G"
		cmp a.dtn "$TWELVE"
	done
	for j in 1 3; do        # a batch that they share
		train --steps 2 -b 40 -j $j -o $j.dtn "$G"
	done
	cmp 1.dtn 3.dtn
	stream -n 20 -s 8x8x1 > s       # images to validate on share the memory
	train --steps 2 --val s --log want -o b.dtn "$G"
	for j in 1 3000; do
		train --steps 2 --val s --max-mem $j --log log -o a.dtn "$G"
		cmp <(cut -f 1-6,9- log) <(cut -f 1-6,9- want)
	done
	train --steps 12 --log log --save-every 2 -v -o a.dtn - < "$G" 2> err
	cmp a.dtn "$TWELVE"
	[ ! -e a.dtn.ckpt ]
}

@test "the seed decides" {
	train --steps 2 --seed 1 -o a.dtn "$G"
	train --steps 2 --seed 2 -o b.dtn "$G"
	run ! cmp -s a.dtn b.dtn
}

@test "killed at any moment, it goes on from the last checkpoint to the same bytes" {
	local i
	for i in $(seq "$(either 6 60)"); do
		rm -f a.dtn*
		# shellcheck disable=SC2086
		(exec dtn-train $TINY --steps 12 --save-every 1 -o a.dtn "$G") & pid=$!
		sleep "$(printf '0.%03d' $((i * $(either 30 3))))"
		kill -9 $pid || true
		wait $pid || true
		[ ! -e a.dtn ] || cmp a.dtn "$TWELVE"
		if [ -e a.dtn.ckpt ]; then
			dtn-info -c a.dtn.ckpt
			dtn-train --resume --steps 12 -o a.dtn "$G"
		else
			train --steps 12 -o a.dtn "$G"
		fi
		cmp a.dtn "$TWELVE"
		[ ! -e a.dtn.ckpt ]
	done
}

# --- classes ------------------------------------------------------------------------------------------

# labelled NAMES FILE [STREAM'S OPTION...]: 40 images with labels 0 to 9 in turn
labelled() {
	local names=$1 file=$2
	shift 2
	stream -n 40 -s 8x8x1 -l ${names:+-m "labels=$names"} "$@" > "$file"
}

json() { dtn-info --json "$2" | grep -oE "\"$1\": *\"[^\"]*\"" | sed 's/.*: *"\(.*\)"/\1/'; }

@test "classes: the same bytes however it runs, stops and goes on" {
	local all="--classes --label-dropout 0.3 --flip --dropout 0.1 --val 0.2 --val-every 3 --keep-best"
	all="$all --weight min-snr --zero-snr"
	labelled a,b,c,d,e,f,g,h,i,j s
	train $all --steps 11 -o whole.dtn s
	train $all --steps 4 -o part.dtn s
	train $all --steps 7 --resume -o part.dtn -j 1 --max-mem 1 s
	dtn-train --keep-best --val-every 3 --steps 11 --resume -o part.dtn -j 3 s
	cmp part.dtn whole.dtn
	cmp part.dtn.best whole.dtn.best
	same classes 10 "$(json unet.classes whole.dtn)"
	same names a,b,c,d,e,f,g,h,i,j "$(json labels whole.dtn)"
	dtn-sample -n 10 part.dtn.best | dtn-info -c -
	# labels change what is learned, and so does hiding them
	labelled a,b,c,d,e,f,g,h,i,j s
	for option in "--label-dropout 0.3" "--label-dropout 0" "--label-dropout 1"; do
		train --classes $option --steps 11 -o a.dtn s
		cksum < a.dtn >> sums
	done
	same "different models" 3 "$(sort -u sums | wc -l)"
}

@test "classes are known by their names, whatever their numbers" {
	labelled a,b,c,d,e,f,g,h,i,j s
	train --classes --steps 3 -o a.dtn s
	# a second segment with other numbers, and a class more
	labelled k,b,c,d,e,f,g,h,i,a t
	train --classes --steps 3 -o b.dtn s t
	same names a,b,c,d,e,f,g,h,i,j,k "$(json labels b.dtn)"
	same classes 11 "$(json unet.classes b.dtn)"
	# without classes a model keeps what all its images say
	train --steps 1 -o plain.dtn s s
	same "the same names" a,b,c,d,e,f,g,h,i,j "$(json labels plain.dtn)"
	train --steps 1 -o plain.dtn s t
	same "names of some" "" "$(json labels plain.dtn)"
	# without names they are numbers
	labelled "" n
	train --classes --steps 3 -o n.dtn n
	same names 0,1,2,3,4,5,6,7,8,9 "$(json labels n.dtn)"
	# but numbers and names are not the same classes
	fails 3 'n: record 0: classes without names, after classes with names' train --classes -o c.dtn s n
	fails 3 's: record 0: classes with names, after classes without names' train --classes -o c.dtn n s
	dtn-cat n n > nn
	train --classes --steps 3 -o c.dtn nn n
	same "names of all" 0,1,2,3,4,5,6,7,8,9 "$(json labels c.dtn)"
	# a model that is continued knows no others, but a list may name more than there are
	fails 3 't: record 0: an image of class "k", which the model does not know' \
		dtn-train --resume --steps 4 -o a.dtn t
	fails 3 'class "0", which the model does not know' dtn-train --resume --steps 4 -o a.dtn n
	fails 3 'class "k", which the model does not know' train --classes --val t --steps 4 -o c.dtn s
	labelled j,i,h,g,f,e,d,c,b,a,extra r
	cp b.dtn c.dtn
	fails 0 'warning: 40 images' dtn-train --resume --steps 4 -o c.dtn r
}

@test "classes that cannot be" {
	labelled a,b,c short
	fails 3 'label 3, but there are 3 classes' train --classes -o m.dtn short
	fails 3 'images without labels, but training is with classes' train --classes -o m.dtn "$G"
	labelled a,b,c,d,e,f,g,h,i,j s
	fails 3 'good.dtn: record 0: images without labels' train --classes -o m.dtn s "$G"
	fails 3 'images without labels' train --classes --val "$G" -o m.dtn s
	fails 2 '--label-dropout wants --classes' train --label-dropout 0.2 -o m.dtn s
	fails 2 '--label-dropout 1.5' train --classes --label-dropout 1.5 -o m.dtn s
	cp "$TWELVE" a.dtn
	fails 2 '--classes 1 contradicts a.dtn' dtn-train --resume --classes --steps 13 -o a.dtn s
	train --classes --steps 2 -o b.dtn s
	fails 2 '--label-dropout 0.5.* contradicts b.dtn' \
		dtn-train --resume --label-dropout 0.5 --steps 13 -o b.dtn s
	[ ! -e m.dtn ]
}

# --- another model's weights --------------------------------------------------------------------------

@test "--from begins with averaged weights and the other's network" {
	# no step's worth of rate: the weights stay
	dtn-train --from "$TWELVE" --lr 0 --steps 1 -o a.dtn "$G"
	for name in conv_in.weight conv_out.bias mid_block.attentions.0.to_q.weight; do
		dtn-info --dump "ema:$name" "$TWELVE" > ema
		dtn-info --dump $name a.dtn | cmp - ema
	done
	same steps 1 "$(json train.step a.dtn)"
	same network "8 1,2 4 none" "$(json unet.channels a.dtn) $(json unet.mult a.dtn) \
$(json unet.groups a.dtn) $(json unet.attn a.dtn)"
	# the same bytes for any way it runs
	dtn-train --from "$TWELVE" --steps 9 -b 4 -o b.dtn "$G"
	dtn-train --from "$TWELVE" --steps 4 -b 4 -o c.dtn "$G"
	dtn-train --from "$TWELVE" --resume --steps 9 -j 1 -o c.dtn "$G"
	cmp b.dtn c.dtn
	grep -q 'dtn-train .*--from' <(dtn-info b.dtn)
	# what is given, is taken
	dtn-train --from "$TWELVE" --steps 1 --schedule linear --zero-snr --predict x0 --dropout 0.2 -T 200 \
		-o d.dtn "$G"
	same diffusion "200 linear 1 x0 0.200000003" "$(json ddpm.steps d.dtn) $(json ddpm.schedule d.dtn) \
$(json ddpm.zero_snr d.dtn) $(json ddpm.prediction d.dtn) $(json unet.dropout d.dtn)"
}

@test "--from: classes are learned by a model that knew none, and kept by one that did" {
	labelled a,b,c,d,e,f,g,h,i,j s
	dtn-train --from "$TWELVE" --classes --lr 0 --steps 1 -o a.dtn s
	# no class says anything yet
	dtn-sample -n 4 "$TWELVE" | dtn-info --dump image - > plain
	dtn-sample -n 4 a.dtn | dtn-info --dump image - | cmp - plain
	dtn-train --from a.dtn --steps 2 -o b.dtn s
	same names a,b,c,d,e,f,g,h,i,j "$(json labels b.dtn)"
	labelled x,b,c,d,e,f,g,h,i,j t
	fails 3 'class "x", which the model does not know' dtn-train --from a.dtn --steps 2 -o c.dtn t
	fails 3 'images without labels' dtn-train --from a.dtn --steps 2 -o c.dtn "$G"
}

@test "--from: another size, and what does not fit" {
	stream -n 12 -s 12x10x1 > large
	dtn-train --channels 8 --mult 1,2 --groups 4 --attn 8 -b 4 --steps 1 -o a.dtn "$G"
	dtn-train --from a.dtn --steps 1 -o b.dtn large
	same attention 12 "$(json unet.attn b.dtn)"
	same parameters "$(dtn-info --json a.dtn | grep -o '"parameters": *[0-9]*')" \
		"$(dtn-info --json b.dtn | grep -o '"parameters": *[0-9]*')"
	stream -n 12 -s 8x8x3 > colour
	fails 3 'images of 3 channels, but a.dtn was trained on 1' dtn-train --from a.dtn -o c.dtn colour
	fails 2 '--channels 16: the network of a.dtn has 8' dtn-train --from a.dtn --channels 16 -o c.dtn "$G"
	fails 2 '--mult 1,2,2: the network of a.dtn has 1,2' dtn-train --from a.dtn --mult 1,2,2 -o c.dtn "$G"
	fails 1 'nowhere.dtn: No such file' dtn-train --from nowhere.dtn -o c.dtn "$G"
	fails 3 'expected a model, found samples' dtn-train --from "$G" -o c.dtn "$G"
	head -c 3000 a.dtn > cut.dtn
	fails 3 'cut.dtn: ' dtn-train --from cut.dtn --steps 1 -o c.dtn "$G"
	[ ! -e c.dtn ]
}

# --- pictures -----------------------------------------------------------------------------------------

@test "--sample-every makes pictures, and the same model" {
	train --steps 12 --sample-every 5 --sample-to shots -o a.dtn "$G"
	cmp a.dtn "$TWELVE"
	same pictures "00000005.png 00000010.png" "$(ls shots | xargs)"
	# they are what dtn-sample makes
	train --steps 5 -o five.dtn "$G"
	dtn-sample -n 16 five.dtn | dtn-png > five.png
	unpng five.png > five
	unpng shots/00000005.png | cmp - five
	same step 5 "$(unpng -t shots/00000005.png | grep train.step | grep -oE '[0-9]+$')"
	# a column for each class
	labelled a,b,c,d,e,f,g,h,i,j s
	train --classes --steps 2 --sample-every 2 --sample-to shots -o b.dtn s
	dtn-sample -n 20 b.dtn | dtn-png --columns 10 > grid.png
	unpng grid.png > grid
	unpng shots/00000002.png | cmp - grid
	fails 2 'want each other' train --steps 1 --sample-every 2 -o c.dtn "$G"
	fails 2 'want each other' train --steps 1 --sample-to shots -o c.dtn "$G"
	fails 1 'No such file' train --steps 1 --sample-every 2 --sample-to no/where -o c.dtn "$G"
	echo > plain
	fails 1 'plain: Not a directory' train --steps 1 --sample-every 2 --sample-to plain -o c.dtn "$G"
	stream -n 4 -s 8x8x2 > two
	fails 3 'pictures of 1 or 3 channels, not of 2' train --sample-every 2 --sample-to shots -o c.dtn two
	[ ! -e c.dtn ]
}

@test "a picture that cannot be written ends the run, but costs no step" {
	mkdir -p shots/00000006.png
	run -1 --separate-stderr train --steps 12 --sample-every 3 --sample-to shots -o a.dtn "$G"
	same "what it said" "dtn-train: shots/00000006.png: Is a directory
dtn-train: stopped after step 6; --resume continues from a.dtn.ckpt" "$stderr"
	dtn-train --resume --steps 12 -o a.dtn "$G"
	cmp a.dtn "$TWELVE"
}

# --- signals ------------------------------------------------------------------------------------------

# Begin a run that would take minutes, and wait until it makes steps.
# shellcheck disable=SC2086
begin() {
	local rows=${ROWS:-4}
	rm -f log
	# bash starts what runs behind with SIGINT ignored, env gives it back
	env --default-signal=INT,HUP dtn-train $TINY --log log "$@" "$G" 2> err 3>&- & pid=$!
	for _ in $(seq 200); do
		[ ! -s log ] || [ "$(wc -l < log)" -lt "$rows" ] || return 0
		sleep 0.05
	done
	fail "no step: $(cat err)"
}

ended() { local found=0; wait $pid || found=$?; same status "$1" $found; }

@test "SIGINT, SIGTERM and SIGHUP leave a checkpoint that ends in the same bytes" {
	local pair step
	for pair in INT:130 TERM:143 HUP:129; do
		echo old > a.dtn
		begin --steps 1000000 -o a.dtn
		kill -${pair%:*} $pid
		ended ${pair#*:}
		step=$(sed -n 's/^dtn-train: stopped after step \([0-9]*\); --resume continues from a.dtn.ckpt$/\1/p' err)
		same "lines said: $(cat err)" 1 "$(wc -l < err)"
		[ -n "$step" ]
		same "the old file" old "$(cat a.dtn)"
		dtn-info -c a.dtn.ckpt
		train --steps $((step + 20)) -o whole.dtn "$G"
		dtn-train --resume --steps $((step + 20)) -o a.dtn "$G"
		cmp a.dtn whole.dtn
		[ ! -e a.dtn.ckpt ]
		same files "a.dtn err log whole.dtn" "$(files)"
	done
}

@test "a second signal ends it at once" {
	# a step of seconds
	ROWS=1 begin --steps 1000000 --channels 64 --blocks 4 -b 4000 -o a.dtn
	kill -INT $pid
	sleep 0.2
	kill -INT $pid
	ended 130
	same "what it said" "" "$(cat err)"
	same files "err log" "$(files)"
}

@test "an ignored SIGHUP stays ignored; SIGUSR1 asks for a line" {
	local found
	(trap '' HUP; exec dtn-train $TINY --steps 300 --log log -o a.dtn "$G" 2> err) & pid=$!
	for _ in $(seq 200); do
		[ ! -s log ] || break
		sleep 0.02
	done
	kill -HUP $pid
	kill -USR1 $pid
	wait $pid
	grep -qE '^dtn-train: step [0-9]+/300  loss [0-9.]+  [0-9.]+ images/s  [0-9:]+ left$' err
	same lines 1 "$(wc -l < err)"
	train --steps 300 -o b.dtn "$G"
	cmp a.dtn b.dtn
}

@test "without a file to keep, an interrupted run says so" {
	begin --steps 1000000 -o /dev/null
	kill -TERM $pid
	ended 143
	grep -qE '^dtn-train: stopped after step [0-9]+; nothing is kept$' err
}

@test "a file among devices, as in /dev/shm, is kept like any other" {
	begin --steps 1000000 --save-every 1 --val 0.1 --val-every 1 --keep-best -o "/dev/..$PWD/a.dtn"
	kill -TERM $pid
	ended 143
	same files "a.dtn.best a.dtn.ckpt err log" "$(files)"
	train --resume --epochs 1 -o "/dev/..$PWD/a.dtn" "$G" 2> err
	same files "a.dtn a.dtn.best err log" "$(files)"
}

# --- resuming -----------------------------------------------------------------------------------------

@test "--resume goes on to the limits of the run that was stopped" {
	local decay="--lr-decay cosine --warmup 0"
	train $decay --steps 1000 -o whole.dtn "$G"
	begin $decay --steps 1000 -o a.dtn
	kill -TERM $pid
	ended 143
	same limit 1000 "$(json train.limit_steps a.dtn.ckpt)"
	dtn-train --resume $decay -o a.dtn "$G"
	cmp a.dtn whole.dtn
	same "limit of a complete model" "" "$(json train.limit_steps a.dtn)"
	fails 2 '^dtn-train: a.dtn does not say how far to go on: --resume wants --steps' \
		dtn-train --resume -o a.dtn "$G"
	# the default is a limit, too, and so are epochs and time
	begin -o b.dtn
	kill -TERM $pid
	ended 143
	same limit 20000 "$(json train.limit_steps b.dtn.ckpt)"
	begin --epochs 500 --time 1h -o c.dtn
	kill -TERM $pid
	ended 143
	same limits "5000 3600" "$(json train.limit_steps c.dtn.ckpt) $(json train.limit_seconds c.dtn.ckpt)"
	# what is given replaces them all
	dtn-train --resume --time 1s -o c.dtn "$G"
	less "$(json train.seconds c.dtn)" 60
}

@test "--resume takes the newer of model and checkpoint" {
	train --steps 3 -o a.dtn "$G"
	train --steps 6 -o b.dtn "$G"
	cp a.dtn c.dtn && cp b.dtn c.dtn.ckpt
	touch -d '2020-01-01' c.dtn.ckpt
	dtn-train --resume --steps 4 --log old -o c.dtn "$G"
	same "steps from the model" 4 "$(column step old)"
	cp a.dtn c.dtn && cp b.dtn c.dtn.ckpt
	touch -d '2020-01-01' c.dtn
	dtn-train --resume --steps 7 --log new -o c.dtn "$G"
	same "steps from the checkpoint" 7 "$(column step new)"
	mv c.dtn d.dtn.ckpt
	dtn-train --resume --steps 12 -o d.dtn "$G"
	cmp d.dtn "$TWELVE"
}

@test "options that contradict the model" {
	local option
	cp "$TWELVE" a.dtn
	for option in "--lr 1e-4" "-T 500" "--channels 16" "--mult 1" "--blocks 2" "--attn 8" "--heads 2" "--attention linear" \
		"--groups 8" "--dropout 0.1" "--schedule linear" "--predict eps" "--loss l1" "--zero-snr" \
		"--weight p2" "--batch 5" "--accum 2" "--warmup 1" "--clip 2" "--betas 0.9,0.999" "--ema 0.9" "--weight-decay 1" \
		"--flip" "--val 0.1" "--seed 3" "--lr-decay linear" "--lr-end 1e-4"; do
		# shellcheck disable=SC2086
		fails 2 "^dtn-train: (--[a-z-]+ .*|--val) contradicts a.dtn, which was trained with " \
			dtn-train --resume --steps 13 -o a.dtn $option "$G"
	done
	cmp a.dtn "$TWELVE"
	train --seed 5 --steps 1 -o b.dtn "$G"
	fails 2 '^dtn-train: --seed 0 contradicts b.dtn, which was trained with 5$' \
		dtn-train --resume --steps 2 --seed 0 -o b.dtn "$G"
	dtn-train --resume --steps 2 --seed 5 -o b.dtn "$G"
	train --dropout 0.2 --steps 1 -o c.dtn "$G"
	fails 2 '^dtn-train: --dropout 0.3 contradicts c.dtn, which was trained with 0.2$' \
		dtn-train --resume --steps 2 --dropout 0.3 -o c.dtn "$G"
	dtn-train --resume --steps 2 --dropout 0.2 -o c.dtn "$G"
}

@test "options of a run are wanted again" {
	stream -n 8 -s 8x8x1 > s
	train --steps 4 --val s --val-every 2 --keep-best -o a.dtn "$G"
	fails 2 '^dtn-train: --keep-best wants --val' dtn-train --resume --steps 6 --keep-best -o a.dtn "$G"
	fails 2 '^dtn-train: --val-every wants --val' dtn-train --resume --steps 6 --val-every 2 -o a.dtn "$G"
	fails 0 '^dtn-train: warning: a.dtn.best stays as it is without --keep-best$' \
		dtn-train --resume --steps 6 -o a.dtn "$G"
	# a part that is held back is the model's
	train --steps 4 --val 0.2 -o b.dtn "$G"
	dtn-train --resume --steps 6 --keep-best --val-every 2 -o b.dtn "$G"
	[ -s b.dtn.best ]
}

@test "linear attention is kept, and stopping does not matter" {
	local all="--channels 8 --mult 1,2 --attn 8 --attention linear --heads 2 -b 4"
	dtn-train $all --steps 6 -o a.dtn "$G"
	dtn-info --json a.dtn | grep -q '"unet.attention": *"linear"'
	dtn-train $all --steps 3 -o b.dtn "$G"
	dtn-train --resume --steps 6 -j 3 -o b.dtn "$G"
	cmp a.dtn b.dtn
	dtn-train $all --attention softmax --steps 6 -o c.dtn "$G"
	dtn-info --json c.dtn | grep -q '"unet.attention": *"softmax"'
	fails 2 '^dtn-train: --attention cubic: ' dtn-train --attention cubic --steps 1 -o d.dtn "$G"
}

@test "nothing to resume, another size, other images" {
	fails 1 '^dtn-train: a.dtn: nothing to resume: No such file' dtn-train --resume -o a.dtn "$G"
	fails 2 'wants -o to name a file' dtn-train --resume -o - "$G"
	cp "$TWELVE" a.dtn
	stream -n 4 -s 8x9x1 > s
	fails 3 '^dtn-train: images of 9x8x1, but a.dtn was trained on 8x8x1$' \
		dtn-train --resume --steps 13 -o a.dtn s
	fails 0 'warning: 80 images, but the run that is continued had 40' \
		dtn-train --resume --steps 13 -o a.dtn "$G" "$G"
	fails 3 'expected a model, found samples' dtn-train --resume -o "$G" "$G"
	train --steps 1 --keep-best --val 0.2 --val-every 1 -o b.dtn "$G"
	fails 3 '^dtn-train: b.dtn.best: cannot be resumed, as it has only weights; --from begins with them$' \
		dtn-train --resume --steps 2 -o b.dtn.best "$G"
	dtn-train --resume --steps 5 -o a.dtn "$G" 2> err
	grep -q 'a.dtn has 13 steps already' err
}

@test "a fresh run says that it replaces a checkpoint" {
	cp "$TWELVE" a.dtn.ckpt
	fails 0 'warning: a.dtn.ckpt is there from an unfinished run' train --steps 12 -o a.dtn "$G"
	cmp a.dtn "$TWELVE"
	[ ! -e a.dtn.ckpt ]
}

# --- limits -------------------------------------------------------------------------------------------

@test "--epochs counts images, --time the clock, and the first limit wins" {
	train --epochs 3 -o a.dtn --log log "$G"
	same "three epochs of 40 in batches of 4" 30 "$(column step log | tail -n 1)"
	train --epochs 3 --steps 7 -o a.dtn --log log "$G"
	same "steps come first" 7 "$(column step log | tail -n 1)"
	stream -n 41 -s 8x8x1 > odd
	train --epochs 2 -o a.dtn --log log odd
	same "the last batch may begin a third epoch" 21 "$(column step log | tail -n 1)"
	train --time 1s -o a.dtn --log log "$G"
	less "$(column seconds log | tail -n 1)" 1.5
	less 0.6 "$(column seconds log | tail -n 1)"
	# the time of both runs counts
	dtn-train --resume --time 1.1s -o a.dtn --log more "$G"
	less "$(column seconds more | tail -n 1)" 0.6
}

@test "--time: a step that would end too late is not begun" {
	unsanitized "what replaces the clock would come before it"
	# time goes by only where workers, of which there are none but one, get work: within steps
	cat > clock.c <<-'END'
	#include <pthread.h>
	#include <time.h>
	static int seconds;
	int pthread_cond_broadcast(pthread_cond_t *c) { seconds++; return 0 * !c; }
	int clock_gettime(clockid_t id, struct timespec *now)
	{
		*now = (struct timespec){ .tv_sec = seconds };
		return 0 * id;
	}
	END
	cc -shared -fPIC -o clock.so clock.c
	LD_PRELOAD=$PWD/clock.so train --device cpu -j 1 --steps 2 --log log -o a.dtn "$G"
	local step=$(column seconds log | head -n 1)
	step=${step%.000}
	same "seconds of two steps" $((2 * step)).000 "$(column seconds log | tail -n 1)"
	for more in 0 1 $((step - 1)); do
		LD_PRELOAD=$PWD/clock.so train --device cpu -j 1 --time $((7 * step + more))s --log log -o a.dtn "$G"
		same "steps in the time of 7 and $more seconds" 7 "$(column step log | tail -n 1)"
	done
}

@test "without a limit there is a default, which is told" {
	begin -o a.dtn
	kill -TERM $pid
	ended 143
	head -n 1 err | grep -qE '^dtn-train: training for [0-9]+ steps, as none of --steps, --epochs and --time'
}

@test "the rate warms up and decays" {
	train --steps 10 --warmup 4 --lr 0.5 --lr-decay linear -o a.dtn --log log "$G"
	same rates "0.125 0.225 0.3 0.35 0.3 0.25 0.2 0.15 0.1 0.05" "$(echo $(column rate log))"
	train --steps 3 --warmup 0 --lr 0.5 -o a.dtn --log log "$G"
	same rates "0.5 0.5 0.5" "$(echo $(column rate log))"
	train --steps 4 --warmup 0 --lr 0.5 --lr-decay linear --lr-end 0.1 -o a.dtn --log log "$G"
	same rates "0.5 0.4 0.3 0.2" "$(echo $(column rate log))"
	# by the clock, or by the steps where these are sooner done
	train --time 1s --warmup 0 --lr-decay linear --lr 0.5 -o b.dtn --log log "$G"
	less "$(column rate log | tail -n 1)" 0.1
	train --time 1h --steps 4 --warmup 0 --lr-decay linear --lr 0.5 -o b.dtn --log log "$G"
	less "$(column rate log | tail -n 1)" 0.126
	same "end" 0.1 "$(json train.lr_end a.dtn)"
	# the default is not told, as in files from before there was a choice
	train --steps 3 --warmup 0 --lr-decay linear --lr-end 0 -o b.dtn "$G"
	same "no end" "" "$(json train.lr_end b.dtn)"
	fails 2 '^dtn-train: --lr-end 0.2 contradicts a.dtn, which was trained with 0.1$' \
		dtn-train --resume --steps 6 --lr-end 0.2 -o a.dtn "$G"
	dtn-train --resume --steps 5 -o a.dtn --log more "$G"
	same "rate of step 5 of 5" 0.18 "$(column rate more)"
	fails 2 'wants to know the end' train --lr-decay cosine -o a.dtn "$G"
	fails 2 '^dtn-train: --lr-end wants --lr-decay$' train --steps 2 --lr-end 1e-4 -o a.dtn "$G"
	fails 2 '^dtn-train: --lr-end 0.1: above --lr 0.001$' \
		train --steps 2 --lr-decay cosine --lr-end 0.1 -o a.dtn "$G"
}

# --- what is refused ----------------------------------------------------------------------------------

@test "attention at a size that no level has is warned of, where it was asked for" {
	stream -n 4 -s 7x5x1 > s
	train --mult 1,2 --groups 4 --attn 8,7,4 --steps 1 -o a.dtn s 2> err
	same warning "dtn-train: warning: --attn 7: no level has this size; there are 8, 4" "$(cat err)"
	train --mult 1,2 --groups 4 --steps 1 -o a.dtn s 2> err
	[ ! -s err ]
}

@test "inputs that cannot be trained on" {
	fails 3 'empty input' train -o a.dtn /dev/null
	stream -n 0 -s 8x8x1 > s
	fails 3 'no images' train -o a.dtn s
	fails 3 'expected samples, found a model' train -o a.dtn "$TWELVE"
	stream -n 4 -s 8x8x1 -r noised > s
	fails 3 'no images to train on' train -o a.dtn s
	stream -n 4 -s 8x8x1 -t f32 > s
	fails 3 'wants u8 images' train -o a.dtn s
	stream -n 4 -s 8x8x1 -r noise > s
	fails 3 'no images to train on' train -o a.dtn s
	stream -n 4 -s 8x8x1 -m sample.frames=2 > s
	fails 3 'frames of dtn-sample --trace' train -o a.dtn s
	stream -n 4 -s 8x8x3 > s
	fails 3 's: record 0: incompatible field "image": 8x8x3 after 8x8x1' train -o a.dtn "$G" s
	fails 3 'but training is on 8x8x1' train -o a.dtn --val s "$G"
	stream -n 1 -s 8x8x1 > s
	fails 3 '^dtn-train: one image cannot be held back and trained on: ' train --steps 1 --val 0.5 -o a.dtn s
	stream -n 1 -s 4000x4000x3 > s
	fails 3 'training on images of 4000x4000x3 wants .* GiB of memory' \
		dtn-train --channels 512 -o a.dtn s
	stream -n 1 -s 512x512x1 > s
	fails 3 '^dtn-train: images of 512x512x1 are too large .* 128x128 positions .*dtn-load -s.*--mult' \
		dtn-train --channels 4 -o a.dtn s
	stream -n 1 -s 5000x2x1 > s
	fails 3 'cannot train on images of 2x5000x1' train -o a.dtn s
	head -c 1000 "$G" > s
	fails 3 'truncated|unexpected end' train -o a.dtn s
	same files s "$(files)"
}

@test "options that make no sense" {
	fails 2 '^dtn-train: -o MODEL is missing$' train "$G"
	fails 2 '^dtn-train: --ema 1: wants 0 to 0.9999999$' train --ema 1 -o a "$G"
	fails 2 'groups do not divide 8 channels; these do: 1 2 4 8' dtn-train -o a --channels 8 --groups 3 "$G"
	fails 2 '^dtn-train: 3 heads \(--heads\) do not divide the 8 channels of level 1$' \
		train -o a --heads 3 "$G"
	fails 2 '^dtn-train: 3 heads \(--heads\) do not divide the 16 channels of level 2$' \
		dtn-train -o a --channels 8 --mult 3,2 --heads 3 "$G"
	fails 2 'fixed' train -o a --beta 1e-4,0.02 "$G"
	fails 2 'wants two numbers' train -o a --schedule linear --beta 1e-4 "$G"
	fails 2 '^dtn-train: --zero-snr leaves only noise at the last step: wants --predict v or x0$' \
		train -o a --zero-snr --predict eps "$G"
	fails 2 '^dtn-train: --schedule jsd leaves only noise at the last step: wants --predict v or x0$' \
		train -o a --schedule jsd --predict eps "$G"
	fails 2 'both want stdout' train -o - --log - "$G"
	fails 2 'more than 1048576 images a step' train -o a --accum 60000 -b 60000 "$G"
	fails 2 '^dtn-train: --keep-best wants --val, ' train -o a --keep-best "$G"
	fails 2 '^dtn-train: --val-every wants --val$' train -o a --val-every 2 "$G"
	fails 2 '^dtn-train: --keep-best wants -o to name a file$' train -o - --keep-best --val 0.1 "$G"
	fails 2 '^dtn-train: --save-every wants -o to name a file$' train -o /dev/null --save-every 2 "$G"
	fails 2 'wants auto, cpu or cuda' train -o a --device gpu "$G"
	fails 2 'wants auto, f32 or bf16' train -o a --precision f16 "$G"
	fails 2 'wants a time' train -o a --time 3x "$G"
	fails 2 'wants a time' train -o a --time 1e308h "$G"
	fails 2 '--predict y: wants eps, x0 or v' train -o a --predict y "$G"
	same files "" "$(files)"
}

@test "a schedule that ends with an image gets a warning" {
	fails 0 'warning: the last of 100 steps still shows the image' \
		train --steps 1 -T 100 --schedule linear --beta 1e-4,0.02 -o a.dtn "$G"
	train --steps 1 -T 100 --schedule linear -o a.dtn "$G" 2> err
	[ ! -s err ]
}

@test "training that goes wrong leaves the target, and says why" {
	echo old > a.dtn
	local wild="--warmup 0 --lr 1000 --clip 0 --weight-decay 1000"
	# the last step must be finite: more are made until one is
	for steps in 2 400; do
		rm -f log
		run -1 --separate-stderr train --steps $steps $wild -o a.dtn --log log "$G"
		grep -q 'not finite in 5 steps in a row, up to 6: a.dtn is left as it was; '\
'try a lower --lr, anew or with --from a.dtn.ckpt$' <<< "$stderr" || fail "$stderr"
		grep -qx 'dtn-train: warning: step 2 is skipped: loss nan, gradient nan' <<< "$stderr" || fail "$stderr"
		same skipped "0 1 2 3 4" "$(echo $(column skipped log))"
		same "loss and gradient" "nan nan" "$(column loss log | tail -n 1) $(column gradient log | tail -n 1)"
		same target old "$(cat a.dtn)"
		same files "a.dtn a.dtn.ckpt log" "$(files)"
		# what was learned until then is kept, where nothing else is
		dtn-info -c a.dtn.ckpt
		same step 6 "$(json train.step a.dtn.ckpt)"
		rm a.dtn.ckpt
	done
	run -1 --separate-stderr train --steps 400 $wild --save-every 1 -o a.dtn "$G"
	same "step of the older checkpoint" 1 "$(json train.step a.dtn.ckpt)"
	run -1 --separate-stderr train --steps 400 $wild -o /dev/null "$G"
	grep -q 'up to 6: /dev/null is left as it was; try a lower --lr$' <<< "$stderr" || fail "$stderr"
	# so the advice can be followed
	train --steps 3 -o c.dtn "$G"
	cp c.dtn b.dtn.ckpt
	fails 0 'b.dtn.ckpt is there from an unfinished run' \
		dtn-train --from b.dtn.ckpt --lr 1e-4 --steps 1 -o b.dtn "$G"
}

@test "weights that are not finite are never written" {
	# those of a class that no image has overflow, and no loss tells
	labelled a,b,c,d,e,f,g,h,i,j s
	"$TOOLS/model" m.dtn unet.classes=11 labels=z,a,b,c,d,e,f,g,h,i,j huge=class_embedding.weight
	local wild="--from m.dtn -b 4 --warmup 0 --lr 0.01 --weight-decay 1000"
	echo old > a.dtn
	fails 1 '^dtn-train: the weights are not finite after step 1: a.dtn is left as it was$' \
		dtn-train $wild --steps 1 -o a.dtn s
	fails 1 '^dtn-train: the weights are not finite after step 1: a.dtn.ckpt is left as it was$' \
		dtn-train $wild --steps 2 --save-every 1 -o a.dtn s
	same target old "$(cat a.dtn)"
	same files "a.dtn m.dtn s" "$(files)"
}

@test "a full disk" {
	fails 1 '/dev/full: No space left on device' train --steps 1 -o /dev/full "$G"
	echo old > a.dtn
	(ulimit -f 64; fails 1 'a.dtn: File too large' train --steps 1 -o a.dtn "$G")
	(ulimit -f 64; fails 1 'a.dtn.ckpt: File too large' train --steps 2 --save-every 1 -o a.dtn "$G")
	same target old "$(cat a.dtn)"
	same files a.dtn "$(files)"
	# the log must not cost the model
	run -1 --separate-stderr train --steps 12 --log /dev/full -o a.dtn "$G"
	grep -q 'warning: /dev/full: No space left on device; training goes on without it' <<< "$stderr"
	cmp a.dtn "$TWELVE"
	train --steps 12 --log - -o b.dtn "$G" | head -n 1
	cmp b.dtn "$TWELVE"
}

@test "files beside the model that cannot be are told before the first step" {
	local long
	long=$(printf 'a%.0s' $(seq 252))       # with .ckpt longer than a name may be
	fails 1 "^dtn-train: $long.ckpt: File name too long$" train --steps 1 -o "$long" "$G"
	mkdir a.best a.d.ckpt
	fails 1 '^dtn-train: a.best: Is a directory$' \
		train --steps 1 --keep-best --val 0.2 --val-every 1 --log log -o a "$G"
	fails 1 '^dtn-train: a.d.ckpt: Is a directory$' train --steps 1 --log log -o a.d "$G"
	same files "a.best a.d.ckpt" "$(files)"
}

@test "a spool that cannot be" {
	TMPDIR=/nowhere fails 1 '^dtn-train: temporary file in /nowhere: ' train --max-mem 1 -o a.dtn "$G"
	# images to validate on have the memory that the others leave
	stream -n 20 -s 8x8x1 > s
	TMPDIR=/nowhere train --max-mem $((60 * 64)) --val s --steps 1 -o a.dtn "$G"
	TMPDIR=/nowhere fails 1 '^dtn-train: temporary file in /nowhere: ' \
		train --max-mem $((60 * 64 - 1)) --val s --steps 1 -o b.dtn "$G"
}

# --- what it says -------------------------------------------------------------------------------------

@test "the log: a row a step, and after --resume what is missing" {
	train --steps 6 --val 0.25 --val-every 4 --log log -o a.dtn "$G"
	same names "step samples skipped loss gradient rate images_per_second seconds validation bin0 bin1 \
bin2 bin3 bin4 bin5 bin6 bin7 bin8 bin9" "$(head -n 1 log | tr '\t' ' ')"
	same steps "1 2 3 4 5 6" "$(echo $(column step log))"
	same samples "4 8 12 16 20 24" "$(echo $(column samples log))"
	same validated "4 6" "$(echo $(awk -F '\t' 'NR > 1 && $9 != "-" { print $1 }' log))"
	head -n 9 log | cut -f 1-5 > first
	# rows that a killed run made after its checkpoint are made again
	printf '7\t28\n8\t32\n9' >> log
	dtn-train --resume --steps 8 --val-every 4 --log log -o a.dtn "$G"
	same steps "1 2 3 4 5 6 7 8" "$(echo $(column step log))"
	head -n 7 log | cut -f 1-5 | cmp - first
	same columns 19 "$(awk -F '\t' '{ print NF }' log | sort -u)"
	# a table of other columns is left alone, and so is what is none
	stream -n 4 -s 8x8x1 > s
	train --steps 2 --val s --log with -o b.dtn "$G"
	train --steps 2 --log without -o c.dtn "$G"
	echo 'something else' > else
	cp with with.old && cp without without.old && cp else else.old
	fails 2 '^dtn-train: --log with has other columns than this run' \
		dtn-train --resume --steps 4 --log with -o b.dtn "$G"
	fails 2 '^dtn-train: --log without has other columns than this run' \
		dtn-train --resume --steps 4 --val s --log without -o c.dtn "$G"
	fails 2 '^dtn-train: --log else has other columns than this run' \
		dtn-train --resume --steps 4 --log else -o c.dtn "$G"
	for file in with without else; do
		cmp $file $file.old
	done
	# one that was killed in its first line begins anew
	head -n 1 with | head -c 20 > begun
	dtn-train --resume --steps 4 --val s --log begun -o b.dtn "$G"
	same lines "$(head -n 1 with)" "$(head -n 1 begun)"
	same steps "3 4" "$(echo $(column step begun))"
}

@test "the log costs no other file" {
	local name
	cp "$G" g && cp "$TWELVE" m && cp "$G" v
	ln -s g link
	for name in a a.ckpt ./a.best g link v m; do
		fails 2 "^dtn-train: --log $name is one file with [a-z./]*, which would be lost$" \
			train --steps 1 --val v --from m --log $name -o a g
	done
	same files "g link m v" "$(files)"
	cmp g "$G"
	train --steps 1 --log /dev/null -o /dev/null g
}

@test "progress on a terminal, silence elsewhere" {
	on_terminal "dtn-train $TINY --steps 30 -o a.dtn $G" > seen
	grep -qE 'step [0-9]+/30  loss [0-9.]+  [0-9.]+ images/s  [0-9:]+ left' seen
	grep -qE 'step 0/30  no loss yet' seen
	grep -qE '40 images of 8x8x1, [0-9]+ parameters, on cpu' seen
	absent $'\x1b' seen
	script -qec "dtn-train $TINY --steps 3 --log - -o a.dtn $G" /dev/null < /dev/null | tr '\r' '\n' > seen
	same "rows of the log on empty lines" "1 2 3" \
		"$(awk '/^[0-9]+\t/ && last ~ /^ *$|\t/ { print $1 } { last = $0 }' seen | xargs)"
	on_terminal "dtn-train $TINY -q --steps 30 -o a.dtn $G" > seen
	[ ! -s seen ]
	train --steps 30 -o a.dtn "$G" > out 2> err
	[ ! -s out ]
	[ ! -s err ]
	train --steps 200 -v -o a.dtn "$G" 2> err
	same "lines of steps" 2 "$(grep -cE 'step [12]00/200  loss' err)"
}

@test "validation comes once an epoch, or when ten times as many images were trained on" {
	validated() { awk -F '\t' 'NR > 1 && $9 != "-" { print $1 }' log | xargs; }
	# 36 images, 4 of them 64 times: 256 evaluations in batches of 100
	train -b 100 --val 0.1 --steps 60 --log log -o a.dtn "$G"
	same "of few images" "26 52 60" "$(validated)"
	train -b 100 --val 0.1 --val-every 20 --steps 30 --log log -o a.dtn "$G"
	same "as asked for" "20 30" "$(validated)"
	stream -n 6000 -s 8x8x1 > many
	train -b 400 --val "$G" --steps 16 --log log -o a.dtn many
	same "of many images" "15 16" "$(validated)"
}

@test "a run that ends before a validation says that it keeps no best model" {
	fails 0 '^dtn-train: warning: a.best is not written: the first validation was due after step 3 \(--val-every\)$' \
		train --steps 2 --val 0.2 --val-every 3 --keep-best -o a "$G"
	[ ! -e a.best ]
	train --steps 3 --val 0.2 --val-every 3 --keep-best -o a "$G" 2> err
	[ ! -s err ]
	[ -e a.best ]
	# nor one that is resumed, where none was kept before
	train --steps 4 --val 0.2 -o b "$G"
	fails 0 '^dtn-train: warning: b.best is not written: the first validation was due after step 6 \(--val-every\)$' \
		train --resume --steps 5 --val-every 3 --keep-best -o b "$G"
	train --resume --steps 4 --val-every 3 --keep-best -o a "$G" 2> err
	[ ! -s err ]
}

@test "--val takes a number for a part and all else for a stream" {
	local name
	stream -n 20 -s 8x8x1 > s
	train --steps 2 --val s --log want -o a.dtn "$G"
	for name in 1e e 2024-01-02 .e .dtn; do
		cp s ./"$name"
	done
	for name in e 2024-01-02 .e .dtn ./1e; do
		train --steps 2 --val "$name" --log log -o a.dtn "$G"
		same "validation on $name" "$(column validation want)" "$(column validation log)"
	done
	train --steps 2 --val - --log log -o a.dtn "$G" < s
	same "validation on stdin" "$(column validation want)" "$(column validation log)"
	fails 2 '^dtn-train: --val - and the images both want stdin$' train --val - -o b.dtn - < s
	fails 2 '^dtn-train: --val - and the images both want stdin$' train --val - -o b.dtn < s
	fails 2 '^dtn-train: --val 1: wants 0 to 0.9$' train --val 1 -o b.dtn "$G"
	fails 2 '^dtn-train: --val 2024: wants 0 to 0.9$' train --val 2024 -o b.dtn "$G"
	fails 1 'nowhere: No such file' train --val nowhere -o b.dtn "$G"
}

@test "a validation is told in a line, however large its numbers" {
	train --steps 1 --warmup 0 --lr 1000 --val 0.2 -v -o a.dtn "$G" 2> err
	grep -qE '^dtn-train: step 1  validation [0-9.]+, by timestep( [0-9.e+]{1,11}){10}$' err || fail "$(cat err)"
	grep -E 'by timestep' err | grep -qF 'e+'       # they were large
	# the usual ones
	train --steps 1 --val 0.2 -v -o a.dtn "$G" 2> err
	grep -qE '^dtn-train: step 1  validation [0-9.]+, by timestep( [0-9.]+){10}$' err || fail "$(cat err)"
	# of five timesteps no tenth has more than one, and half of them none
	train --steps 1 --val 0.2 -T 5 -v -o a.dtn "$G" 2> err
	grep -qE '^dtn-train: step 1  validation [0-9.]+, by timestep( [0-9.]+ nan){5}$' err || fail "$(cat err)"
}

@test "the model says how it was made" {
	dtn-info "$TWELVE" > info
	grep -qF "dtn-train $TINY" info || fail "$(cat info)"
	stream -n 4 -s 5x9x1 > wide             # rows, columns, channels
	train --steps 1 -o a.dtn wide
	grep -q 'for images of 9x5x1,' <(dtn-info a.dtn) || fail "$(dtn-info a.dtn)"
	dtn-info --json "$TWELVE" > json
	grep -q '"train.batch": *"4"' json
	grep -q '"train.images": *"40"' json
	grep -q '"train.step": *"12"' json
	grep -q '"train.rng": *"philox4x32-10"' json
	grep -q '"train.ema": *"0.9999"' json
	absent train.seconds json
	train --steps 2 --time 1h -o a.dtn "$G"
	dtn-info --json a.dtn | grep -q train.seconds
	dtn-train --resume --steps 12 -o a.dtn "$G"
	cmp a.dtn "$TWELVE"
	# images that are held back are not learned from, those of a stream never were
	train --val 0.25 --val-every 1 --steps 1 -o b.dtn "$G"
	grep -qE "dtn-train $TINY --val 0.25$" <(dtn-info b.dtn) || fail "$(dtn-info b.dtn)"
	train --val "$G" --steps 1 -o c.dtn "$G"
	train --steps 1 -o d.dtn "$G"
	cmp c.dtn d.dtn
	train --warm 7 --steps 1 -o e.dtn "$G"
	grep -qE "dtn-train $TINY --warmup 7$" <(dtn-info e.dtn) || fail "$(dtn-info e.dtn)"
}

# --- does it learn? -----------------------------------------------------------------------------------

# pixel-means STREAM: the mean of each pixel over all images, one a line, for images of 12x12.
pixel_means() {
	dtn-info --dump image "$1" | od -An -v -tu1 -w144 |
		awk '{ for (i = 1; i <= NF; i++) s[i] += $i } END { for (i = 1; i <= 144; i++) print s[i] / NR }'
}

# The root of the mean square difference between two such lists.
apart() { paste "$1" "$2" | awk '{ d += ($1 - $2) ^ 2 } END { printf "%.1f\n", sqrt(d / NR) }'; }

@test "training on clothes lowers the loss and makes clothes, and does not without a rate" {
	local images=/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz rate loss
	unsanitized "many steps, of which none is new to a sanitizer"
	[ -e $images ] || skip "no Fashion-MNIST (Debian's dataset-fashion-mnist)"
	dtn-load -s 12 --limit 1000 $images > clothes.dtn
	pixel_means clothes.dtn > real
	for rate in 2e-3 0; do
		dtn-train --channels 16 --mult 1,2 --attn none -b 16 --steps 300 --lr $rate \
			--val 0.1 --val-every 1000 --log log-$rate -o a.dtn clothes.dtn
		dtn-sample -n 256 --steps 20 -o samples.dtn a.dtn
		pixel_means samples.dtn > made-$rate
	done
	# predicting nothing costs about 0.7; these numbers are of images that were not trained on
	loss=$(column validation log-2e-3 | tail -n 1)
	echo "trained: $loss, not trained: $(column validation log-0 | tail -n 1)"
	less "$loss" 0.3
	less 0.6 "$(column validation log-0 | tail -n 1)"
	# the mean piece of clothing, in shades of 0 .. 255: chance alone leaves 5 of 256 pieces
	echo "trained: $(apart made-2e-3 real) from the real mean, not trained: $(apart made-0 real)"
	less "$(apart made-2e-3 real)" 20
	less 40 "$(apart made-0 real)"
}
