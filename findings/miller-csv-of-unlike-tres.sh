#!/usr/bin/env bash
# Miller writes a new CSV header in the middle of the file at every change of TRES.
#
# Expected: `mlr --ijsonl --ocsv unsparsify` gives one header over all columns, as its manual says of
#   unsparsify.
# What happens: The nested alloc_tres is flattened only when the record is written, after unsparsify has seen
#   one column alloc_tres in every record. So each change of keys starts a new table with a blank line and a
#   header. `flatten then unsparsify` gives one.
# Why it matters here: Nearly every second job differs in its TRES; a spreadsheet takes the headers for jobs.
#   The recipe flattens first.
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

fetch miller=6.6.0-2+b3
mlr=$folder/usr/bin/mlr
cat >"$folder/jobs.jsonl" <<'END'
{"job_id":"1","alloc_tres":{"cpu":2,"node":1}}
{"job_id":"2","alloc_tres":{"cpu":2,"node":1,"gres/gpu":1}}
{"job_id":"3","alloc_tres":{"cpu":2,"node":1}}
END
headers() { "$mlr" --ijsonl --ocsv "$@" "$folder/jobs.jsonl" | grep -c '^job_id,'; }

expect "version" "$("$mlr" --version)" "mlr 6.6.0"
expect "headers for three jobs, cat" "$(headers cat)" 3
expect "headers for three jobs, unsparsify" "$(headers unsparsify)" 3
expect "headers for three jobs, flatten then unsparsify" "$(headers flatten "then" unsparsify)" 1
