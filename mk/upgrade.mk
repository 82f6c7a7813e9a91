# Upgrades under load: see tests/upgrade and docs/upgrades.md.
.PHONY: upgrade-test upgrade-test-systemd

UPGRADE_SIZE := UPGRADE_STREAMS=1000 UPGRADE_TIMES=5 UPGRADE_WORDS=20 UPGRADE_WORD_MILLIS=600

upgrade-test: tools ## 1,000 open streams and a request loop while the binary is replaced five times
	$(UPGRADE_SIZE) cargo test -p bifrost --test upgrade -- --nocapture --test-threads 1

upgrade-test-systemd: tools ## The same with the unit of deploy/systemd under a systemd of its own (Linux, root)
	$(UPGRADE_SIZE) bash tests/upgrade/systemd.sh "$$(cargo test -p bifrost --test upgrade --no-run --message-format short 2>&1 \
		| sed -nE 's/.*Executable .*\((.*)\)/\1/p')"
