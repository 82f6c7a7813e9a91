# Upgrades under load: see tests/upgrade and docs/upgrades.md.
.PHONY: upgrade-test upgrade-test-systemd

UPGRADE_SIZE := UPGRADE_STREAMS=1000 UPGRADE_TIMES=5 UPGRADE_WORDS=10 UPGRADE_WORD_MILLIS=1200

upgrade-test: tools ## 1,000 open streams and a request loop while the binary is replaced five times
	$(UPGRADE_SIZE) cargo test -p bifrost --test upgrade -- --nocapture --test-threads 1

upgrade-test-systemd: tools ## The same with the unit of deploy/systemd under a systemd of its own (Linux, root)
	built="$$(cargo test -p bifrost --test upgrade --no-run 2>&1 | tee /dev/stderr | sed -nE 's/.*Executable .*\((.*)\)/\1/p')" && \
		$(UPGRADE_SIZE) bash tests/upgrade/systemd.sh "$$built"
