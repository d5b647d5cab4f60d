#!/usr/bin/env bats
# dtn-schedule: the table, its numbers against published ones, models, and what is refused.

load common

setup() { cd "$BATS_TEST_TMPDIR"; }

# cell T COLUMN < TABLE
cell() { awk -F '\t' -v t="$1" -v c="$2" 'NR > 1 && $1 == t { print $c }'; }

# golden "T COLUMN VALUE, ..." OPTION...: the table has these values, to as many digits as they have.
golden() {
	local t column value found
	dtn-schedule "${@:2}" > table
	tr ',' '\n' <<< "$1" > wanted
	while read -r t column value; do
		found=$(cell "$t" "$column" < table)
		awk -v found="$found" -v value="$value" 'BEGIN {
			digits = value; sub(/e.*/, "", digits); gsub(/[.-]/, "", digits); sub(/^0+/, "", digits)
			d = found - value; if (d < 0) d = -d; v = value < 0 ? -value : value
			exit !(found != "" && d <= v * 5.1 * 10 ^ -length(digits))
		}' || fail "${*:2}: t $t, column $column: '$found', published is $value"
	done < wanted
}

@test "a header, then T rows" {
	dtn-schedule > table
	printf '%s\t' t beta alpha alpha_bar sqrt_alpha_bar sqrt_one_minus_alpha_bar posterior_variance |
		sed 's/$/snr/' > names
	head -n 1 table | cmp - <(cat names; echo)
	same rows 1001 "$(wc -l < table)"
	same times "$(seq 0 999)" "$(tail -n +2 table | cut -f 1)"
	same "columns" 8 "$(awk -F '\t' '{ print NF }' table | sort -u)"
	for T in 1 2 7 300 1000000; do
		same "rows of $T" $((T + 1)) "$(dtn-schedule -T $T | wc -l)"
	done
}

@test "published numbers: linear" {
	golden "0 2 1.00000000e-4,999 2 .0200000000,0 4 .999900000,1 4 .999780092,499 4 .0785872429,999 4 4.03582977e-5" \
		--schedule linear
	golden "0 7 0,1 7 5.45318766e-5,487 7 9.79157199e-3,999 7 1.99999835e-2" --schedule linear
	golden "0 8 9999.00000,100 8 8.53667,250 8 1.08953,500 8 .0843595,750 8 .00331109,999 8 4.03599e-5" \
		--schedule linear
}

@test "published numbers: the others" {
	golden "0 2 4.12842248e-5,1 2 4.61417527e-5,500 2 3.15569144e-3,998 2 .749999393,999 2 .999000000" \
		--schedule cosine
	golden "0 4 .999958716,499 4 .493843590,999 4 2.42876691e-9" --schedule cosine
	golden "0 2 1.00000000e-4,999 2 .0200000000,499 4 .33318777,999 4 7.3341e-4" --schedule quadratic
	golden "0 2 1.4921e-4,499 2 .01002012,999 2 .01995079,499 4 .301931057,999 4 3.96818199e-5" \
		--schedule sigmoid-beta
	golden "0 2 3.002792e-4,499 2 3.30341551e-3,998 2 .501356903,999 2 .999000000,499 4 .500000000,999 4 3.002792e-7" \
		--schedule sigmoid
	golden "0 2 .0200000000,7 2 .0200000000,999 2 .0200000000,1 4 .960400000" --schedule constant
	golden "0 2 1.00000000e-4,1 2 1.20686636e-4,500 2 .0102926174,998 2 .752267231,999 2 1.00000000" \
		--schedule linear --zero-snr
	golden "999 4 0,999 8 0,999 6 1.00000000" --schedule linear --zero-snr
	golden "0 2 .001,998 2 .500000000,999 2 1.00000000,999 4 0,999 7 .999000000,999 8 0" --schedule jsd
	dtn-schedule --schedule jsd | cmp - <(dtn-schedule --schedule jsd --zero-snr)
}

@test "published numbers: other lengths, ends scaled and as they are" {
	local row
	for row in "100 .3636 2.04e-5" "200 .1322 3.03e-5" "250 .0797 3.26e-5" "300 .0481 3.43e-5" \
		"500 .00635 3.77e-5" "512 .00563 3.78e-5" "4000 2.65e-18 4.25e-5"; do
		# shellcheck disable=SC2086
		set -- $row
		golden "$(($1 - 1)) 4 $2" -q --schedule linear -T "$1" --beta 1e-4,0.02
		golden "$(($1 - 1)) 4 $3" --schedule linear -T "$1"
	done
	golden "511 4 0.005626,511 5 0.0750" -q --schedule linear -T 512 --beta 1e-4,0.02
	golden "99 4 .4938436,199 4 6.1e-8" --schedule cosine -T 200
	golden "149 4 .4938436,299 4 2.7e-8" --schedule cosine -T 300
	golden "255 4 .4938436,511 4 9.3e-9" --schedule cosine -T 512
	golden "1999 4 .4938436,3999 4 1.5e-10" --schedule cosine -T 4000
}

@test "two names of one schedule, and short ones of options" {
	dtn-schedule --schedule quadratic > a
	dtn-schedule --schedule scaled-linear > b
	cmp a b
	dtn-schedule --schedule scaled-linear --beta 0.00085,0.012 > sd
	same "first and last" "0.00085 0.012" "$(cell 0 2 < sd) $(cell 999 2 < sd)"
	dtn-schedule --timesteps 20 --schedule cosine > a
	dtn-schedule -T20 > b
	cmp a b
}

@test "columns belong together" {
	local name T
	for name in linear cosine sigmoid quadratic constant sigmoid-beta jsd warmup10 warmup50 exp laplace; do
		# all betas of exp are one number, so its rounding adds up
		T=40
		[ $name != exp ] || T=10
		dtn-schedule --schedule $name -T $T | awk -F '\t' '
			function near(a, b) { d = a - b; return d <= 2e-8 * b + 1e-300 && -d <= 2e-8 * b + 1e-300 }
			NR == 2 { bar = 1 }
			NR > 1 {
				before = bar
				bar *= 1 - $2
				ok = near($3, 1 - $2) && near($4, bar) && near($5 ^ 2, bar) &&
					near($5 ^ 2 + $6 ^ 2, 1) && near($8, $5 ^ 2 / $6 ^ 2)
				# 1 - alpha_bar loses digits where little noise was added
				p = $2 * (1 - before) / (1 - bar)
				ok = ok && $7 - p < 1e-6 * p + 1e-15 && p - $7 < 1e-6 * p + 1e-15
				if (!ok) { print; bad = 1 }
			}
			END { exit bad }' || fail "$name"
	done
}

@test "the schedule of a model" {
	stream -n 4 > s
	dtn-train -q -o m --channels 8 --mult 1 --groups 4 --steps 1 -b 4 -T 300 --schedule linear \
		--beta 0.001,0.03 s
	dtn-schedule m > a
	dtn-schedule - < m > b
	dtn-schedule -T 300 --schedule linear --beta 0.001,0.03 > c
	cmp a b
	cmp a c
	dtn-train -q -o z --channels 8 --mult 1 --groups 4 --steps 1 -b 4 --zero-snr s
	dtn-schedule z | cmp - <(dtn-schedule --zero-snr)
}

@test "a last step that shows the image: a warning, and status 0" {
	dtn-schedule -T 300 --schedule linear --beta 1e-4,0.02 > table 2> err
	same warning "dtn-schedule: warning: the last of 300 steps still shows the image (signal to noise \
0.05), so samples will be dull: take another schedule, or --zero-snr" "$(cat err)"
	same rows 301 "$(wc -l < table)"
	dtn-schedule -q -T 300 --schedule linear --beta 1e-4,0.02 2> err > quiet
	[ ! -s err ]
	cmp table quiet
	for name in linear cosine sigmoid quadratic constant sigmoid-beta scaled-linear jsd warmup10 warmup50 exp; do
		for T in 10 300 1000; do
			dtn-schedule -T $T --schedule $name 2> err > table
			[ ! -s err ] || fail "$name $T: $(cat err)"
		done
	done
	dtn-schedule -T 300 --schedule linear --beta 1e-4,0.02 --zero-snr 2> err > table
	[ ! -s err ]
	dtn-schedule --schedule laplace 2> err > table
	grep -q '1000 steps still shows the image (signal to noise 0.033)' err
	dtn-schedule --schedule laplace --zero-snr 2> err > table
	[ ! -s err ]
}

@test "options that cannot be" {
	local o
	for o in '-T 0' '-T 1000001' '-T x' '--beta 0,1' '--beta 0.1,x' '--beta 0.1,2'; do
		# shellcheck disable=SC2086
		fails 2 "^dtn-schedule: ${o%% *} .*: wants " dtn-schedule --schedule linear $o
	done
	fails 2 '^dtn-schedule: --beta 0.1: wants two numbers, LO,HI$' dtn-schedule --beta 0.1
	fails 2 '^dtn-schedule: --schedule line: wants linear, cosine, sigmoid, .* or laplace$' \
		dtn-schedule --schedule line
	fails 2 'the ends of this schedule are fixed' dtn-schedule --schedule cosine --beta 1e-4,0.02
	for o in sigmoid jsd exp laplace; do
		fails 2 'the ends of this schedule are fixed' dtn-schedule --beta 1e-4,0.02 --schedule $o
	done
	fails 2 'from 1e-9 to below 1' dtn-schedule --schedule linear --beta 0.5,1
}

@test "what is no model" {
	stream > s
	fails 3 '^dtn-schedule: s: expected a model, found samples$' dtn-schedule s
	fails 1 'No such file' dtn-schedule missing
	fails 2 'one model at a time' dtn-schedule a b
	fails 2 'a model has its schedule' dtn-schedule -T 10 s
	dtn-train -q -o m --channels 8 --mult 1 --groups 4 --steps 1 -b 4 s
	head -c 200 m > cut
	fails 3 'truncated' dtn-schedule cut
	head -c -1 m > cut
	fails 3 'truncated' dtn-schedule cut
	fails 3 'record exceeds --max-record' dtn-schedule --max-record 7 m
}
