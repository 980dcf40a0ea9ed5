#!/bin/sh
# Writes packaging/requirements.lock anew from pyproject.toml: every platform and Python, with hashes, without a registry's address.
set -eu
cd "$(dirname "$0")/.."
"$1/bin/python" -m pip install -q --disable-pip-version-check uv
"$1/bin/uv" pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --no-annotate \
    --python-version 3.11 --group dev pyproject.toml -o packaging/requirements.lock
