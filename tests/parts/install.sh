#!/bin/sh
# Installs what tests/parts drives, each into an environment of its own below .parts, unless it is there already.
# What cannot be had is said, and its tests are skipped: no test may depend on a registry's good day.
set -u
cd "$(dirname "$0")/../.."
python=${1:-python3}
here=tests/parts
made=.parts

# A part is ready when the list that it was made from lies beside it.
ready() { cmp -s "$1" "$made/$2/.made-from"; }
keep() { cp "$1" "$made/$2/.made-from"; }

litellm() {
    # uv, because pip takes a minute for what it takes ten seconds for; the list is complete, so nothing is resolved.
    rm -rf "$made/litellm" && mkdir -p "$made" &&
        { [ -x "$made/uv/bin/uv" ] || { "$python" -m venv "$made/uv" && "$made/uv/bin/pip" install --quiet --disable-pip-version-check uv==0.13.9; }; } &&
        "$made/uv/bin/uv" venv --quiet --python "$python" "$made/litellm" &&
        "$made/uv/bin/uv" pip install --quiet --no-deps --compile-bytecode --python "$made/litellm/bin/python" -r "$here/litellm.txt" &&
        keep "$here/litellm.txt" litellm
}

# Only for a CI that is root; it waits for whoever else installs something just now.
debians_npm() {
    [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] &&
        { apt-get -o DPkg::Lock::Timeout=300 update && apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends nodejs npm; } >/dev/null 2>&1
}

node() {
    command -v npm >/dev/null || debians_npm
    command -v npm >/dev/null && rm -rf "$made/node" && mkdir -p "$made/node" &&
        cp "$here/package.json" "$here/package-lock.json" "$made/node" &&
        npm ci --prefix "$made/node" --ignore-scripts --no-audit --no-fund --silent &&
        keep "$here/package-lock.json" node
}

ready "$here/litellm.txt" litellm || litellm || echo "LiteLLM's proxy could not be installed: its tests are skipped"
ready "$here/package-lock.json" node || node || echo "the Node packages could not be installed: their tests are skipped"
