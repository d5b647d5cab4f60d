# dtn -- train diffusion models and sample from them, in a pipe
#
#     make            build the programs into build/opt/bin
#     make check      every test          make SAN=1 ...   the same with sanitizers, in build/san
#
# Settings, on the command line or in the environment:
CC        = cc
PKG_CONFIG = pkg-config
PREFIX    = /usr/local
OPT       = -O3 -g
WARN      = -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings

# Objects of different settings never meet: each set has its own folder.
SET       = $(if $(SAN),san,opt)
BUILD     = build/$(SET)
SANFLAGS  = $(if $(SAN),-fsanitize=address$(,)undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
, := ,
DTN_CFLAGS = -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) -I. -ffp-contract=off -fno-math-errno -fno-trapping-math \
            -pthread $(SANFLAGS) $(CFLAGS)
DTN_LDFLAGS = -pthread -Wl,--as-needed $(SANFLAGS) $(LDFLAGS)
LIBS      = $(shell $(PKG_CONFIG) --libs libzstd libpng libjpeg zlib 2>/dev/null || \
              echo -lzstd -lpng -ljpeg -lz) -ldnnl -lm -ldl

PROGRAMS  = $(patsubst cmd/%.c,%,$(wildcard cmd/dtn-*.c))
SOURCES   = $(wildcard lib/*.c lib/*/*.c lib/*/*/*.c format/*.c kernels/*.c)
OBJECTS   = $(SOURCES:%.c=$(BUILD)/%.o)

# The CPU's kernels are compiled once for every kind of x86-64 processor, and the table of the best one
# is chosen at run time: v2 (SSE4.2), v3 (AVX2, FMA), v4 (AVX-512).
ISAS      = v2 v3 v4
CPU       = $(wildcard kernels/cpu/*.c)
KERNELS   = $(foreach i,$(ISAS),$(CPU:kernels/cpu/%.c=$(BUILD)/kernels/cpu-$(i)/%.o))
LIBDTN    = $(BUILD)/libdtn.a
BINARIES  = $(PROGRAMS:%=$(BUILD)/bin/%)
TESTS     = $(patsubst %.c,$(BUILD)/%,$(filter-out %/harness.c,$(wildcard tests/*.c tests/*/*.c)))

all: $(BINARIES)

$(BUILD)/bin/%: $(BUILD)/cmd/%.o $(LIBDTN)
	@mkdir -p $(@D)
	$(CC) $(DTN_LDFLAGS) -o $@ $< $(LIBDTN) $(LIBS)

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIBDTN)
	@mkdir -p $(@D)
	$(CC) $(DTN_LDFLAGS) -o $@ $< $(LIBDTN) $(LIBS)

$(BUILD)/tests/op/%: $(BUILD)/tests/op/%.o $(BUILD)/tests/op/harness.o $(LIBDTN)
	@mkdir -p $(@D)
	$(CC) $(DTN_LDFLAGS) -o $@ $< $(BUILD)/tests/op/harness.o $(LIBDTN) $(LIBS)

$(LIBDTN): $(OBJECTS) $(KERNELS)
	@rm -f $@
	ar -rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(DTN_CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

define isa_rule
$(BUILD)/kernels/cpu-$(1)/%.o: kernels/cpu/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(DTN_CFLAGS) $$(CPPFLAGS) -ffp-contract=fast -march=x86-64-$(1) -DISA=$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call isa_rule,$(i))))

tests-built: $(TESTS)

clean:
	rm -rf build

.PHONY: all clean tests-built
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
