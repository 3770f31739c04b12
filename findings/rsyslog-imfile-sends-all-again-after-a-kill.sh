#!/usr/bin/env bash
# rsyslog that was killed sends the whole file again.
#
# Expected: What was sent is remembered from time to time, so that a kill costs a few lines twice.
# What happens: imfile writes its position when it stops in order, and else never: after kill -9, or a power
#   loss, all lines come again. persistStateInterval="1" writes it after each line, and then none comes twice
#   here.
# Why it matters here: A file of a day is a million jobs, counted twice at the other end unless that drops
#   what it has by id. Set persistStateInterval.
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

configure() {  # an option of the input
    cat >"$folder/conf" <<END
global(workDirectory="$folder/work")
module(load="imfile")
template(name="line" type="string" string="%msg%\n")
input(type="imfile" file="$folder/jobs.jsonl" tag="jobs" $1)
action(type="omfile" file="$folder/received" template="line")
END
}
run_until() {  # job SIGNAL: until the job is there, at most ten seconds, and half a second more
    "${rsyslogd[@]}" -n -f "$folder/conf" 2>"$folder/said" &
    local process=$!
    for _ in $(seq 100); do grep -qs "\"$1\"" "$folder/received" && break; sleep 0.1; done
    sleep 0.5
    kill "-$2" "$process"
    wait "$process" 2>/dev/null || true
    rm -f "$folder/pid"
}
job() { echo "{\"job_id\":\"$1\"}" >>"$folder/jobs.jsonl"; }
received_over_a_kill() {
    rm -f "$folder"/work/* "$folder/received" "$folder/jobs.jsonl"
    configure "$1"
    job 31
    job 32
    run_until 32 KILL
    job 33
    run_until 33 TERM
    sed 's/[^0-9]//g' "$folder/received" | paste -sd' '
}
expect "version" "$("${rsyslogd[@]}" -v | sed -n 's/^rsyslogd *\([0-9.]*\) .*/\1/p')" "8.2302.0"
expect "received of 31 32 33" "$(received_over_a_kill '')" "31 32 31 32 33"
expect "with persistStateInterval" "$(received_over_a_kill 'persistStateInterval="1"')" "31 32 33"
