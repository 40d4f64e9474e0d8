#!/usr/bin/env bash
# Walks the pages in Chromium against the real demo server, on free ports and an empty folder.
#
# usage: browser-test.sh BINARY   (ANAMNESIS_DEMO_WAIT_S: longest wait for the server, default 600)
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:?usage: browser-test.sh BINARY}
wait_s=${ANAMNESIS_DEMO_WAIT_S:-600}
CHROMIUM=$(bash scripts/chromium.sh)
ports=$(bash scripts/free-ports.sh)
folder=$(mktemp -d)
log=$folder/server.log
ready=$folder/data/demo.json
server=

stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        for _ in $(seq 50); do
            kill -0 "$server" 2>/dev/null || break
            sleep 0.2
        done
        kill -9 "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap stop EXIT

give_up() {
    printf 'browser test: %s; the end of its log:\n' "$1" >&2
    tail -n 40 "$log" >&2
    exit 1
}

field() {
    node -e '
        const value = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))[process.argv[2]];
        if (typeof value !== "string") process.exit(1);
        process.stdout.write(value);
    ' "$ready" "$1"
}

ANAMNESIS_LISTEN=127.0.0.1:${ports% *} ANAMNESIS_OPERATIONS_LISTEN=127.0.0.1:${ports#* } \
    "$binary" demo --data "$folder/data" </dev/null >"$log" 2>&1 &
server=$!

deadline=$((SECONDS + wait_s))
until field url >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || give_up "the demo server stopped before it was ready"
    ((SECONDS < deadline)) || give_up "the demo server wasn't ready after $wait_s s"
    sleep 0.5
done

ANAMNESIS_URL=$(field url)
ANAMNESIS_TOKEN=$(field token)
ANAMNESIS_ADMIN_TOKEN=$(field admin_token)
ANAMNESIS_QUESTION=$(field question)
ANAMNESIS_PATIENT=$(field patient)
export CHROMIUM ANAMNESIS_URL ANAMNESIS_TOKEN ANAMNESIS_ADMIN_TOKEN ANAMNESIS_QUESTION ANAMNESIS_PATIENT
npm --prefix web run test:browser </dev/null || give_up "the pages failed against the demo server"
