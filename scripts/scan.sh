#!/usr/bin/env bash
# Holds a running server to its OpenAPI document: schemathesis asks the demo server what the document allows, and what
# it doesn't. Any server error or answer that the document doesn't tell of fails.
#
# usage: scan.sh BINARY [schemathesis options]
#   SCHEMATHESIS: the program (default target/scan-venv/bin/st, where make puts it)
#   ANAMNESIS_SCAN_EXAMPLES: requests to each operation, about (default 50)
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:?usage: scan.sh BINARY [schemathesis options]}
shift
schemathesis=$(realpath "${SCHEMATHESIS:-target/scan-venv/bin/st}")
settings=$PWD/scripts/scan/schemathesis.toml
. scripts/demo-server.sh
start_demo scan "$binary"

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
