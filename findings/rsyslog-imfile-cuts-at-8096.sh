#!/usr/bin/env bash
# rsyslog cuts a line of the file at 8,096 bytes, drops the rest and says nothing.
#
# Expected: A line that is longer than maxMessageSize comes in several messages, or is said to be cut.
# What happens: imfile hands on the first 8,096 bytes and goes on with the next line; the log of rsyslog
#   itself holds nothing. What arrives is not JSON. With maxMessageSize=64k the line is whole.
# Why it matters here: Our lines are up to 30,000 bytes (max_line_bytes). Without the setting, exactly the
#   jobs on many nodes are missing at the other end.
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
fetch rsyslog=8.2302.0-1+deb12u2 libestr0=0.1.11-1 libfastjson4=1.2304.0-1 liblognorm5=2.0.6-4
export LD_LIBRARY_PATH="$folder/usr/lib/$(uname -m)-linux-gnu"
rsyslogd=("$folder/usr/sbin/rsyslogd" -i "$folder/pid" -M "$LD_LIBRARY_PATH/rsyslog")
mkdir "$folder/work"
configure() {  # options of the input, and of the whole
    cat >"$folder/conf" <<END
global(workDirectory="$folder/work" $2)
module(load="imfile")
template(name="line" type="string" string="%msg%\\n")
input(type="imfile" file="$folder/jobs.jsonl" tag="jobs" $1)
action(type="omfile" file="$folder/received" template="line")
END
}

line() { printf '{"job_id":"%s","submit_line":"%s"}\n' "$1" "$(printf "%$2s" '' | tr ' ' x)"; }
{ line 31 10; line 32 9000; line 33 10; } >"$folder/jobs.jsonl"
read_once() {  # until the third job is there, at most ten seconds
    rm -f "$folder/received" "$folder"/work/*
    "${rsyslogd[@]}" -n -f "$folder/conf" 2>"$folder/said" &
    local process=$!
    for _ in $(seq 100); do grep -qs '"33"' "$folder/received" && break; sleep 0.1; done
    kill "$process"
    wait "$process" || true
    awk '{ printf "%s%d", (NR > 1 ? " " : ""), length($0) }' "$folder/received"
}
expect "version" "$("${rsyslogd[@]}" -v | sed -n 's/^rsyslogd *\([0-9.]*\) .*/\1/p')" "8.2302.0"
expect "written" "$(awk '{ printf "%s%d", (NR > 1 ? " " : ""), length($0) }' "$folder/jobs.jsonl")" "42 9032 42"
configure '' ''
expect "received" "$(read_once)" "42 8096 42"
expect "said" "$(cat "$folder/said")" ""
configure '' 'maxMessageSize="64k"'
expect "received with maxMessageSize=64k" "$(read_once)" "42 9032 42"
