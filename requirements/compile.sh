#!/bin/sh
# Resolve pyproject.toml into the two lock files: hashes yes, registry addresses no.
set -eu
cd "$(dirname "$0")/.."
uv="${UV:-.venv/bin/uv}"
lock() {
    out=$1; shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-header --no-annotate "$@" pyproject.toml -o "$out"
}
lock requirements/runtime.lock --group build --extra fast
lock requirements/dev.lock --group build --group dev --all-extras
