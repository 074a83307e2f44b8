# `make help` lists the targets. PG_CONFIG names the Postgres to build for; left out, it is the newest installed one.

export PG_CONFIG
ifeq ($(PG_CONFIG),)
unexport PG_CONFIG
endif

.DEFAULT_GOAL := help
.PHONY: help setup build stage demo demo-stop test bench bench-search bench-peers bench-quality test-corpus sanitize fuzz chaos sqlsmith install lint freeze-release clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | expand -t 12

setup: ## Bring what is missing on this machine: Postgres with headers, toolchain, pgvector, cargo-pgrx
	@pgvector_setup/install

build: stage ## Build everything (debug profile)

stage: setup ## Install into a private copy of Postgres under target/, which tests and demo run from
	@tools/install-extension

demo: stage ## Import a board of a local Pinterest and rank venues against it (KEEP=1 leaves all running)
	@tools/demo

demo-stop: ## Stop a demo that was left running
	@tools/demo stop

test: ## Run every test
	@pgvector_setup/install --with-tests
	@tools/test

bench: setup ## Print the figures of imports and embeddings (release profile)
	@tools/bench

bench-search: setup ## Print the figures of recommendations among 100,000 venues (release profile)
	@tools/bench search

bench-peers: ## Compare the model with other engines (QUICK=1 for one round; brings 3 GB of Python packages once)
	@tests/peers/run

bench-quality: setup ## Print how good recommendations are where it is known what is right (docs/quality.md)
	@tools/bench-quality

test-corpus: ## Compare the image decoder with Pillow on all pictures below DIR (brings Pillow once)
	@tools/test-corpus "$(DIR)"

sanitize: ## Run the tests of the vector kernels under AddressSanitizer (builds everything once more)
	@tools/sanitize

fuzz: ## Fuzz everything that parses foreign bytes for MINUTES=10 in all (builds once more, instrumented)
	@MINUTES=$(or $(MINUTES),10) tools/fuzz

chaos: stage ## Kill, lock, fill and confuse a server for MINUTES=10, then look at what must hold (SEED=1)
	@MINUTES=$(MINUTES) SEED=$(SEED) tools/machine chaos

sqlsmith: stage ## Random SQL by SQLsmith for MINUTES=10 as a role of level user (SEED=1)
	@MINUTES=$(MINUTES) SEED=$(SEED) tools/machine sqlsmith

install: setup ## Build for use and install into the Postgres that PG_CONFIG names
	@tools/install-release

lint: setup ## Check formatting, lints and the files of releases
	@tools/lint

freeze-release: setup ## Freeze the SQL of a release (VERSION=0.1.0); CONTRIBUTING.md has the steps around it
	@tools/freeze-release "$(VERSION)"

clean: ## Remove what was built, staged and left running
	@tools/demo stop
	@tools/remove-runtime-directories
	cargo clean
