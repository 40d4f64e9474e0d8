#!/usr/bin/env bash
# Walks the pages in Chromium against the real demo server, on free ports and an empty folder.
#
# usage: browser-test.sh BINARY
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:?usage: browser-test.sh BINARY}
CHROMIUM=$(bash scripts/chromium.sh)
. scripts/demo-server.sh
start_demo "browser test" "$binary"

field() {
    node -e '
        const value = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"))[process.argv[2]];
        if (typeof value !== "string") process.exit(1);
        process.stdout.write(value);
    ' "$ready" "$1"
}

ANAMNESIS_URL=$url
ANAMNESIS_TOKEN=$(field token)
ANAMNESIS_ADMIN_TOKEN=$(field admin_token)
ANAMNESIS_QUESTION=$(field question)
ANAMNESIS_PATIENT=$(field patient)
export CHROMIUM ANAMNESIS_URL ANAMNESIS_TOKEN ANAMNESIS_ADMIN_TOKEN ANAMNESIS_QUESTION ANAMNESIS_PATIENT
npm --prefix web run test:browser </dev/null || give_up "the pages failed against the demo server"
