#!/usr/bin/make -f
# cars.mk -- from a folder to a picture as rules of make: what is up to date is not made again
#
#     make -f scripts/cars.mk -j4 IMAGES=cars/ [SIZE=32] [TIME=30m] [PARTS="0 16 32 48"]
#
# Every program writes its -o FILE under another name until it is complete, so an interrupted run
# leaves nothing that looks finished; interrupted training goes on where it was.  Sampling is in
# parts of 16, which begin at the numbers PARTS and may run side by side; together they are the images
# that dtn-sample -n 64 makes.  Wants GNU make 4.3, for rules that make two files at once (&:).
here := $(dir $(lastword $(MAKEFILE_LIST)))
export PATH := $(here)../build/opt/bin:$(PATH)

IMAGES = cars
SIZE   = 32
TIME   = 30m
PARTS  = 0 16 32 48

all: cars.png cars-loss.png

cars.png: $(PARTS:%=cars-%.dtn)
	dtn-cat $^ | dtn-png --scale 2 -o $@

$(PARTS:%=cars-%.dtn): cars-%.dtn: cars.dtn
	dtn-sample --first $* -n 16 -j 1 -o $@ $<

cars-loss.png: cars.dtn
	$(here)plot-loss cars.tsv $@

cars.dtn: cars-train.dtn cars-val.dtn
	dtn-train --flip --val cars-val.dtn --time $(TIME) $(if $(wildcard $@.ckpt),--resume) \
		--log cars.tsv -o $@ cars-train.dtn

cars-train.dtn cars-val.dtn &: cars-images.dtn
	dtn-cat --shuffle 1 --split 0.9 -o cars-train.dtn -O cars-val.dtn $<

cars-images.dtn: $(IMAGES)
	dtn-load -s $(SIZE) --skip-bad -o $@ $<

.PHONY: all
