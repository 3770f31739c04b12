#!/usr/bin/env bash
# `journalctl -o json` prints null for a message of 4,088 bytes and more.
#
# Expected: The JSON form of a journal has the same messages as its text, and all of each.
# What happens: A field whose name and value have 4,096 bytes or more is null unless --all is given, which the manual
#   says under -o json, and no warning comes. The text forms print it whole.
# Why it matters here: Shippers read the journal as JSON. An event that lists 600 nodes is longer than that, so that
#   the largest jobs are the ones that arrive as null. Ship the file, or give --all.
# Needs: Debian 12 with fetched package lists (apt-get update).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

fetch() {  # each Debian package into the temporary folder, nothing is installed
    (cd "$folder" && apt-get -qq -o APT::Sandbox::User=root download "$@")
    for package in "$folder"/*.deb; do dpkg -x "$package" "$folder"; rm "$package"; done
}

fetch systemd=252.38-1~deb12u1 libsystemd-shared=252.38-1~deb12u1 systemd-journal-remote=252.38-1~deb12u1 libmicrohttpd12=0.9.75-6
export LD_LIBRARY_PATH="$folder/usr/lib/$(uname -m)-linux-gnu/systemd:$folder/usr/lib/$(uname -m)-linux-gnu"
journal() { "$folder/bin/journalctl" --file "$folder/events.journal" "$@"; }

python3 - >"$folder/events.export" <<'END'
import json

def event(nodes):
    line = {"id": f"alpha/{nodes}/1", "nodes": [f"n{number:04}" for number in range(nodes)]}
    return json.dumps(line, separators=(",", ":"))

texts = [event(1), event(400), event(600), "x" * 4087, "x" * 4088]
for number, text in enumerate(texts):
    print(f"__REALTIME_TIMESTAMP={1795423566000000 + number}", f"__MONOTONIC_TIMESTAMP={1 + number}", sep="\n")
    print("_BOOT_ID=0123456789abcdef0123456789abcdef", f"MESSAGE={text}", "", sep="\n")
END
"$folder/lib/systemd/systemd-journal-remote" --output="$folder/events.journal" "$folder/events.export" 2>/dev/null
types() {
    journal --output=json "$@" | python3 -c '
import json, sys
print(*(type(json.loads(line)["MESSAGE"]).__name__ for line in sys.stdin))'
}

expect "version" "$(journal --version | head -1)" "systemd 252 (252.38-1~deb12u1)"
expect "bytes of the messages" "$(journal --output=cat | awk '{print length}' | paste -sd' ')" "36 3230 4830 4087 4088"
expect "as JSON" "$(types)" "str str NoneType str NoneType"
expect "as JSON, --all" "$(types --all)" "str str str str str"
