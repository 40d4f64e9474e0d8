# The demo server on free ports and an empty folder, for a script that sources this; it ends with the script.
#
# start_demo NAME BINARY   sets `folder`, `log`, `ready` (the file that says what the demo is), `url` and `server`
# give_up MESSAGE          ends the script with the end of the server's log
#   ANAMNESIS_DEMO_WAIT_S: longest wait for the server (default 600)
# shellcheck shell=bash

stop_demo() {
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

give_up() {
    printf '%s: %s; the end of the log:\n' "$purpose" "$1" >&2
    tail -n 40 "$log" >&2
    exit 1
}

start_demo() {
    local ports deadline
    purpose=$1
    ports=$(bash scripts/free-ports.sh)
    folder=$(mktemp -d)
    log=$folder/server.log
    ready=$folder/data/demo.json
    url=http://127.0.0.1:${ports% *}
    server=
    trap stop_demo EXIT
    ANAMNESIS_LISTEN=127.0.0.1:${ports% *} ANAMNESIS_OPERATIONS_LISTEN=127.0.0.1:${ports#* } \
        "$2" demo --data "$folder/data" </dev/null >"$log" 2>&1 &
    server=$!
    deadline=$((SECONDS + ${ANAMNESIS_DEMO_WAIT_S:-600}))
    until [ -s "$ready" ]; do
        kill -0 "$server" 2>/dev/null || give_up "the demo server stopped before it was ready"
        ((SECONDS < deadline)) || give_up "the demo server wasn't ready in time"
        sleep 0.5
    done
}
