#!/usr/bin/env bash
# promtool check metrics passes a page that holds one series twice.
#
# Expected: The check that Prometheus ships for /metrics names a series that stands twice, since a scrape of
#   it keeps one of the two values.
# What happens: Exit 0 and not a word, also where the two values differ. Other faults of the same page, a
#   missing help text, are named.
# Why it matters here: Two users whose names are one after cutting or folding make such a page. The check is
#   necessary and not sufficient: a test has to count the series as well.
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

fetch prometheus=2.42.0+ds-5+deb12u1
promtool=$folder/usr/bin/promtool
page() {
    printf '# TYPE slurmwatchd_jobs_ended_total counter\n%s' "$1"
    printf 'slurmwatchd_jobs_ended_total{user="ann"} 5\nslurmwatchd_jobs_ended_total{user="ann"} 7\n'
}
check() { local status=0; "$promtool" check metrics 2>&1 || status=$?; echo "exit $status"; }

expect "version" "$("$promtool" --version 2>&1 | sed -n 's/^promtool, version \([^ ]*\).*/\1/p')" "2.42.0+ds"
expect "one series twice" "$(page '# HELP slurmwatchd_jobs_ended_total Attempts that ended.
' | check)" "exit 0"
expect "without a help text" "$(page '' | check)" "slurmwatchd_jobs_ended_total no help text
exit 3"
