#!/usr/bin/env bash
# Holds a running server to its OpenAPI document: schemathesis asks the demo server what the document allows, and what
# it doesn't. Any server error or answer that the document doesn't tell of fails.
#
# usage: scan.sh BINARY [schemathesis options]
#   SCHEMATHESIS: the program (default target/scan-venv/bin/st, where make puts it)
#   ANAMNESIS_SCAN_EXAMPLES: requests to each operation, about (default 50)
#   ANAMNESIS_DEMO_WAIT_S: longest wait for the server (default 600)
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:?usage: scan.sh BINARY [schemathesis options]}
shift
schemathesis=$(realpath "${SCHEMATHESIS:-target/scan-venv/bin/st}")
settings=$PWD/scripts/scan/schemathesis.toml
wait_s=${ANAMNESIS_DEMO_WAIT_S:-600}
ports=$(bash scripts/free-ports.sh)
folder=$(mktemp -d)
log=$folder/server.log
ready=$folder/data/demo.json
url=http://127.0.0.1:${ports% *}
server=

stop() {
    if [ -n "$server" ]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap stop EXIT

give_up() {
    printf 'scan: %s; the end of the log:\n' "$1" >&2
    tail -n 40 "$log" >&2
    exit 1
}

ANAMNESIS_LISTEN=127.0.0.1:${ports% *} ANAMNESIS_OPERATIONS_LISTEN=127.0.0.1:${ports#* } \
    "$binary" demo --data "$folder/data" </dev/null >"$log" 2>&1 &
server=$!

deadline=$((SECONDS + wait_s))
until [ -s "$ready" ]; do
    kill -0 "$server" 2>/dev/null || give_up "the demo server stopped before it was ready"
    ((SECONDS < deadline)) || give_up "the demo server wasn't ready after $wait_s s"
    sleep 0.5
done

# All that a token can hold, so that every handler is reached.
scopes='user/*.rs system/*.cruds'
for act in reindex quarantine sources quality access audit erase; do
    scopes+=" anamnesis/admin.$act"
done
token=$(ANAMNESIS_DEVELOPMENT_KEY_FILE=$folder/data/development.key \
    "$binary" token --config demo/hospital/anamnesis.toml --scopes "$scopes" --lifetime-s 43200)

# It keeps what it found where it is started.
scan() {
    (cd "$folder" && "$schemathesis" --config-file "$settings" run "$url/openapi.json" \
        --header "Authorization: Bearer $token" --max-examples "${ANAMNESIS_SCAN_EXAMPLES:-50}" \
        --generation-database none --no-color "$@") || give_up "the server doesn't do what its document says"
}

# Last what may take our own token back.
revocations=/v1/admin/revocations
scan --exclude-path $revocations "$@"
scan --include-path $revocations "$@"
! grep -q 'a request failed\|panicked' "$log" || give_up "an error was logged"
kill -0 "$server" 2>/dev/null || give_up "the server stopped"
printf 'scan: the server does what its document says\n'
