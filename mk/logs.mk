# make logs-10m [LOGS_FILE=…]: a request log of ten million requests, and what it answers how fast.
.PHONY: logs-10m logs-1m

LOGS_FILE ?= $(CARGO_TARGET_DIR)/request-log-bench.db

logs-10m: ## Fill a request log with ten million requests and measure what it answers (about 10 GB)
	cargo bench -p bifrost --bench request_log -- --rows 10000000 --file $(LOGS_FILE)

logs-1m: ## The same with one million
	cargo bench -p bifrost --bench request_log -- --rows 1000000 --file $(LOGS_FILE)-1m
