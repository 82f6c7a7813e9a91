# `make run` and `make test` do all the set-up on a fresh machine with Rust and Node.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/bifrost-target

.DEFAULT_GOAL := help

.PHONY: help run test check unit conformance build release tools clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: tools ## Build and start the gateway on :8080
	@echo "Building; the first time takes some minutes."
	cargo build
	exec $(CARGO_TARGET_DIR)/debug/bifrost --log-style pretty $(ARGS)

test: check unit conformance ## Everything CI runs

check: tools ## Formatting, lints, file and function sizes
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	python3 .ci/sizes.py

unit: tools ## The Rust tests, with a minute of fuzzing
	BIFROST_FUZZ_SECONDS=12 cargo test --workspace

conformance: build ## The official SDKs against the binary
	BIFROST_BIN=$(CARGO_TARGET_DIR)/debug/bifrost bash tests/conformance/run.sh

build: tools
	cargo build

release: tools ## The binary that is shipped
	cargo build --release

tools:
	@bash .ci/tools.sh

clean: ## Remove what was built
	cargo clean

include $(wildcard mk/*.mk)
