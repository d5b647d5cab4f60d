# dtn -- train diffusion models and sample from them, in a pipe
#
#     make             build the programs into build/opt/bin
#     make demo        install what is missing, train on clothes for a few minutes, write demo.png
#     make check       install what is missing, run every test; ends with "N passed, N failed"
#     make check-long  the same, the programs with sanitizers, and fuzzing
#     make fuzz        change good and bad inputs at random, FUZZ_SECONDS (60) for each reader (with clang)
#     make bench       measure speed and memory on this machine
#     make cuda        the CUDA backend alone, which make builds, too, where nvcc and cuBLAS are
#     make check-cuda  compare an NVIDIA GPU with the CPU;  make bench-cuda  measure it
#     make install     into PREFIX (/usr/local), below DESTDIR;  make uninstall
#     make clean
#
# Settings, on the command line or in the environment:
CC         = cc
PKG_CONFIG = pkg-config
PREFIX     = /usr/local
BINDIR     = $(PREFIX)/bin
DATADIR    = $(PREFIX)/share
MANDIR     = $(DATADIR)/man
OPT        = $(if $(SAN),-O1 -g,-O3 -g)
WARN       = -Wall -Wextra -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
             $(if $(findstring clang,$(CC)),-Wno-unknown-pragmas)
# make CUDA=no leaves the CUDA backend out; CUDA_ARCH="90" compiles it for these GPUs, and later ones.
CUDA_ARCH  = 80 90
NVCC       = $(firstword $(shell command -v nvcc) $(wildcard /usr/local/cuda/bin/nvcc) nvcc)
# SAN=1 watches addresses and undefined behavior, SAN=thread watches for races, SAN=fuzz is what
# `make fuzz` builds.

# --- what is compiled how ---------------------------------------------------------------------------

# Objects of different settings never meet: each set has its own folder, and within one folder
# everything is made anew when the compiler or its options change (the file `settings`).
SET_        = opt
SET_1       = san
SET_thread  = tsan
SET_fuzz    = fuzz
SET         = $(or $(SET_$(SAN)),$(error SAN is 1, thread or fuzz))
BUILD       = build/$(SET)
SAN_1       = address,undefined
SAN_thread  = thread
SAN_fuzz    = address,undefined,fuzzer-no-link
SANFLAGS    = $(if $(SAN),-fsanitize=$(SAN_$(SAN)) -fno-sanitize-recover=all -fno-omit-frame-pointer)
PACKAGES    = libzstd libpng libjpeg zlib
LIBS        = $(shell $(PKG_CONFIG) --libs $(PACKAGES) 2>/dev/null || \
                echo -lzstd -lpng -ljpeg -lz) -ldnnl -lm -ldl
DTN_CFLAGS  = -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) -I. -ffp-contract=off -fno-math-errno \
              -fno-trapping-math -pthread $(SANFLAGS) \
              $(shell $(PKG_CONFIG) --cflags $(PACKAGES) 2>/dev/null) $(CFLAGS)
DTN_LDFLAGS = -pthread -Wl,--as-needed $(SANFLAGS) $(LDFLAGS)
# What a backend in a shared object takes from the program that loads it.
EXPORT      = -Wl,--export-dynamic-symbol=dtn_*

# What the programs share with a backend in a shared object; both are told its checksum, and an object
# of another build is refused.
HEADERS     = kernels/backend.h lib/base.h lib/normal.h lib/rng.h lib/nn/graph.h lib/nn/op.def
HEADERS_SUM = -DDTN_HEADERS=$(firstword $(shell cat $(HEADERS) | cksum))u

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

# The kernels for CUDA, by the host's compiler: tests/cuda has headers named like CUDA's, and answers
# the calls that -fsanitize=thread puts before each access to memory.
STANDIN       = $(BUILD)/tests/cuda/dtn-cuda.so
STANDIN_FLAGS = -std=c++17 -O1 -g -fvisibility=hidden -Wall -Wextra -Wno-missing-field-initializers \
                -Wno-unknown-pragmas -I. -Itests/cuda -ffp-contract=off -fPIC -pthread
STANDIN_PARTS = $(patsubst %.cc,$(BUILD)/%.o,$(wildcard tests/cuda/*.cc))
STANDIN_TESTS = $(if $(filter thread,$(SAN)),,$(patsubst %.cu,$(BUILD)/%,$(wildcard tests/cuda/*.cu)))

# tests/*.c and tests/*/*.c are run by `make check`, but for those in tests/tools, which other tests
# use, and in tests/bench, which measure.  A harness.c is linked to all tests of its folder, with what
# is in a folder harness there; those of tests/fuzz want inputs, which tests/fuzz/run gives them.
TESTS     = $(patsubst %.c,$(BUILD)/%,$(filter-out %/harness.c %/replay.c, \
              $(wildcard tests/*.c tests/*/*.c))) $(STANDIN_TESTS) $(if $(SAN),,$(STANDIN)) \
            $(if $(PLUGIN),$(BUILD)/tests/gpu/conv)

OP_HARNESS = $(patsubst %.c,$(BUILD)/%.o,tests/op/harness.c $(wildcard tests/op/harness/*.c))

# Of fuzz targets, main is libFuzzer's or that of replay.c.
FUZZ      = $(filter $(BUILD)/tests/fuzz/%,$(TESTS))
FUZZ_MAIN = $(if $(filter fuzz,$(SAN)),-fsanitize=fuzzer,$(BUILD)/tests/fuzz/replay.o)

# The CUDA backend, where it can be compiled; whether that is so is asked once (remove $(BUILD)/cuda.mk
# to ask again).
CUDA_SOURCES = $(wildcard kernels/cuda/*.cu)
PLUGIN       = $(if $(filter yes,$(CUDA_FOUND)),$(BUILD)/lib/dtn/dtn-cuda.so)
ifeq ($(SAN)$(CUDA)$(filter clean uninstall,$(MAKECMDGOALS)),)
-include $(BUILD)/cuda.mk
endif
NVCC_FLAGS   = -std=c++17 -O3 -I. -Xcompiler -fPIC,-Wall,-Wextra,-Wno-missing-field-initializers \
               $(foreach a,$(CUDA_ARCH),-gencode arch=compute_$(a),code=sm_$(a)) \
               -gencode arch=compute_$(lastword $(CUDA_ARCH)),code=compute_$(lastword $(CUDA_ARCH))

all: $(BINARIES) $(PLUGIN) $(BUILD)/completions/done

cuda: $(PLUGIN)

$(BUILD)/bin/%: $(BUILD)/cmd/%.o $(LIBDTN)
	@mkdir -p $(@D)
	$(CC) $(DTN_LDFLAGS) $(EXPORT) -o $@ $< $(LIBDTN) $(LIBS)

$(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIBDTN)
	@mkdir -p $(@D)
	$(CC) $(DTN_LDFLAGS) $(EXPORT) -o $@ $< $(LIBDTN) $(LIBS)

$(BUILD)/tests/op/%: $(BUILD)/tests/op/%.o $(OP_HARNESS) $(LIBDTN)
	@mkdir -p $(@D)
	$(CC) $(DTN_LDFLAGS) $(EXPORT) -o $@ $^ $(LIBS)

# It finds the stand-in for CUDA as the tests of operations do.
$(BUILD)/tests/nn/unet: $(BUILD)/tests/nn/unet.o $(OP_HARNESS) $(LIBDTN)
	@mkdir -p $(@D)
	$(CC) $(DTN_LDFLAGS) $(EXPORT) -o $@ $^ $(LIBS)

$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/harness.o \
		$(filter %.o,$(FUZZ_MAIN)) $(LIBDTN)
	@mkdir -p $(@D)
	$(CC) $(DTN_LDFLAGS) -Wl,--wrap=dtn_die,--wrap=dtn_crc,--wrap=dtn_source_need -o $@ $< \
		$(@D)/harness.o $(FUZZ_MAIN) $(LIBDTN) $(LIBS)

$(BUILD)/cuda.mk: scripts/probe-cuda
	@mkdir -p $(@D)
	@sh scripts/probe-cuda $(NVCC) > $@

$(BUILD)/lib/dtn/dtn-cuda.so: $(CUDA_SOURCES:%.cu=$(BUILD)/%.o) $(BUILD)/kernels/cuda/table.o
	@mkdir -p $(@D)
	$(NVCC) $(NVCC_FLAGS) -shared -cudart shared -o $@ $^ -lcublas -lcublasLt \
		-Xlinker -rpath,$(CUDA_LIB)

$(BUILD)/kernels/cuda/%.o: kernels/cuda/%.cu $(BUILD)/settings-cuda
	@mkdir -p $(@D)
	$(NVCC) $(NVCC_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/kernels/cuda/table.o: private DTN_CFLAGS += -fPIC $(HEADERS_SUM)

$(BUILD)/lib/plugin.o: private DTN_CFLAGS += $(HEADERS_SUM)

$(BUILD)/lib/plugin.o $(BUILD)/kernels/cuda/table.o: $(HEADERS)

# A test of the stand-in's again, for a GPU: scripts/check-cuda runs it.
$(BUILD)/tests/gpu/conv: $(BUILD)/tests/gpu/conv.o $(BUILD)/kernels/cuda/stream.o $(LIBDTN) \
		$(patsubst %.cu,$(BUILD)/%.o,$(wildcard kernels/cuda/conv*.cu))
	$(NVCC) $(NVCC_FLAGS) -cudart shared -o $@ $^ $(LIBS) -Xlinker -rpath,$(CUDA_LIB)

$(BUILD)/tests/gpu/%.o: tests/cuda/%.cu $(BUILD)/settings-cuda
	@mkdir -p $(@D)
	$(NVCC) $(NVCC_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/cuda/%.o: tests/cuda/%.cc $(BUILD)/settings
	@mkdir -p $(@D)
	$(CXX) $(STANDIN_FLAGS) -O2 $(SANFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/cuda/%.o: tests/cuda/%.cu $(BUILD)/settings
	@mkdir -p $(@D)
	$(CXX) -x c++ $(STANDIN_FLAGS) -fsanitize=thread -MMD -MP -c -o $@ $<

$(BUILD)/tests/cuda/kernels/%.o: kernels/cuda/%.cu $(BUILD)/settings
	@mkdir -p $(@D)
	$(CXX) -x c++ $(STANDIN_FLAGS) -fsanitize=thread -MMD -MP -c -o $@ $<

$(BUILD)/tests/cuda/kernels/table.o: kernels/cuda/table.c $(HEADERS) $(BUILD)/settings
	@mkdir -p $(@D)
	$(CC) $(DTN_CFLAGS) $(HEADERS_SUM) -fPIC -MMD -MP -c -o $@ $<

# The whole backend; what it takes from the program is found there when it is loaded.
$(STANDIN): $(STANDIN_PARTS) $(CUDA_SOURCES:kernels/cuda/%.cu=$(BUILD)/tests/cuda/kernels/%.o) \
		$(BUILD)/tests/cuda/kernels/table.o
	@mkdir -p $(@D)
	$(CXX) $(DTN_LDFLAGS) -shared -o $@ $^

$(BUILD)/tests/cuda/conv: $(patsubst kernels/cuda/%.cu,$(BUILD)/tests/cuda/kernels/%.o, \
	$(wildcard kernels/cuda/conv*.cu))

$(BUILD)/tests/cuda/%: $(BUILD)/tests/cuda/%.o $(BUILD)/tests/cuda/kernels/stream.o \
		$(STANDIN_PARTS) $(LIBDTN)
	@mkdir -p $(@D)
	$(CXX) $(DTN_LDFLAGS) -o $@ $^ $(LIBS)

$(LIBDTN): $(OBJECTS) $(KERNELS)
	@rm -f $@
	ar -rcs $@ $^

$(BUILD)/%.o: %.c $(BUILD)/settings
	@mkdir -p $(@D)
	$(CC) $(DTN_CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

define isa_rule
$(BUILD)/kernels/cpu-$(1)/%.o: kernels/cpu/%.c $(BUILD)/settings
	@mkdir -p $$(@D)
	$$(CC) $$(DTN_CFLAGS) $$(CPPFLAGS) -ffp-contract=fast -march=x86-64-$(1) -DISA=$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call isa_rule,$(i))))

# Written only when its content changes.
$(BUILD)/settings: always
	@mkdir -p $(@D)
	@echo '$(CC) $(subst ','\'',$(DTN_CFLAGS) $(CPPFLAGS) $(DTN_LDFLAGS))' > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(BUILD)/settings-cuda: always
	@mkdir -p $(@D)
	@echo '$(NVCC) $(NVCC_FLAGS)' > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

# For bash, zsh and fish, from what the programs say about themselves.
$(BUILD)/completions/done: scripts/completions $(BINARIES)
	@sh scripts/completions $(@D) $(BINARIES)
	@touch $@

# --- using it ---------------------------------------------------------------------------------------

# As many jobs as processors, unless make was told a number.
JOBS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

tests-built: $(TESTS)

fuzz-built: $(FUZZ)

check check-long:
	@sh scripts/install-deps build demo check
	@$(MAKE) --no-print-directory $(JOBS) all tests-built
	@$(MAKE) --no-print-directory $(JOBS) SAN=1 $(if $(filter %-long,$@),all) tests-built
	$(if $(filter %-long,$@),@$(MAKE) --no-print-directory $(JOBS) SAN=thread all \
		$(addprefix build/tsan/tests/,nn/run diffusion/sample diffusion/guidance))
	$(if $(filter %-long,$@),@$(MAKE) --no-print-directory $(JOBS) SAN=fuzz CC=clang fuzz-built)
	@sh tests/run $(if $(filter %-long,$@),--long)

FUZZ_SECONDS = 60

fuzz:
	@command -v clang > /dev/null || { echo 'make fuzz: needs clang' >&2; exit 1; }
	@$(MAKE) --no-print-directory $(JOBS) $(addprefix build/opt/tests/,tools/picture tools/model \
		format/hostile)
	@$(MAKE) --no-print-directory $(JOBS) SAN=fuzz CC=clang fuzz-built
	@sh tests/fuzz/run build/fuzz -max_total_time=$(FUZZ_SECONDS)

demo:
	@sh scripts/install-deps build demo
	@$(MAKE) --no-print-directory $(JOBS) all
	@sh scripts/demo

bench:
	@sh scripts/install-deps build demo
	@$(MAKE) --no-print-directory $(JOBS) all tests-built
	@sh scripts/bench

check-cuda:
	@$(MAKE) --no-print-directory $(JOBS) all tests-built
	@sh scripts/check-cuda

bench-cuda:
	@$(MAKE) --no-print-directory $(JOBS) all tests-built
	@sh scripts/bench-cuda

MAN1 = $(wildcard man/*.1)
MAN5 = $(wildcard man/*.5)
MAN7 = $(wildcard man/*.7)
BASH = $(DATADIR)/bash-completion/completions
ZSH  = $(DATADIR)/zsh/site-functions
FISH = $(DATADIR)/fish/vendor_completions.d

install: all
	install -d $(addprefix $(DESTDIR),$(BINDIR) $(MANDIR)/man1 $(MANDIR)/man5 $(MANDIR)/man7 \
		$(BASH) $(ZSH) $(FISH) $(DATADIR)/dtn)
	install -s -m 755 $(BINARIES) $(DESTDIR)$(BINDIR)
	[ ! -e "$(PLUGIN)" ] || install -D -m 755 -t $(DESTDIR)$(BINDIR)/../lib/dtn $(PLUGIN)
	install -m 644 $(MAN1) $(DESTDIR)$(MANDIR)/man1
	$(if $(MAN5),install -m 644 $(MAN5) $(DESTDIR)$(MANDIR)/man5)
	$(if $(MAN7),install -m 644 $(MAN7) $(DESTDIR)$(MANDIR)/man7)
	install -m 644 $(PROGRAMS:%=$(BUILD)/completions/%) $(DESTDIR)$(BASH)
	install -m 644 $(PROGRAMS:%=$(BUILD)/completions/_%) $(DESTDIR)$(ZSH)
	install -m 644 $(PROGRAMS:%=$(BUILD)/completions/%.fish) $(DESTDIR)$(FISH)
	install -m 644 format/dtn.magic $(DESTDIR)$(DATADIR)/dtn

uninstall:
	rm -f $(PROGRAMS:%=$(DESTDIR)$(BINDIR)/%)
	rm -f $(MAN1:man/%=$(DESTDIR)$(MANDIR)/man1/%)
	rm -f $(MAN5:man/%=$(DESTDIR)$(MANDIR)/man5/%)
	rm -f $(MAN7:man/%=$(DESTDIR)$(MANDIR)/man7/%)
	rm -f $(PROGRAMS:%=$(DESTDIR)$(BASH)/%)
	rm -f $(PROGRAMS:%=$(DESTDIR)$(ZSH)/_%)
	rm -f $(PROGRAMS:%=$(DESTDIR)$(FISH)/%.fish)
	rm -rf $(DESTDIR)$(DATADIR)/dtn $(DESTDIR)$(BINDIR)/../lib/dtn

clean:
	rm -rf build

.PHONY: all always cuda check-cuda bench-cuda check check-long fuzz demo bench install uninstall clean \
	tests-built fuzz-built
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
