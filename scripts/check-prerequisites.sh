#!/usr/bin/env bash
# Says what is missing on this machine, and what for, before anything is built.
#
# usage: check-prerequisites.sh TOOL...   with tools out of: rust python node
set -euo pipefail
cd "$(dirname "$0")/.."

NODE_WANTED=20.19 # as in web/package.json
RUST_WANTED=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
missing=0

complain() {
    printf 'missing: %s\n' "$*" >&2
    missing=1
}

# The first thing in the input that looks like a version.
version_in() {
    sed -n 's/^[^0-9]*\([0-9][0-9]*\(\.[0-9][0-9]*\)*\).*/\1/p' | head -n 1
}

# Whether version $1 is $2 or later, part by part: 1.100 is later than 1.94.
at_least() {
    local have want index
    IFS=. read -r -a have <<<"$1"
    IFS=. read -r -a want <<<"$2"
    for index in 0 1 2; do
        if ((10#${have[index]:-0} > 10#${want[index]:-0})); then return 0; fi
        if ((10#${have[index]:-0} < 10#${want[index]:-0})); then return 1; fi
    done
}

# require COMMAND VERSION WHAT-FOR HOW-TO-GET-IT
require() {
    local found
    if ! found=$("$1" --version 2>/dev/null | version_in) || [ -z "$found" ]; then
        complain "$1 $2 or later, $3; $4"
    elif ! at_least "$found" "$2"; then
        complain "$1 $2 or later, $3; found $found; $4"
    fi
}

check_rust() {
    require rustc "$RUST_WANTED" "to build the server" "see https://rustup.rs, or run: rustup update"
    require cargo "$RUST_WANTED" "to build the server" "it comes with rustc"
    if ! command -v "${CC:-cc}" >/dev/null; then
        complain "a C compiler, to build SQLite and the cryptography; for example: apt-get install build-essential"
    fi
}

check_python() {
    require python3 3.8 "to fetch the embedding model" "for example: apt-get install python3"
    if command -v python3 >/dev/null && ! python3 -m pip --version >/dev/null 2>&1; then
        complain "pip for $(command -v python3), to fetch the embedding model; for example: apt-get install python3-pip"
    fi
}

check_node() {
    require node "$NODE_WANTED" "to build the pages" "see https://nodejs.org"
    require npm 9 "to build the pages" "it comes with Node"
}

for tool in "$@"; do
    case $tool in
    rust | python | node) "check_$tool" ;;
    *)
        printf 'usage: %s rust|python|node ...\n' "$0" >&2
        exit 2
        ;;
    esac
done
exit "$missing"
