# Attacks on the running daemon, and the proofs that it bears them. Part of the Makefile.
.PHONY: badinputs torture
badinputs: installed-test ## COUNT=10000 mutated requests, SEED=1: each a 4xx, nothing left behind
	@$(BUILDING) all $(BUILD)/badinputs
	@COUNT=$(COUNT) SEED=$(SEED) $(BUILD)/badinputs

torture: installed-test ## each allocation and thread fails, under each request; STEP=17 a sample
	@$(BUILDING) all $(BUILD)/torture $(BUILD)/failing.so
	@STEP=$(STEP) $(BUILD)/torture

ATTACK := $(HARNESS) $(call objects,tests/torture/attack.c tests/torture/requests.c)
$(patsubst %,$(BUILD)/%,badinputs torture): $(BUILD)/%: $(ATTACK) $(BUILD)/tests/torture/%.o
	$(LINK) $(LIBS.tests) -ldeflate

# Inside the daemon, without a sanitizer: those have allocators of their own.
$(BUILD)/failing.so: tests/torture/shim.c tests/torture/control.h
	@mkdir -p $(@D)
	$(call say,LD) $(CC) $(CPPFLAGS) -std=gnu17 -O2 -Wall -Wextra -fPIC -fno-builtin -shared -o $@ $< -ldl
