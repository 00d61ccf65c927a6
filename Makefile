# `make help` says what there is. MODE picks how it is built: release, debug, asan, tsan,
# msan, cover or fuzz.
MODE   ?= release
CC     ?= cc
PREFIX ?= /usr/local
PORT   ?= 8080
# V=1 shows the whole commands.
say     = $(if $(V),,@echo "  $(1) $@" &&)
BUILD  := build/$(MODE)
# Sub-makes of the targets that install first: as many jobs as cores, unless -j says otherwise.
BUILDING = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

FLAGS.release := -O2
FLAGS.debug   := -Og -g
FLAGS.asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover
FLAGS.tsan    := -O1 -g -fsanitize=thread
FLAGS.cover   := -O0 -g --coverage
FLAGS.msan    := -O1 -g -fno-omit-frame-pointer -fsanitize=memory -fsanitize-memory-track-origins
FLAGS.fuzz    := -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover \
                 -fsanitize=fuzzer-no-link,address,undefined

# GCC's fake stack (detect_stack_use_after_return) misaligns locals that are vectors of 64 bytes.
%_avx512.o %/avx512.o: FLAGS.asan += --param asan-use-after-return=0

# What only x86-64 has is named where the compiler is for it, so that ARM builds, too.
X86 := $(filter x86_64-%,$(shell $(CC) -dumpmachine 2>/dev/null))
HARDEN.release := -D_FORTIFY_SOURCE=3 -fstack-clash-protection $(if $(X86),-fcf-protection)
CFLAGS   += -std=gnu17 $(FLAGS.$(MODE)) $(HARDEN.$(MODE)) -fstack-protector-strong -fPIE
CFLAGS   += -fno-math-errno -ffp-contract=off
CFLAGS   += -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla $(WERROR)
CPPFLAGS += -I. -MMD -MP -D_GNU_SOURCE
LDFLAGS  += $(filter -fsanitize% --coverage,$(FLAGS.$(MODE))) -pie -Wl,-z,relro,-z,now

# Each folder brings its own libraries: this is the layering, seen from the linker.
LIBS.core   := -lopenblas -lm -pthread
LIBS.api    := -lcjson -ldeflate
LIBS.server := -lmicrohttpd
LIBS.tests  := -lcmocka -lcurl -lpng -lcjson -lm

# What Debian 12 has of all this.
DEPS.build := gcc libc6-dev libmicrohttpd-dev libcjson-dev libopenblas-serial-dev libstb-dev \
              libdeflate-dev curl
DEPS.test  := $(DEPS.build) libcmocka-dev libcurl4-openssl-dev libpng-dev libonnx-testdata jq
DEPS.lint  := clang-format clang-tidy cppcheck
DEPS.fuzz  := $(DEPS.build) clang libclang-rt-14-dev llvm
DEPS.image := buildah debootstrap

objects = $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard $(1))))
CORE    := $(call objects,core/*.c core/engines/*.c core/kernels/*.c)
API     := $(call objects,api/*.c)
SERVER  := $(call objects,server/*.c)
HARNESS := $(call objects,tests/testing.c tests/http/harness.c tests/http/client.c)
TESTS   := $(BUILD)/unit $(BUILD)/http $(BUILD)/conformance
FUZZERS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
SOURCES := $(shell find core api server tests -name '*.[ch]' -o -name '*.inc' -o -name '*.def')

.SECONDARY:
.PHONY: all run test-web screenshots test-json demo test check lint format fuzz msan cover image test-image deps clean install man help
all: $(BUILD)/convolved ## build the daemon

run: installed-build ## install what is missing, build, serve on PORT (8080)
	@$(BUILDING) all
	@exec $(BUILD)/convolved --listen 127.0.0.1:$(PORT)

demo: installed-build ## one picture from start to PNG, and stop
	@$(BUILDING) all
	@tests/tools/demo.sh $(BUILD)/convolved build/demo

test: installed-test ## all tests that need no network; T='part of a name' picks some
	@$(BUILDING) all $(TESTS) $(FUZZERS:%=$(BUILD)/replay_%)
	@tests/run $(BUILD) '$(T)'

check: lint test ## the linters and the tests
lint: ## the format, the layers, the sizes, the linters; silent when all is well
	@tests/tools/lint.sh $(SOURCES)
	@$(BUILDING) MODE=release $(patsubst %,build/release/core/kernels/%.o,avx512 avx2)
	@tests/tools/spills.sh build/release

format: installed-lint ## rewrite the sources in the house's format
	clang-format -i $(filter %.c %.h,$(SOURCES))

fuzz: installed-fuzz ## MINUTES=1 of libFuzzer on each of tests/fuzz, or on FUZZERS
	@$(BUILDING) MODE=fuzz CC=clang $(FUZZERS:%=build/fuzz/fuzz_%)
	@tests/tools/fuzz.sh build/fuzz $(or $(MINUTES),1) $(FUZZERS)

# All but what libmicrohttpd calls: MemorySanitizer does not see into it.
SEEN = $(filter-out daemon,$(FUZZERS))
msan: installed-fuzz ## MemorySanitizer over their inputs and pictures, each harmed at HARM=60 places
	@$(BUILDING) MODE=msan CC=clang $(patsubst %,build/msan/replay_%,$(SEEN))
	@HARM=$(or $(HARM),60) tests/tools/msan.sh build/msan $(SEEN)

cover: installed-test ## run the tests, say which lines they reached
	@$(BUILDING) MODE=cover test
	@for isa in avx2 portable; do CONVOLVED_ISA=$$isa build/cover/unit '*every_exact*' >build/cover/log_$$isa; done
	@tests/tools/cover.sh build/cover

test-web: all ## the page in Debian's Chromium; playwright-core and axe-core come by npm
	@tests/tools/web.sh
screenshots: all ## the README's pictures of the page, made anew
	@tests/tools/web.sh screenshots
test-json: all ## JSONTestSuite, which npm fetches, against the daemon
	@tests/tools/json_suite.sh $(BUILD)/convolved build/json-suite

image: ## the container image; docker where there is an engine, else buildah
	@tests/tools/image.sh build
test-image: ## build it, run it as nobody with a read-only root, ask it for a convolution
	@tests/tools/image.sh test
install: all ## the daemon, its man page and its systemd unit under PREFIX (/usr/local)
	install -D $(BUILD)/convolved $(DESTDIR)$(PREFIX)/bin/convolved
	install -D -m 644 server/convolved.8 $(DESTDIR)$(PREFIX)/share/man/man8/convolved.8
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|/usr/local|$(PREFIX)|' server/convolved.service \
	    >$(DESTDIR)$(PREFIX)/lib/systemd/system/convolved.service
man: all ## write the options of --help into server/convolved.8 anew
	@tests/tools/man.sh $(BUILD)/convolved server/convolved.8 >$(BUILD)/convolved.8
	@cp $(BUILD)/convolved.8 server/convolved.8
clean: ## remove build/
	rm -rf build

# Installed by apt where something of a list is missing; nothing is ever removed for it.
deps: installed-test ## install what building and testing need
installed-%:
	@missing='$(filter-out $(shell dpkg-query -Wf '$${Package}=$${db:Status-Status} ' $(DEPS.$*) \
	    2>/dev/null | tr ' ' '\n' | sed -n 's/=installed$$//p'),$(DEPS.$*))'; \
	[ -z "$$missing" ] || tests/tools/install.sh $$missing

LINK = $(call say,LD) $(CC) $(LDFLAGS) -o $@ $^
$(BUILD)/convolved: $(SERVER) $(API) $(CORE)
	$(LINK) $(LIBS.server) $(LIBS.api) $(LIBS.core)
$(BUILD)/unit: $(call objects,tests/*.c tests/unit/*.c) $(API) $(CORE)
	$(LINK) $(LIBS.tests) $(LIBS.api) $(LIBS.core)
$(BUILD)/http: $(call objects,tests/*.c tests/http/*.c) $(CORE)
	$(LINK) $(LIBS.tests) $(LIBS.core)
$(BUILD)/conformance: $(HARNESS) $(call objects,tests/conformance/*.c)
	$(LINK) $(LIBS.tests)
# Fuzz targets may speak to all of the daemon, whose main has another name there.
FUZZED := $(BUILD)/tests/fuzz/daemon_main.o $(filter-out %/main.o,$(SERVER)) $(API) $(CORE)
LIBS.fuzz := $(LIBS.server) $(LIBS.api) $(LIBS.core)
ifeq ($(MODE),msan)
FUZZED  += $(BUILD)/tests/fuzz/border.o
LDFLAGS += -Wl,--wrap=libdeflate_zlib_decompress,--wrap=libdeflate_gzip_decompress_ex
LDFLAGS += -Wl,--wrap=libdeflate_zlib_compress,--wrap=cJSON_PrintPreallocated
endif
$(BUILD)/tests/fuzz/daemon_main.o: server/main.c Makefile
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(CPPFLAGS) $(CFLAGS) -Dmain=daemon_main -Wno-missing-prototypes -c -o $@ $<
$(BUILD)/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(FUZZED)
	$(LINK) $(LIBS.fuzz)
$(BUILD)/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(FUZZED)
	$(LINK) -fsanitize=fuzzer $(LIBS.fuzz)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC) $(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# Only a kernel's own file may use its instructions; what is picked at run time runs there.
KERNELS.release := -O3
# Unrolled kernels under every sanitizer at once take clang ten minutes; asan runs them instead.
KERNELS.fuzz    := -fno-sanitize=all \
                   -fno-sanitize-coverage=trace-pc-guard,inline-8bit-counters,trace-cmp,pc-table
KERNELS.msan    := '-DONCE(value)='
$(BUILD)/core/kernels/%.o: CFLAGS += $(KERNELS.$(MODE))
# Loops over pixels and numbers that the compiler turns into vectors at -O3 only.
$(patsubst %,$(BUILD)/api/%.o,png huffman encode_png encode_data floats_avx512): CFLAGS += -O3
ifneq ($(X86),)
$(BUILD)/core/kernels/avx512.o: CFLAGS += -mavx512f
$(BUILD)/core/kernels/avx2.o: CFLAGS += -mavx2 -mfma
$(BUILD)/api/base64_avx512.o: CFLAGS += -mavx512f -mavx512bw -mavx512vbmi
$(BUILD)/api/floats_avx512.o: CFLAGS += -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl \
                                       -mavx512vbmi -mavx512vbmi2 -mpopcnt
endif

# Embedded files, which the compiler does not see as included.
$(BUILD)/core/filters.o: core/learned96.i8
$(BUILD)/api/sample.o: api/cat.png
# The page as it is embedded: compressed now, and a digest for ETag.
ASSETS := $(filter-out %.md,$(wildcard server/web/*)) api/openapi.json
WEB    := $(BUILD)/web
$(WEB)/%.gz: server/web/%
	@mkdir -p $(@D) && gzip -9nc $< >$@
$(WEB)/%.gz: api/%
	@mkdir -p $(@D) && gzip -9nc $< >$@
$(WEB)/tag: $(ASSETS)
	@mkdir -p $(@D) && cat $^ | sha256sum | head -c 16 >$@
$(BUILD)/server/assets.o: CPPFLAGS += -DWEB='"$(WEB)"'
$(BUILD)/server/assets.o: $(WEB)/tag $(ASSETS) $(patsubst %,$(WEB)/%.gz,$(notdir $(ASSETS)))

# stb_image is a guest: unused parts are not ours to warn about, its stack starts as zeros, and
# corrupt pictures make its sums wrap and its shifts fall out: harmless, so not trapped.
GUEST.asan := -fno-sanitize=shift,signed-integer-overflow
GUEST.msan := -enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang
GUEST.fuzz := $(GUEST.asan) $(GUEST.msan)
$(BUILD)/api/stb.o: CFLAGS += -ftrivial-auto-var-init=zero -fwrapv $(GUEST.$(MODE)) -w

help: ## say this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include tests/bench/bench.mk tests/torture/torture.mk
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
