# make chaos [CHAOS_SECONDS=1800] [CHAOS="--callers 200 --seed 7"]: the soak. See load-tests/README.md.
.PHONY: chaos chaos-control

CHAOS ?=
CHAOS_SECONDS ?= 1800

chaos: ## Half an hour of faults at random, every answer checked (CHAOS_SECONDS=120 for less)
	cargo build --release -p bifrost -p load-tests --bins
	$(CARGO_TARGET_DIR)/release/chaos --gateway $(CARGO_TARGET_DIR)/release/bifrost --seconds $(CHAOS_SECONDS) \
		--json load-tests/results/chaos.json $(CHAOS)

chaos-control: ## The same without a gateway: the checks must find broken answers
	cargo build --release -p load-tests --bins
	! $(CARGO_TARGET_DIR)/release/chaos --direct yes --seconds 20 --json load-tests/results/chaos-control.json $(CHAOS)
