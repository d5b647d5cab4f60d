#!/bin/sh
# reader.sh -- a second reader of .dtn streams, written from dtn(5) alone
#
#       tests/reader.sh FILE [FOLDER]
#
# It needs od, awk, gzip (for CRC-32) and zstd, checks what the page says of a well-formed stream, and
# prints what is in it: "segment KIND", "meta LINE", "prov LINE", "record SEQ FIRST SAMPLES",
# "tensor NAME ROLE TYPE DIMS BYTES SUM" with the md5 sum of the elements, and "end".  The elements are
# appended to FOLDER/ROLE:NAME (a slash becomes an underscore).  It is slow: for streams of some kilobytes.
set -u
LC_ALL=C
export LC_ALL
file=$1
folder=${2:-}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

die() {
	echo "reader.sh: $file: $*" >&2
	exit 3
}

# bytes OFFSET COUNT
bytes() { tail -c +$(($1 + 1)) "$file" | head -c "$2"; }

# CRC-32 of stdin, as the number that four little-endian bytes make
crc() { gzip -c | tail -c 8 | head -c 4 | od -An -tu4 --endian=little | tr -d ' '; }

# First pass: the frames.  What cannot be done here is written as a list of things to do.
od -An -v -tu1 -w1 "$file" | awk '
	function die(text) { print "die " text " at byte " at; bad = 1; exit }
	function u(o, n,   v, i) { for (v = i = 0; i < n; i++) v = v * 256 + b[o + n - 1 - i]; return v }
	function text(o, n,   s, i) { for (s = ""; n-- > 0; o++) s = s sprintf("%c", b[o]); return s }
	function zeros(o, n) { while (n-- > 0) if (b[o + n]) die("reserved byte") }
	function least(a, c) { return a < c ? a : c }
	# A frame at `at`: its size, after the envelope was looked at.
	function frame(   i) {
		if (at + 16 > n) die("cut frame")
		if (u(at, 4) != 407710295) die("no frame")
		size = u(at + 4, 4) + 8
		tag = text(at + 8, 4)
		if (at + size > n) die("cut frame")
		print "crc", at, size - 4, u(at + size - 4, 4)
		links[++linked] = at + size - 4
	}
	function lines(name, o, n,   s, i) {
		for (s = ""; n-- > 0; o++)
			if (b[o] == 10) { print name, s; s = "" } else s = s sprintf("%c", b[o])
		if (s != "") die("no newline")
	}
	function tensor(i,   o, k, rank, length_, e) {
		type = b[p]; rank = b[p + 1]; length_ = u(p + 4, 2)
		zeros(p + 6, 2)
		e = 2 ^ (type % 16)
		total[i] = e; dims[i] = "-"; last_ = 0
		for (k = 0; k < rank; k++) {
			last_ = u(p + 8 + 8 * k, 8)
			total[i] *= last_
			dims[i] = k ? dims[i] "," last_ : last_
		}
		if (b[p + 3] == 1 && u(p + 8, 8) != samples) die("batch")
		item[i] = e
		step[i] = rank && last_ * e >= 1 && last_ * e <= 16 ? last_ * e : 1
		line[i] = "tensor " text(p + 8 + 8 * rank, length_) " " b[p + 2] " " type " " dims[i] " " total[i]
		length_ += 8 + 8 * rank
		zeros(p + length_, (8 - length_ % 8) % 8)
		p += length_ + (8 - length_ % 8) % 8
	}
	function chunks(i,   k, left, raw, codec, stored, start) {
		for (k = 0; total[i] > 0; k++) {
			frame()
			raw = least(total[i], chunk_size)
			codec = b[at + 18]; stored = u(at + 28, 4)
			zeros(at + 12, 4)
			if (tag != "CHNK" || u(at + 16, 2) != i || u(at + 20, 4) != k || u(at + 24, 4) != raw)
				die("wrong chunk")
			start = codec ? at + size : at + u(at + 32, 4)
			if (!codec && (start - head) % 64) die("raw chunk not aligned")
			print codec ? "zstd" : "raw", start, stored, raw, b[at + 19], item[i], step[i]
			at += size
			if (codec) { at += stored; links[++linked] = at - 4 }
			total[i] -= raw
		}
		print line[i]
	}
	BEGIN { OFMT = CONVFMT = "%.0f"; at = 0 }
	{ b[n++] = $1 }
	END {
		if (!n) die("empty")
		while (at < n && !bad) {
			head = at; linked = records = sum = index_at = 0
			frame()
			if (text(at + 8, 8) != "\211DTN\r\n\032\n") die("no HEAD")
			if (u(at + 16, 2) != 1 || u(at + 24, 4)) die("version")
			zeros(at + 22, 2); zeros(at + 36, 24)
			chunk_size = u(at + 32, 4)
			print "segment", u(at + 20, 2)
			at += size; place = "HEAD"
			for (;;) {
				frame()
				zeros(at + 13, 3)
				if (tag !~ /^(META|PROV|RECD|INDX|END )$/ && b[at + 12] == 1 && place != "INDX")
					tag = "other"
				else if (b[at + 12])
					die("flags")
				else if (tag == "META" && place == "HEAD") lines("meta", at + 16, size - 20)
				else if (tag == "PROV" && (place == "HEAD" || place == "META")) lines("prov", at + 16, size - 20)
				else if (tag == "RECD" && place != "INDX") {
					samples = u(at + 32, 4); count = u(at + 36, 2)
					if (u(at + 16, 8) != records++ || u(at + 24, 8) != sum) die("order")
					zeros(at + 38, 2)
					print "record", u(at + 16, 8), sum, samples
					sum += samples
					p = at + 40
					for (i = 0; i < count; i++) tensor(i)
					at += size
					if (p != at - 4) die("descriptions")
					for (i = 0; i < count; i++) chunks(i)
					size = 0
				} else if (tag == "INDX" && place != "INDX") {
					index_at = at - head
					if (size != 28 + 16 * u(at + 16, 4)) die("index")
				} else if (tag == "END ") break
				else die("unexpected " tag)
				at += size; place = tag
			}
			if (u(at + 16, 8) != records || u(at + 24, 8) != sum || u(at + 32, 8) != at + size - head ||
			    u(at + 40, 8) != index_at || text(at + 56, 4) != "DTN\004") die("END")
			printf "chain %.0f", u(at + 48, 4)
			for (i = 1; i < linked; i++) printf " %d", links[i]
			print "\nend"
			at += size
		}
	}' > "$work/list"

# The elements of a chunk: undo its filter.
unfilter() {
	od -An -v -tu1 -w1 | awk -v filter="$1" -v e="$2" -v d="$3" '
		{ b[n++] = $1 }
		END {
			if (filter == 3) d = 1
			if (filter >= 2) for (i = d; i < n; i++) b[i] = (b[i] + b[i - d]) % 256
			for (i = 0; i < n; i++)
				printf "%c", filter % 2 ? b[i % e * (n / e) + int(i / e)] : b[i]
		}'
}

# Second pass: checksums and data.
: > "$work/tensor"
while read -r what a b c d e f; do
	case $what in
	die) die "$a $b $c $d $e $f" ;;
	crc) [ "$(bytes "$a" "$b" | crc)" = "$c" ] || die "checksum of the frame at byte $a" ;;
	zstd)
		bytes "$a" "$b" | zstd -dcq > "$work/chunk" || die "zstd frame at byte $a"
		[ "$(wc -c < "$work/chunk")" = "$c" ] || die "size of the chunk at byte $a"
		unfilter "$d" "$e" "$f" < "$work/chunk" >> "$work/tensor"
		;;
	raw) bytes "$a" "$b" | unfilter "$d" "$e" "$f" >> "$work/tensor" ;;
	tensor)
		[ "$(wc -c < "$work/tensor")" = "$e" ] || die "size of $a"
		echo "tensor $a $b $c $d $e $(md5sum < "$work/tensor" | cut -d ' ' -f 1)"
		[ -z "$folder" ] || cat "$work/tensor" >> "$folder/$b:$(echo "$a" | tr / _)"
		: > "$work/tensor"
		;;
	chain)
		for at in $b $c $d $e $f; do bytes "$at" 4; done > "$work/links"
		[ "$(crc < "$work/links")" = "$a" ] || die "chain"
		;;
	*) printf '%s\n' "$what${a:+ $a}${b:+ $b}${c:+ $c}${d:+ $d}${e:+ $e}${f:+ $f}" ;;
	esac
done < "$work/list"
