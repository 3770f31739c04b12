#!/usr/bin/env bash
# jq 1.6 reads a job's end an hour late where the machine keeps summer time.
#
# Expected: `"2026-07-01T12:00:00Z" | fromdate` is the same number of seconds on every machine.
# What happens: In a zone with summer time jq 1.6, the one of Debian 12, adds an hour to dates of
#   the summer; dates of the winter, and machines in UTC, are right. `fromdate | todate` shows 13:00:00Z for
#   12:00:00Z.
# Why it matters here: Waits and windows computed with jq from the JSON-lines file are right on the server and
#   an hour off on the laptop, half of the year. Set TZ=UTC for jq, or use the fields that are in seconds
#   already.
# Needs: Debian 12 with fetched package lists (apt-get update), and tzdata.
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

fetch jq=1.6-2.1+deb12u3 libjq1=1.6-2.1+deb12u3 libonig5=6.9.8-1
export LD_LIBRARY_PATH="$folder/usr/lib/$(uname -m)-linux-gnu"
jq=$folder/usr/bin/jq
line='{"job_id":"812","start":"2026-07-01T11:00:00Z","end":"2026-07-01T12:00:00Z"}'
winter='{"job_id":"813","start":"2026-01-01T11:00:00Z","end":"2026-01-01T12:00:00Z"}'
ask() { TZ=$1 "$jq" -r '.end | fromdate | todate' <<<"$2"; }

expect "version" "$("$jq" --version)" "jq-1.6"
expect "a summer's end in UTC" "$(ask UTC "$line")" "2026-07-01T12:00:00Z"
expect "a summer's end in Berlin" "$(ask Europe/Berlin "$line")" "2026-07-01T13:00:00Z"
expect "a winter's end in Berlin" "$(ask Europe/Berlin "$winter")" "2026-01-01T12:00:00Z"
expect "the true seconds" "$(date -u -d 2026-07-01T12:00:00Z +%s)" 1782907200
expect "jq's seconds in Berlin" "$(TZ=Europe/Berlin "$jq" '.end | fromdate' <<<"$line")" 1782910800
