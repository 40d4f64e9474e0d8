#!/usr/bin/env bash
# Prints the path of a Chromium that starts, installing one where that needs no password.
set -euo pipefail
cd "$(dirname "$0")"

# Ubuntu's `chromium` may be a stand-in that asks for a snap, so a name alone proves nothing.
starts() {
    "$1" --version </dev/null >/dev/null 2>&1
}

find_chromium() {
    local name path
    for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome-stable google-chrome \
        "/Applications/Chromium.app/Contents/MacOS/Chromium" \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do
        if [ -n "$name" ] && path=$(command -v "$name") && starts "$path"; then
            printf '%s\n' "$path"
            return
        fi
    done
    return 1
}

find_chromium && exit
if bash install.sh chromium; then
    find_chromium && exit
fi
printf '%s\n' \
    'missing: Chromium, to test the pages in a browser.' \
    'Install it (Debian: apt-get install chromium), or set CHROMIUM to the path of a Chromium or Chrome.' >&2
exit 1
