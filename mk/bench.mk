# make bench [BENCH="--quick"]: what the gateway costs, against nginx and a bare Pingora.
# See load-tests/README.md.
.PHONY: bench bench-quick bench-compare

BENCH ?=

## bench: measure the gateway's overhead (BENCH="--quick --pin split" and the like for options)
bench:
	@python3 load-tests/bench.py $(BENCH)

## bench-quick: the same in under a minute
bench-quick:
	@python3 load-tests/bench.py --quick $(BENCH)

## bench-compare: compare two results, OLD=… NEW=…
bench-compare:
	@python3 load-tests/compare.py "$(or $(OLD),load-tests/baseline.json)" "$(NEW)"
