#!/usr/bin/env bats
# dtn-png --animate and --frames: every pixel of every frame, by a reader of its own; who refuses what

load common

setup() { cd "$BATS_TEST_TMPDIR"; }

unapng() { "$TOOLS/unapng" "$@"; }

# expected H W C TRAJECTORIES FRAMES COLUMNS SCALE PAD SECONDS: what unapng prints, by the formula of
# tests/tools/stream.c: pixel (y,x,c) of sample i is (7i + 3y + 5x + 11c) mod 256.
expected() {
	awk -v H="$1" -v W="$2" -v C="$3" -v N="$4" -v F="$5" -v M="$6" -v K="$7" -v P="$8" -v S="$9" '
	function pixel(px, py, c,   gx, gy, i, x, y) {
		if (px < P || py < P) return 0
		gx = int((px - P) / (W * K + P)); x = int((px - P) % (W * K + P) / K)
		gy = int((py - P) / (H * K + P)); y = int((py - P) % (H * K + P) / K)
		i = gy * M + gx
		if (x >= W || y >= H || i >= N) return 0
		return (7 * (i * F + f) + 3 * y + 5 * x + 11 * c) % 256
	}
	BEGIN {
		rows = int((N - 1) / M) + 1
		width = M * (W * K + P) + P; height = rows * (H * K + P) + P
		print width, height, C, F, 0
		for (f = 0; f < F; f++) {
			print "frame " (f < F - 1 ? S : "2/1")
			for (py = 0; py < height; py++) {
				line = ""
				for (px = 0; px < width; px++)
					for (c = 0; c < C; c++)
						line = line (line == "" ? "" : " ") pixel(px, py, c)
				print line
			}
		}
	}'
}

# chromium_sees FILE: width, height, frames and how often they are shown; for each frame a line, how many
# thousandths of a second it stays and its pixels, RGBA.  A page is printed when all of it is there:
# the inner one is opened until then.
chromium_sees() {
	cat > page.html <<-END
	<pre id=said></pre><iframe id=inner></iframe><script>
	inner.contentDocument.open()
	async function look() {
		const data = Uint8Array.from(atob("$(base64 -w 0 "$1")"), c => c.charCodeAt(0))
		const film = new ImageDecoder({type: "image/png", data, colorSpaceConversion: "none"})
		await film.tracks.ready
		await film.completed
		const track = film.tracks.selectedTrack
		for (let i = 0; i < track.frameCount; i++) {
			const {image} = await film.decode({frameIndex: i})
			const pixels = new Uint8Array(image.displayWidth * image.displayHeight * 4)
			await image.copyTo(pixels, {format: "RGBA"})
			if (i == 0)
				said.append([image.displayWidth, image.displayHeight, track.frameCount,
					track.repetitionCount].join(" "), "\n")
			said.append([image.duration / 1000, ...pixels].join(" "), "\n")
		}
	}
	look().catch(e => said.append(e)).then(() => document.body.replaceChildren(said))
	</script>
	END
	timeout 60 chromium --headless --no-sandbox --disable-gpu --user-data-dir=profile --dump-dom \
		"file://$PWD/page.html" 2> err | sed 's/<[^>]*>//g; /^$/d'
}

@test "each frame is a grid of all trajectories" {
	stream -n 15 -s 4x3x1 -m sample.frames=3 > s
	dtn-png --animate s > a.png
	unapng a.png | diff <(expected 4 3 1 5 3 3 1 2 1/12) -
	stream -n 20 -s 3x5x3 -b 7 -m sample.frames=5 | dtn-png --animate --fps 4 --scale 2 --pad 1 --columns 3 > a.png
	unapng a.png | diff <(expected 3 5 3 4 5 3 2 1 1/4) -
	stream -n 2 -s 1x1x1 -m sample.frames=2 | dtn-png --animate --pad 0 > a.png
	unapng a.png | diff <(expected 1 1 1 1 2 1 1 0 1/12) -
	stream -n 6 -s 4x3x1 -m noise.frames=3 | dtn-png --animate > a.png
	unapng a.png | diff <(expected 4 3 1 2 3 2 1 2 1/12) -
}

@test "frames of many chunks, that do not compress" {
	stream -n 12 -s 200x200x3 -i -m sample.frames=4 > s
	dtn-png --animate --pad 0 s > a.png
	unapng a.png > a
	((400000 < $(wc -c < a.png)))
	dtn-info --dump image s > raw
	# the first row of the first image of each frame
	for f in 0 1 2 3; do
		same "row of frame $f" \
			"$(tail -c +$((f * 120000 + 1)) raw | head -c 600 | od -An -v -tu1 | xargs)" \
			"$(grep -A 1 -n '^frame' a | grep -v frame | sed -n "$((2 * f + 1))p" |
				sed 's/^[0-9]*-//' | cut -d ' ' -f 1-600)"
	done
}

@test "rows of all filters come back as they were" {
	local f i
	stream -n 3 -s 64x64x3 | dtn-noise -t 0,5,20,60 > s
	dtn-png --animate --columns 1 --pad 0 s > a.png
	same filters "1 2 3 4" "$(unapng -f a.png | xargs)"
	dtn-png --each d s
	for f in 0 1 2 3; do
		for i in 0 4 8; do
			unpng d/0000000$((i + f)).png 2> /dev/null || unpng d/000000$((i + f)).png
		done | grep -v '^64 64 3$'
	done > expected
	unapng a.png | tail -n +2 | grep -v frame | diff -q expected -
}

@test "readers that know no animation show the first frame" {
	stream -n 15 -s 4x3x1 -m sample.frames=3 > s
	dtn-png --animate s > a.png
	expected 4 3 1 5 3 3 1 2 1/12 | sed -n '3,/^frame/p' | grep -v frame > first
	unpng a.png | tail -n +2 | diff first -
	unpng -t a.png > t
	grep -x 'sample.frames=3' t
	grep -x 'dtn.commands=dtn-png --animate' t
	stream -n 3 -m x.place=Zürich -m sample.frames=3 | dtn-png --animate > b.png
	unapng b.png > b
	unpng -t b.png | grep -x 'x.place=Zürich'
	dtn-png --animate --no-prov s > c.png
	same "nothing said" "" "$(unpng -t c.png)"
}

@test "Chromium sees the same" {
	local channels
	command -v chromium > /dev/null || skip "no chromium"
	for channels in 1 3; do
		stream -n 15 -s 5x4x$channels -m sample.frames=3 | dtn-png --animate --fps 7 --scale 2 > a.png
		# its clock counts whole thousandths
		unapng a.png | awk '
			NR == 1 { printf "%d %d %d Infinity", $1, $2, $4; next }
			/^frame/ { split($2, part, "/"); printf "\n%d", 1000 * part[1] / part[2]; next }
			{ for (i = 1; i <= NF; i += n) printf " %d %d %d 255", $i, $(i + (n > 1)), $(i + 2 * (n > 1)) }
			END { print "" }' n=$channels > expected
		chromium_sees a.png > found
		cmp expected found || fail "it sees: $(cut -c 1-200 found err)"
	done
}

@test "--fps" {
	local p
	stream -n 4 -m sample.frames=4 > s
	for p in 12:1/12 1:1/1 25:1/25 12.5:2/25 0.5:2/1 0.1:10/1 29.97:100/2997 1000:1/1000 0.01:100/1 \
		23.976023976:1001/24000 0.3:10/3; do
		dtn-png --animate --fps "${p%:*}" s > a.png
		same "${p%:*} frames in a second" "frame ${p#*:}" "$(unapng a.png | grep -m 1 frame)"
		same "pause" "frame 2/1" "$(unapng a.png | grep frame | tail -n 1)"
	done
	for p in 0 0.001 1001 -1 x nan inf; do
		fails 2 "^dtn-png: --fps $p: wants " dtn-png --animate --fps $p s
	done
	fails 2 '^dtn-png: --fps is for --animate$' dtn-png --fps 3 s
	fails 2 'exclude each other' dtn-png --animate --each d s
}

@test "records and segments of any size, f32, the same bytes each time" {
	stream -n 40 -s 5x4x3 -m sample.frames=10 -b 1 > a
	stream -n 40 -s 5x4x3 -m sample.frames=10 -b 40 > b
	dtn-png --no-prov --animate a > a.png
	dtn-png --no-prov --animate < b | cmp - a.png
	stream -n 40 -s 5x4x3 -m sample.frames=10 -t f32 | dtn-png --no-prov --animate | cmp - a.png
	cat a b | dtn-png --no-prov --animate --columns 4 > two.png
	same size "26 16 3 10 0" "$(unapng two.png | head -n 1)"
	stream -n 6 -s 2x2x1 -t f32 -x 3 -m sample.frames=3 | dtn-png --animate 2> e > c.png
	same warning "dtn-png: warning: 3 values are no numbers and shown as black" "$(cat e)"
	unapng c.png > c
}

# frame K: the rows of frame K of what unapng prints
frame() { awk -v k="$1" '/^frame/ { n++; next } n == k + 1'; }

@test "--frames: a file for each frame, which is that of the animation" {
	local f options
	stream -n 15 -s 4x3x1 -b 4 -m sample.frames=3 > s
	dtn-png --frames d s > out
	[ ! -s out ]
	same files "$(printf '%08d.png\n' 0 1 2)" "$(ls -A d)"
	same mode "$(stat -c %a out)" "$(stat -c %a d/00000000.png)"
	for f in 0 1 2; do
		same "size of $f" "17 14 1" "$(unpng d/0000000$f.png | head -n 1)"
		expected 4 3 1 5 3 3 1 2 1/12 | frame $f | diff - <(unpng d/0000000$f.png | tail -n +2)
	done
	stream -n 20 -s 3x5x3 -b 7 -m noise.frames=5 > t
	for options in "--scale 2 --pad 1 --columns 3" "--field image,image --columns 1 --pad 0"; do
		# shellcheck disable=SC2086
		dtn-png --animate $options t | unapng /dev/stdin > a
		# shellcheck disable=SC2086
		dtn-png --frames d $options t
		for f in 0 1 2 3 4; do
			frame $f < a | diff - <(unpng d/0000000$f.png | tail -n +2)
		done
	done
	same "over the old ones, more" 5 "$(ls d | wc -l)"
}

@test "--frames: what each file says of itself; several segments" {
	stream -n 6 -s 4x4x1 -m sample.frames=3 -m sample.seed=7 -c dtn-load > a
	stream -n 6 -s 4x4x1 -m sample.frames=3 -m sample.seed=8 > b
	dtn-png --frames d --columns 1 a
	for f in 0 1 2; do
		unpng -t d/0000000$f.png > t
		grep -x 'sample.frames=3' t
		grep -x 'sample.seed=7' t
		same commands "$(printf 'dtn.commands=stream\ndtn-png --columns 1')" "$(grep -A 1 '^dtn.commands=' t)"
	done
	dtn-png --frames d --columns 1 --pad 0 a b
	same "size of all" "4 16 1" "$(unpng d/00000002.png | head -n 1)"
	absent sample.seed <(unpng -t d/00000002.png)
	dtn-png --frames d --no-prov a
	same "nothing said" "" "$(unpng -t d/00000001.png)"
}

@test "--frames: what it cannot show, and where" {
	local n size
	stream -n 6 -s 4x4x1 > s
	stream -n 6 -s 4x4x1 -m sample.frames=3 > a
	stream -n 6 -s 4x4x1 -m sample.frames=2 > b
	stream -n 5 -s 4x4x1 -m sample.frames=3 > c
	fails 3 '^dtn-png: s: still images: --frames wants trajectories \(dtn-sample --trace\)$' dtn-png --frames d s
	fails 3 '^dtn-png: b: trajectories of 2 frames, expected 3$' dtn-png --frames d a b
	fails 3 '^dtn-png: b: trajectories of 2 frames, expected 3$' dtn-png --columns 6 --frames d a b
	fails 3 '^dtn-png: c: trajectories of 3 frames are not whole$' dtn-png --frames d c
	fails 3 '^dtn-png: a: image too large' dtn-png --frames d --pad 0 --max-pixels 31 a
	size=$(wc -c < a)
	for ((n = 0; n < size; n += 97)); do
		head -c $n a > t
		fails 3 'truncated|empty input' dtn-png --frames d t
	done
	same "files of all these" "" "$(ls -A d)"
	dtn-png --frames d --pad 0 --max-pixels 32 --columns 1 a
	fails 2 '^dtn-png: --each, --frames and --animate exclude each other$' dtn-png --each d --frames e a
	fails 2 '^dtn-png: --each, --frames and --animate exclude each other$' dtn-png --frames d --animate a
	fails 2 '^dtn-png: --frames and -o exclude each other$' dtn-png --frames d -o e a
	fails 2 '^dtn-png: --fps is for --animate$' dtn-png --frames d --fps 3 a
	fails 1 '^dtn-png: s/00000000.png: Not a directory$' dtn-png --frames s a
	fails 1 '^dtn-png: no/where: No such file or directory$' dtn-png --frames no/where a
}

@test "what is no trajectory, and trajectories that do not fit" {
	stream -n 6 -s 4x4x1 > s
	fails 3 '^dtn-png: s: still images: --animate wants trajectories \(dtn-sample --trace\)$' dtn-png --animate s
	stream -n 6 -s 4x4x1 -m sample.frames=3 > a
	stream -n 6 -s 4x4x1 -m sample.frames=2 > b
	fails 3 '^dtn-png: b: trajectories of 2 frames, expected 3$' dtn-png --animate a b
	fails 3 '^dtn-png: s: still images' dtn-png --animate a s
	stream -n 6 -s 4x5x1 -m sample.frames=3 > b
	fails 3 '^dtn-png: b: record 0: incompatible field "image": \[4,4,5,1\], expected \[N,4,4,1\]$' \
		dtn-png --animate a b
	stream -n 5 -s 4x4x1 -m sample.frames=3 > b
	fails 3 '^dtn-png: b: trajectories of 3 frames are not whole$' dtn-png --animate b
	cat a b a > all
	fails 3 '^dtn-png: all: segment 2: trajectories of 3 frames are not whole$' dtn-png --animate all
	stream -n 0 -m sample.frames=3 > none
	fails 3 '^dtn-png: none: no images$' dtn-png --animate none
	for f in 0 -1 x 99999999999 3x; do
		stream -n 6 -m "sample.frames=$f" > b
		fails 3 'still images' dtn-png --animate b
	done
}

@test "limits: of a frame, not of all of them" {
	stream -n 40 -s 64x64x1 -m sample.frames=10 > s
	dtn-png --animate --pad 0 --max-pixels 16K s > a.png
	unapng a.png > a
	fails 3 '^dtn-png: s: image too large' dtn-png --animate --max-pixels 16K s
	fails 3 'image too large' dtn-png --animate --pad 0 --max-pixels 16K --scale 2 s
	fails 3 'image too large' dtn-png --animate --scale 1024 s
}

@test "memory for one frame, more than 64 MiB of frames in a temporary file" {
	mkdir t
	stream -n 3000 -s 128x128x3 -m sample.frames=1500 > s
	TMPDIR=t command time -f %M -o peak dtn-png --animate --pad 0 --columns 2 -o a.png s
	sanitized || (($(cat peak) < 100000)) || fail "$(cat peak) kB for 147 MB of frames"
	same "files left" "" "$(ls -A t)"
	same "size" "256 128 3 1500 0" "$(unapng a.png | head -n 1)"
	fails 1 'temporary file in no/where' env TMPDIR=no/where dtn-png --animate -o b.png s
}

@test "a truncated trajectory leaves no file" {
	local n size
	stream -n 6 -s 4x4x1 -m sample.frames=3 > s
	size=$(wc -c < s)
	for ((n = 0; n < size; n += 97)); do
		head -c $n s > t
		fails 3 'truncated|empty input' dtn-png --animate -o a.png t
		[ ! -e a.png ]
	done
}

@test "what dtn-sample --trace makes" {
	stream -n 4 -s 8x8x1 | dtn-train -q --channels 8 --mult 1 --groups 4 --blocks 1 -b 4 --steps 1 -o m
	dtn-sample -n 5 --steps 6 --trace 4 m > s
	dtn-png --animate --columns 5 --pad 0 s > a.png
	unapng a.png > a
	same size "40 8 1 4 0" "$(head -n 1 a)"
	dtn-sample -n 5 --steps 6 --trace-at 999,499 m | dtn-png --frames d --columns 5 --pad 0
	same files 3 "$(ls d | wc -l)"
	# the last frame is what it makes without a trace
	dtn-sample -n 5 --steps 6 m | dtn-png --columns 5 --pad 0 > last.png
	tail -n 8 a | diff - <(unpng last.png | tail -n 8)
	cmp <(unpng d/00000002.png) <(unpng last.png)
}
