# Attacks on the running daemon, and the proofs that it bears them. Part of the Makefile.
.PHONY: badinputs bombs foreign torture crash
badinputs: installed-test ## COUNT=10000 mutated requests, SEED=1: each a 4xx, nothing left behind
	@$(BUILDING) all $(BUILD)/badinputs
	@COUNT=$(COUNT) SEED=$(SEED) $(BUILD)/badinputs

bombs: installed-test ## small requests that want to be large: within budget and deadline + 20 ms
	@$(BUILDING) all $(BUILD)/bombs
	@$(BUILD)/bombs

foreign: installed-test ## COUNT=5000 corrupt pictures: no byte of another request in a reply
	@$(BUILDING) all $(BUILD)/foreign
	@COUNT=$(COUNT) SEED=$(SEED) $(BUILD)/foreign

torture: installed-test ## each allocation and thread fails, under each request; STEP=17 a sample
	@$(BUILDING) all $(BUILD)/torture $(BUILD)/failing.so
	@STEP=$(STEP) $(BUILD)/torture

crash: installed-test ## SIGKILL at COUNT=500 instants of layer uploads, SEED=1: nothing acknowledged is lost
	@$(BUILDING) all $(BUILD)/crash
	@COUNT=$(COUNT) SEED=$(SEED) $(BUILD)/crash

ATTACK := $(HARNESS) $(call objects,tests/torture/attack.c tests/torture/requests.c)
$(patsubst %,$(BUILD)/%,badinputs foreign torture crash): $(BUILD)/%: $(ATTACK) $(BUILD)/tests/torture/%.o
	$(LINK) $(LIBS.tests) -ldeflate
$(BUILD)/bombs: $(ATTACK) $(call objects,tests/torture/bombs.c tests/unit/bombs.c)
	$(LINK) $(LIBS.tests) -ldeflate

# Inside the daemon, without a sanitizer: those have allocators of their own.
$(BUILD)/failing.so: tests/torture/shim.c tests/torture/control.h
	@mkdir -p $(@D)
	$(call say,LD) $(CC) $(CPPFLAGS) -std=gnu17 -O2 -Wall -Wextra -fPIC -fno-builtin -shared -o $@ $< -ldl

# What behind_haproxy and promtool need; they say NOT RUN where it is missing.
DEPS.proxies := haproxy nginx-light prometheus

# Promises 8 to 11, 14 and the second half of 7. The long forms are what is run without a number.
.PHONY: endurance slow overload abort stall drain
$(BUILD)/endure: $(HARNESS) $(call objects,tests/torture/attack.c tests/torture/endure.c \
    tests/torture/slow.c tests/torture/overload.c tests/torture/gone.c tests/torture/proxies.c) \
    $(BUILD)/tests/bench/load_http.o
	$(LINK) $(LIBS.tests)
ENDURE = @SLOW=$(SLOW) SECONDS=$(SECONDS) ABORTS=$(ABORTS) READY=$(READY) RESTARTS=$(RESTARTS) \
    $(BUILD)/endure
endurance: installed-test
	@$(BUILDING) all $(BUILD)/endure
slow: endurance ## SLOW=2000 connections that drip or do not read, beside healthy ones
	$(ENDURE) '*slow_connections*'
overload: endurance ## ten times more than can be done, for SECONDS=20
	$(ENDURE) '*overload*'
abort: endurance ## ABORTS=1000 clients that leave at any moment
	$(ENDURE) '*that_leave*'
stall: endurance ## all numbers from 1 to 300 of connections ready at once; READY=20 of them
	$(ENDURE) '*ready_at_once*'
drain: endurance ## RESTARTS=20 of two replicas behind haproxy and nginx; no request is lost or mixed up
	$(ENDURE) '*behind_haproxy*'
