# Attacks on the running daemon, and the proofs that it bears them. Part of the Makefile.
.PHONY: badinputs
badinputs: installed-test ## COUNT=10000 mutated requests, SEED=1: each a 4xx, nothing left behind
	@$(BUILDING) all $(BUILD)/badinputs
	@COUNT=$(COUNT) SEED=$(SEED) $(BUILD)/badinputs

ATTACK := $(HARNESS) $(call objects,tests/torture/attack.c tests/torture/requests.c)
$(BUILD)/badinputs: $(ATTACK) $(BUILD)/tests/torture/badinputs.o
	$(LINK) $(LIBS.tests) -ldeflate
