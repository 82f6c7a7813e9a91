#!/usr/bin/env bash
# What a build needs besides Rust. Installs what it can, says how to get the rest.
set -euo pipefail

missing() {
    echo "missing: $1. $2" >&2
    exit 1
}

# Installs a system package when that is possible without asking.
install() {
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        echo "installing $1 (apt-get)"
        apt-get install -y -qq "$1" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq "$1" >/dev/null; }
    elif command -v brew >/dev/null; then
        echo "installing $1 (brew)"
        brew install --quiet "$1"
    else
        missing "$1" "Install it with your package manager (Debian: sudo apt-get install $1; macOS: brew install $1)"
    fi
}

command -v cargo >/dev/null || missing "Rust" "See https://rustup.rs"
command -v cc >/dev/null || install gcc
# zlib-ng, which Pingora needs, is built with cmake.
command -v cmake >/dev/null || install cmake
command -v python3 >/dev/null || install python3

# Real servers for the tests of stores, clusters and metrics; without them those tests say that they were skipped.
server() {
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then install "$1"; else echo "not installed: $1, tests that need it will be SKIPPED" >&2; fi
}
command -v redis-server >/dev/null || command -v valkey-server >/dev/null || server redis-server
command -v prometheus >/dev/null || server prometheus
command -v prometheus-pushgateway >/dev/null || server prometheus-pushgateway
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || server postgresql
