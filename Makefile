# `make help` says what there is. MODE picks how it is built: release, debug, asan or tsan.
MODE   ?= release
CC     ?= cc
PREFIX ?= /usr/local
BUILD  := build/$(MODE)
PORT   ?= 8080

FLAGS.release := -O2
FLAGS.debug   := -Og -g
FLAGS.asan    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover
FLAGS.tsan    := -O1 -g -fsanitize=thread

HARDEN.release := -D_FORTIFY_SOURCE=3 -fstack-clash-protection -fcf-protection
CFLAGS   += -std=gnu17 $(FLAGS.$(MODE)) $(HARDEN.$(MODE)) -fstack-protector-strong -fPIE
CFLAGS   += -fno-math-errno -ffp-contract=off
CFLAGS   += -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla $(WERROR)
CPPFLAGS += -I. -MMD -MP -D_GNU_SOURCE
LDFLAGS  += $(filter -fsanitize%,$(FLAGS.$(MODE))) -pie -Wl,-z,relro,-z,now

# Each folder brings its own libraries: this is the layering, seen from the linker.
LIBS.core   := -lopenblas -lm -pthread
LIBS.api    := -lcjson -ldeflate
LIBS.server := -lmicrohttpd
LIBS.tests  := -lcmocka -lcurl -lpng

# What Debian 12 has of all this.
DEPS.build := gcc libc6-dev libmicrohttpd-dev libcjson-dev libopenblas-serial-dev libstb-dev \
              libdeflate-dev
DEPS.test  := libcmocka-dev libcurl4-openssl-dev libpng-dev libonnx-testdata curl jq

objects = $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard $(1))))
CORE    := $(call objects,core/*.c core/engines/*.c core/kernels/*.c)
API     := $(call objects,api/*.c)
SERVER  := $(call objects,server/*.c)
UNIT    := $(call objects,tests/testing.c tests/unit/*.c)
HTTP    := $(call objects,tests/testing.c tests/http/*.c)
SOURCES := $(shell find core api server tests -name '*.[ch]' -o -name '*.inc' -o -name '*.def')

.PHONY: all run demo test check lint format bench image deps clean install help
all: $(BUILD)/convolved ## build the daemon

$(BUILD)/convolved: $(SERVER) $(API) $(CORE)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS.server) $(LIBS.api) $(LIBS.core)

$(BUILD)/unit: $(UNIT) $(API) $(CORE)
	$(CC) $(LDFLAGS) -o $@ $^ $(LIBS.tests) $(LIBS.api) $(LIBS.core)

$(BUILD)/http: $(HTTP) $(BUILD)/convolved
	$(CC) $(LDFLAGS) -o $@ $(HTTP) $(LIBS.tests) -lcjson -lm

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c -o $@ $<

# stb_image is a guest: unused parts are not ours to warn about, its stack starts as zeros.
$(BUILD)/api/stb.o: CFLAGS += -ftrivial-auto-var-init=zero -w

clean: ## remove build/
	rm -rf build

help: ## say this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
