#!/usr/bin/env bash
# journalctl of systemd 252 refuses the times that our lines and logs are written in.
#
# Expected: `journalctl --since 2026-11-23T10:00:00Z` takes RFC 3339, the form of log files and JSON
#   everywhere.
# What happens: Failed to parse timestamp, with Z, without it, with an offset. 2026-11-23 10:00:00 UTC works,
#   and so does @ with seconds.
# Why it matters here: Whoever copies end or observed from an event to look at what the daemon said then is
#   refused on Debian 12. Write it with a space and UTC: journalctl --since '2026-11-23 10:00:00 UTC'.
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

fetch systemd=252.38-1~deb12u1 libsystemd-shared=252.38-1~deb12u1
journal() {
    LD_LIBRARY_PATH="$folder/usr/lib/$(uname -m)-linux-gnu/systemd" "$folder/bin/journalctl" --directory="$folder" --quiet "$@" 2>&1 && echo taken
}
mkdir "$folder/journal"

expect "version" "$(journal --version | head -1)" "systemd 252 (252.38-1~deb12u1)"
for time in 2026-11-23T10:00:00Z 2026-11-23T10:00:00 2026-11-23T10:00:00+00:00; do
    expect "$time" "$(journal --since "$time")" "Failed to parse timestamp: $time"
done
for time in '2026-11-23 10:00:00 UTC' @1795428000; do
    expect "$time" "$(journal --since "$time")" "taken"
done
