#!/usr/bin/env bash
# rsyslog never reads the end of a file that was rotated while it was down.
#
# Expected: Its state file names the inode, so after a start it finds the rest of the old file by the name it
#   has now, or says that something is missing.
# What happens: It reads the new file from its beginning, and what was appended to the old one after rsyslog
#   stopped is gone, without a word. A second input for jobs.jsonl.1 brings it, and nothing twice.
# Why it matters here: An upgrade of rsyslog over the hour of logrotate is enough to lose jobs. Name both files.
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
configure() {  # the names to read
    cat >"$folder/conf" <<END
global(workDirectory="$folder/work")
module(load="imfile")
template(name="line" type="string" string="%msg%\\n")
$(for name in "$@"; do printf 'input(type="imfile" file="%s" tag="jobs")\n' "$folder/$name"; done)
action(type="omfile" file="$folder/received" template="line")
END
}

start() {  # until a job is there, at most ten seconds; then stop in order
    "${rsyslogd[@]}" -n -f "$folder/conf" 2>"$folder/said" &
    local process=$!
    for _ in $(seq 100); do grep -qs "\"$1\"" "$folder/received" && break; sleep 0.1; done
    kill "$process"
    wait "$process" || true
}
job() { echo "{\"job_id\":\"$1\"}" >>"$folder/jobs.jsonl"; }
received() { sed 's/[^0-9]//g' "$folder/received" | paste -sd' '; }

expect "version" "$("${rsyslogd[@]}" -v | sed -n 's/^rsyslogd *\([0-9.]*\) .*/\1/p')" "8.2302.0"
read_over_a_rotation() {
    rm -f "$folder"/work/* "$folder/received" "$folder"/jobs.jsonl*
    configure "$@"
    job 31
    start 31
    job 32                                          # written while rsyslog is down,
    mv "$folder/jobs.jsonl" "$folder/jobs.jsonl.1"  # then rotated by rename,
    job 33                                          # and created anew
    start 33
    received
}
expect "received of 31 32 33" "$(read_over_a_rotation jobs.jsonl)" "31 33"
expect "said" "$(cat "$folder/said")" ""
expect "received with a second input" "$(read_over_a_rotation jobs.jsonl.1 jobs.jsonl | tr ' ' '\n' | sort | paste -sd' ')" "31 32 33"
