#!/bin/sh
# Writes packaging/requirements-bench.lock anew: the peers of ./dev bench, with hashes, without a registry's address.
# usage: packaging/lock-bench.sh PYTHON (3.12 or newer)
set -eu
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$1" -m venv "$place"
"$place/bin/pip" install -q --disable-pip-version-check uv
"$place/bin/uv" pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-annotate \
    --python-version 3.12 packaging/requirements-bench.in -o packaging/requirements-bench.lock
