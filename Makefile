# `make help` lists the targets. PG_CONFIG names the Postgres to build for, and PG a major version of it, which is taken where it
# can be had (tools/with-postgres). By default it is the newest one installed.

export PG_CONFIG
ifeq ($(PG_CONFIG),)
unexport PG_CONFIG
endif

.DEFAULT_GOAL := help

ifneq ($(filter-out help clean test-all,$(if $(PG),$(or $(MAKECMDGOALS),help))),)

# `make install` is for this machine's servers, and packages are made for Debian's.
ways_of_install := --here
ways_of_package := --packaged
ways_of_extension-image-tree := --packaged
.PHONY: $(MAKECMDGOALS)
$(MAKECMDGOALS):
	@tools/with-postgres $(ways_of_$@) "$(PG)" -- $(MAKE) --no-print-directory PG= $@

else

.PHONY: help setup build stage demo demo-stop example test test-all test-crates test-postgres test-e2e test-citus bench bench-search bench-tracking bench-queue bench-board bench-scale bench-peers bench-embedders bench-quality test-corpus test-amx sanitize fuzz chaos sqlsmith install package test-package extension-image-tree lint check-arm64 freeze-release clean

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1	/p' Makefile | expand -t 23
	@echo
	@echo "PG=17 chooses a major version of Postgres: make test PG=17, make build PG=18, make install PG=16"

setup: ## Install what is missing: Postgres with headers, toolchain, pgvector, cargo-pgrx
	@pgvector_setup/install

build: stage ## Build everything (debug profile)

stage: setup ## Install into a private copy of Postgres under target/, used by tests and demo
	@tools/install-extension

demo: stage ## Import a board from a local Pinterest and rank venues by it (KEEP=1 leaves it running)
	@tools/demo

demo-stop: ## Stop a demo that was left running
	@tools/demo stop

example: ## Run the web application of examples/venue-app against a demo that was left running (KEEP=1)
	@tools/example

test: ## Run all tests, formatting and lints included
	@pgvector_setup/install --with-tests
	@tools/test

test-all: ## Run all tests on the default major version of Postgres, and those that depend on it on the others
	@pgvector_setup/install --with-tests
	@tools/test-all

test-crates: ## Run the tests of the crates, which need no Postgres
	@tools/test crates

test-postgres: setup ## Run the tests inside Postgres
	@tools/test postgres

test-e2e: ## Run the end-to-end tests (FILTER=name for those whose names contain it)
	@pgvector_setup/install --with-tests
	@tools/test e2e $(FILTER)

test-citus: ## Run the end-to-end tests beside Citus, if the server has it (CITUS_PG_CONFIG names another one that has)
	@pgvector_setup/install --with-tests
	@tools/test citus

bench: setup ## Print figures of imports and embeddings (release profile)
	@tools/bench

bench-search: setup ## Print figures of recommendations among 100,000 venues (release profile)
	@tools/bench search

bench-tracking: setup ## Print what tracking adds to bulk statements (release profile)
	@tools/bench tracking

bench-queue: setup ## Print how soon an import is claimed behind QUEUED=100000 others (release profile)
	@QUEUED=$(QUEUED) tools/bench queue

bench-board: setup ## Print time and memory of the import of a board of PINS=20000 pins (release profile)
	@PINS=$(PINS) tools/bench board

bench-scale: setup ## Print statements, views and VACUUM with ACCOUNTS=100000 and PINS=10000000 (release profile; 8 GB of disk)
	@ACCOUNTS=$(ACCOUNTS) PINS=$(PINS) tools/bench scale

bench-peers: ## Compare the model with other engines (QUICK=1 for one round; installs 3 GB of Python packages once)
	@tests/peers/run

bench-embedders: ## Print how work is spread over 1 to 8 embedders of other machines (a fixed time per image)
	@tools/bench embedders

bench-quality: setup ## Measure the quality of recommendations against known answers (docs/quality.md)
	@tools/bench-quality

test-corpus: ## Compare the image decoder with Pillow on all images below DIR (installs Pillow once)
	@tools/test-corpus "$(DIR)"

test-amx: ## Run the tests of the kernels for AMX on an emulated processor
	@tools/test-amx

sanitize: ## Run the tests of the vector kernels under AddressSanitizer (separate build)
	@tools/sanitize

fuzz: ## Fuzz the parsers of foreign bytes for MINUTES=10 in all (separate, instrumented build)
	@MINUTES=$(or $(MINUTES),10) tools/fuzz

chaos: stage ## Kill, lock and fill up a server at random for MINUTES=10 and check the invariants (SEED=1)
	@MINUTES=$(MINUTES) SEED=$(SEED) tools/machine chaos

sqlsmith: stage ## Run random SQL from SQLsmith for MINUTES=10 as a role of level user (SEED=1)
	@MINUTES=$(MINUTES) SEED=$(SEED) tools/machine sqlsmith

install: setup ## Build for use and install into the Postgres that PG_CONFIG names
	@tools/install-release

package: setup ## Make the Debian package for PG=17 in target/packages (PROFILE=debug for one without optimisation)
	@tools/package

test-package: ## Make, install, upgrade and remove the package in new installations of Debian 13 (needs root)
	@tests/package/run

extension-image-tree: setup ## Lay out the files for an extension image of PG=18 in target/extension-image
	@tools/extension-image-tree

lint: setup ## Check formatting, lints and the files of releases
	@tools/lint

check-arm64: setup ## Compile for 64-bit ARM, and run the model's golden tests in an emulator
	@tools/check-arm64

freeze-release: setup ## Freeze the SQL of a release (VERSION=0.1.0); CONTRIBUTING.md has the steps around it
	@tools/freeze-release "$(VERSION)"

clean: ## Stop a demo and remove everything that was built
	@tools/demo stop
	@tools/runtime-dir --remove
	cargo clean

endif
