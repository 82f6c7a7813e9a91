# Official SDKs against the real binary, with an independent mock as upstream. See tests/conformance/README.md.
.PHONY: conformance-self

conformance-self: ## The conformance suite against its own mock, without a gateway
	CONFORMANCE_BASE_URL=direct bash tests/conformance/run.sh
