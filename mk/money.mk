# make money [MONEY_KILLS=50]: the long proofs about money. The short ones are part of `make test`.
.PHONY: money money-memory

MONEY_KILLS ?= 50

money: money-memory ## The ledger against the provider's own bill over 50 kills, and memory
	MONEY_KILLS=$(MONEY_KILLS) cargo test -p bifrost --test money lives::

money-memory: ## A million virtual keys in a gigabyte
	cargo test --release -p bifrost --test money memory:: -- --ignored --nocapture --test-threads 1
