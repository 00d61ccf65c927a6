# Measurements and the long proofs, with the rivals that only they link. Part of the Makefile.
DEPS.codecs := $(DEPS.build) g++ libpng-dev libspng-dev
DEPS.bench  := $(DEPS.build) libdnnl-dev

.PHONY: bench bench-limits bench-codecs bench-http exhaustive
bench: installed-bench ## layers against oneDNN and im2col; LAYERS=file.csv, JSON=1
	@$(BUILDING) $(BUILD)/bench_conv
	@env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE OMP_NUM_THREADS=1 $(BUILD)/bench_conv $(LAYERS)

bench-limits: installed-bench ## workspace, time by picture size, how soon a stopped layer ends; WORKERS=n
	@$(BUILDING) $(BUILD)/bench_limits
	@$(BUILD)/bench_limits

bench-codecs: installed-codecs ## numbers and PNG against cJSON, sprintf, stb, libspng, libdeflate
	@$(BUILDING) $(BUILD)/bench_codecs
	@$(BUILD)/bench_codecs

bench-http: installed-build ## the textbook layer over HTTP; JSON=1, SECONDS=1, RIVAL=node for a rival
	@$(BUILDING) $(BUILD)/bench_http all
	@$(if $(RIVAL),RIVAL="$$(tests/bench/rival_node.sh)") $(BUILD)/bench_http $(BUILD)/convolved

exhaustive: installed-codecs ## all 2^32 floats as text, all small PNGs (minutes); STEP=1000 a sample
	@$(BUILDING) $(BUILD)/exhaustive $(BUILD)/exhaustive_pngs
	@$(BUILD)/exhaustive $(STEP)
	@$(BUILD)/exhaustive_pngs $(STEP)

# oneDNN is a rival where it is installed (libdnnl-dev), never a part of the daemon.
$(BUILD)/bench_conv: $(filter-out %_codecs.o %_http.o %_limits.o,$(call objects,tests/bench/*.c)) $(CORE)
	$(LINK) $(LIBS.core) $(if $(wildcard /usr/include/dnnl.h),-ldnnl)
$(BUILD)/bench_limits: $(BUILD)/tests/bench/bench_limits.o $(BUILD)/tests/bench/rivals.o $(CORE)
	$(LINK) $(LIBS.core) $(if $(wildcard /usr/include/dnnl.h),-ldnnl)
$(BUILD)/bench_codecs: $(call objects,tests/bench/*_codecs.c) $(API) $(CORE)
	$(LINK) -lspng $(LIBS.api) $(LIBS.core)
$(BUILD)/bench_http: $(call objects,tests/bench/*_http.c)
	$(LINK)
$(BUILD)/tests/bench/%.o: CFLAGS += -O3

$(BUILD)/exhaustive: tests/exhaustive/floats.cpp $(API) $(CORE)
	$(call say,LD) $(CXX) -std=c++17 -O2 -Wall -Wextra -I. $(LDFLAGS) -o $@ $^ $(LIBS.api) $(LIBS.core)
$(BUILD)/exhaustive_pngs: $(BUILD)/tests/exhaustive/pngs.o $(API) $(CORE)
	$(LINK) -lpng -lspng $(LIBS.api) $(LIBS.core)
