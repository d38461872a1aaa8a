# Thin: Meson builds, .ci/setup installs what is missing, tests/run tests. `make` alone lists the targets.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export CCACHE_SLOPPINESS := pch_defines,time_macros,include_file_mtime,include_file_ctime

SEEDS ?= 1..1000
SCENARIO ?= leader_kill
PORTABLE_SEEDS ?= 1..200
SCORE_SEEDS ?= 1..100
FUZZ_SECONDS ?= 600

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## The main job: 1,000 simulated leader kills, then three real nodes whose leader is killed
	@build/stormglass sweep leader_kill --seeds 1..1000
	@scenarios/main_job

.PHONY: cluster
cluster: build ## Three nodes on 127.0.0.1:9092-9094 with data under ./run, until Ctrl-C
	@scenarios/cluster_demo

.PHONY: sweep
sweep: build ## Many seeds of one scenario: SCENARIO=leader_kill SEEDS=1..1000
	@build/stormglass sweep $(SCENARIO) --seeds $(SEEDS)

.PHONY: campaign
campaign: build ## Every scenario over the same seeds, as tables: SEEDS=1..100
	@build/stormglass campaign --seeds $(if $(filter command line,$(origin SEEDS)),$(SEEDS),1..100)

.PHONY: bench
bench: build ## Measures the broker on this machine, five minutes (single rows: bench/run NAME...)
	@bench/run

.PHONY: mutants
mutants: install-deps ## Plants known bugs one after the other, and sees to it that the simulator finds each
	@tests/mutants/run

.PHONY: score
score: build ## Writes docs/SCORE.md: a campaign over SCORE_SEEDS=1..100, and what was found of the planted bugs
	@tests/score $(SCORE_SEEDS)

.PHONY: build
build: install-deps ## build/stormglassd, build/stormglass, build/tests/wire_echo
	@$(call meson_build,build,)

.PHONY: test
test: build ## Every test; the last line is "N passed, N failed"
	@tests/run build

.PHONY: debug
debug: install-deps ## Unit tests with hardly any optimisation and with the library's assertions, in build-debug
	@$(call meson_build,build-debug,$(debug_options))
	@tests/run build-debug unit

.PHONY: clang
clang: install-deps ## Unit tests built with clang 19, without precompiled headers, warnings as errors, in build-clang
	@.ci/setup clang
	@$(call meson_build,build-clang,$(clang_options),$(clang_compiler))
	@tests/run build-clang unit

.PHONY: asan
asan: install-deps ## Unit tests under AddressSanitizer and UndefinedBehaviorSanitizer, in build-asan
	@$(call meson_build,build-asan,$(asan_options))
	@UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 tests/run build-asan unit

.PHONY: portability
portability: build ## The same seeds in g++, debug, clang 19 and sanitizer builds: equal hashes, clean sanitizers. PORTABLE_SEEDS=1..200
	@.ci/setup clang
	@$(call meson_build,build-debug,$(debug_options),,stormglass)
	@$(call meson_build,build-clang,$(clang_options),$(clang_compiler),stormglass)
	@$(call meson_build,build-asan,$(asan_options),,stormglass)
	@tests/portability $(PORTABLE_SEEDS) build build-debug build-clang build-asan

.PHONY: fuzz
fuzz: install-deps ## Fuzzes each family of decoders for FUZZ_SECONDS=600 with clang 19's libFuzzer, two at a time, in build-fuzz
	@.ci/setup clang
	@$(call meson_build,build-fuzz,$(fuzz_options),$(clang_compiler),fuzz)
	@tests/fuzz/run build-fuzz $(FUZZ_SECONDS)

.PHONY: lint
lint: install-deps ## Architecture and style rules, and formatting
	@tests/tidy_test
	@clang-format --dry-run --Werror $(sources)

.PHONY: format
format: ## Formats every C++ file with clang-format
	@clang-format -i $(sources)

.PHONY: install-deps
install-deps: ## Installs missing Debian packages, as root or through sudo
	@.ci/setup

.PHONY: clean
clean: ## Removes all build directories and the local cluster's data
	@rm -rf build build-debug build-clang build-asan build-fuzz build-mutants run

comma := ,
sources = $(shell find base net disk broker sim scenarios bench tests -name '*.h' -o -name '*.cc')

debug_options = --buildtype=debug -Doptimization=g -Dcpp_args=-D_GLIBCXX_ASSERTIONS
clang_options = -Db_pch=false --werror
clang_compiler = CC=clang-19 CXX=clang++-19
fuzz_options = -Dfuzz=true -Db_pch=false -Db_lundef=false -Doptimization=1
asan_options = -Db_sanitize=address$(comma)undefined -Db_lundef=false -Doptimization=1 -Dcpp_args=-fno-var-tracking

# $(1) build directory, $(2) options of its first configuration, $(3) its compiler, $(4) what to build, all if empty. Quiet unless something
# goes wrong or a person watches.
define meson_build
{ [ -f $(1)/build.ninja ] || $(3) meson setup $(1) $(2) >$(1).log 2>&1 || { cat $(1).log; exit 1; }; rm -f $(1).log; } && \
if [ -t 1 ]; then ninja -C $(1) $(4); else echo "building in $(1)/"; ninja -C $(1) --quiet $(4); fi
endef
