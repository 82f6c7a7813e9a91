#!/bin/sh
# The whole conformance run: install, Python SDKs and coding agents, frameworks, Node SDKs, then the negative control.
# Exit code 0 only if all pass.
#
#   BIFROST_BIN=target/release/bifrost tests/conformance/run.sh [pytest arguments]
#   CONFORMANCE_BASE_URL=direct tests/conformance/run.sh     checks the suite itself against the mock, without a gateway
set -u

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
if [ -z "${BIFROST_BIN:-}${CONFORMANCE_BASE_URL:-}" ]; then
    echo "conformance: set BIFROST_BIN to the gateway's binary" >&2
    exit 3
fi
if [ -n "${BIFROST_BIN:-}" ]; then
    [ -x "$BIFROST_BIN" ] || { echo "conformance: $BIFROST_BIN is not an executable file" >&2; exit 3; }
    BIFROST_BIN=$(CDPATH='' cd -- "$(dirname -- "$BIFROST_BIN")" && pwd)/$(basename -- "$BIFROST_BIN")
    export BIFROST_BIN
fi

CONFORMANCE_CACHE=$("$here/install.sh") || exit $?
export CONFORMANCE_CACHE
export PYTHONDONTWRITEBYTECODE=1
python="$CONFORMANCE_CACHE/venv/bin/python"
cd "$here" || exit 3

failed=""
echo "== Python SDKs"
"$python" -m pytest -p no:cacheprovider -q --tb=short -rf "$@" || failed="$failed python"
for group in frameworks/*/; do
    group=$(basename "$group")
    echo "== Python frameworks: $group"
    "$CONFORMANCE_CACHE/frameworks/$group/bin/python" -m pytest -p no:cacheprovider -q --tb=short -rf "frameworks/$group" "$@"
    status=$?
    # 5: the arguments chose none of these tests.
    [ "$status" -eq 0 ] || { [ "$status" -eq 5 ] && [ $# -gt 0 ]; } || failed="$failed $group"
done
echo "== Node SDKs"
"$python" stack.py "$CONFORMANCE_CACHE/node/node" --test --test-reporter=dot --test-reporter-destination=stdout \
    --test-reporter="$here/node/closing-lines.mjs" --test-reporter-destination=stdout node/*.test.mjs || failed="$failed node"
echo "== Negative control"
"$python" negative_control.py || failed="$failed negative-control"

if [ -n "$failed" ]; then
    echo "conformance: FAILED:$failed" >&2
    exit 1
fi
echo "conformance: all passed"
