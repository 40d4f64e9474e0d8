#!/usr/bin/env bash
# Starts the demo on an empty folder, has it answer its question and stop; then once more on what it left.
#
# usage: smoke.sh BINARY
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:?usage: smoke.sh BINARY}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

bounded() {
    if command -v timeout >/dev/null; then timeout 900 "$@"; else "$@"; fi
}

for start in first second; do
    ports=$(bash scripts/free-ports.sh)
    rm -f "$folder/demo.json"
    ANAMNESIS_LISTEN=127.0.0.1:${ports% *} ANAMNESIS_OPERATIONS_LISTEN=127.0.0.1:${ports#* } \
        bounded "$binary" demo --data "$folder" --once </dev/null ||
        { printf 'smoke: the %s start gave no answer\n' "$start" >&2 && exit 1; }
    [ -s "$folder/demo.json" ] || { printf 'smoke: the %s start wrote no demo.json\n' "$start" >&2 && exit 1; }
    printf 'smoke: the %s start answered its question\n' "$start"
done
