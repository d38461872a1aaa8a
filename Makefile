# Thin: Meson builds, .ci/setup installs what is missing, tests/run tests. `make` alone lists the targets.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export CCACHE_SLOPPINESS := pch_defines,time_macros,include_file_mtime,include_file_ctime

SEEDS ?= 1..1000
SCENARIO ?= leader_kill
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

.PHONY: build
build: install-deps ## build/stormglassd, build/stormglass, build/tests/wire_echo
	@$(call meson_build,build,)

.PHONY: test
test: build ## Every test; the last line is "N passed, N failed"
	@tests/run build

.PHONY: debug
debug: install-deps ## Unit tests without optimisation, in build-debug
	@$(call meson_build,build-debug,--buildtype=debug)
	@tests/run build-debug unit

.PHONY: clang
clang: install-deps ## Unit tests built with clang 19, without precompiled headers, warnings as errors, in build-clang
	@$(call meson_build,build-clang,-Db_pch=false --werror,CC=clang-19 CXX=clang++-19)
	@tests/run build-clang unit

.PHONY: asan
asan: install-deps ## Unit tests under AddressSanitizer and UndefinedBehaviorSanitizer, in build-asan
	@$(call meson_build,build-asan,-Db_sanitize=address$(comma)undefined -Db_lundef=false)
	@tests/run build-asan unit

.PHONY: fuzz
fuzz: install-deps ## Fuzzes each family of decoders for FUZZ_SECONDS=600 with clang 19's libFuzzer, two at a time, in build-fuzz
	@{ [ -f build-fuzz/build.ninja ] || CC=clang-19 CXX=clang++-19 meson setup build-fuzz -Dfuzz=true -Db_pch=false -Db_lundef=false \
	  -Doptimization=1 >build-fuzz.log 2>&1 || { cat build-fuzz.log; exit 1; }; rm -f build-fuzz.log; } && \
	echo "building in build-fuzz/"; ninja -C build-fuzz --quiet fuzz && tests/fuzz/run build-fuzz $(FUZZ_SECONDS)

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
	@rm -rf build build-debug build-clang build-asan build-fuzz run

comma := ,
sources = $(shell find base net disk broker sim scenarios tests -name '*.h' -o -name '*.cc')

# $(1) build directory, $(2) options of its first configuration, $(3) its compiler. Quiet unless something goes wrong or a person watches.
define meson_build
{ [ -f $(1)/build.ninja ] || $(3) meson setup $(1) $(2) >$(1).log 2>&1 || { cat $(1).log; exit 1; }; rm -f $(1).log; } && \
if [ -t 1 ]; then ninja -C $(1); else echo "building in $(1)/"; ninja -C $(1) --quiet; fi
endef
