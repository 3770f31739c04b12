#!/usr/bin/env bash
# node_exporter leaves a textfile's counters out where another file words their help differently.
#
# Expected: Two files in the textfile collector's folder, one a cluster, give the series of both, or an error that the
#   scrape shows: node_textfile_scrape_error is there for that.
# What happens: A family must have one help text. Where an older release wrote the other, or one file has none, or
#   is OpenMetrics (which names the family without _total), the series of the file that sorts last are missing:
#   HTTP 200, node_textfile_scrape_error 0, and a line in node_exporter's log alone. An exemplar or a time in a file
#   is the error that one expects, and leaves out that file.
# Why it matters here: Sites that cannot scrape the daemon copy /metrics into a textfile. After an upgrade of one of
#   two daemons, a cluster has no series. Copy the plain text format, and alert on absent series.
# Needs: Debian 12 with fetched package lists (apt-get update), curl, and free ports of the loopback.
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

fetch prometheus-node-exporter=1.5.0-1+b6
exporter=$folder/usr/bin/prometheus-node-exporter
mkdir "$folder/textfiles"
file() { printf '%s\n' "${@:2}" >"$folder/textfiles/$1.prom"; }

scrape() {  # the status, the collector's own error, and the clusters that have a series
    local port process
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "$exporter" --collector.disable-defaults --collector.textfile --collector.textfile.directory="$folder/textfiles" \
        --web.listen-address="127.0.0.1:$port" 2>"$folder/log" &
    process=$!
    curl --silent --retry 50 --retry-connrefused --retry-delay 1 --max-time 30 --output "$folder/page" --write-out '%{http_code} ' "http://127.0.0.1:$port/metrics"
    kill "$process"
    wait "$process" 2>/dev/null || true
    sed -n 's/^node_textfile_scrape_error //p; s/^jobs_ended_total{slurm_cluster="\(.*\)"} .*/\1/p' "$folder/page" | sort | xargs
}

TYPE="# TYPE jobs_ended_total counter"
file alpha "# HELP jobs_ended_total Attempts that ended." "$TYPE" 'jobs_ended_total{slurm_cluster="alpha"} 3'

expect "version" "$("$exporter" --version 2>&1 | sed -n '1s/.*version \([0-9.]*\).*/\1/p')" "1.5.0"
file beta "# HELP jobs_ended_total Attempts that ended." "$TYPE" 'jobs_ended_total{slurm_cluster="beta"} 4'
expect "the same help" "$(scrape)" "200 0 alpha beta"
file beta "# HELP jobs_ended_total Jobs that ended." "$TYPE" 'jobs_ended_total{slurm_cluster="beta"} 4'
expect "another help" "$(scrape)" "200 0 alpha"
expect "another help, lines in the log" "$(grep -c 'has help' "$folder/log")" 1
file beta "$TYPE" 'jobs_ended_total{slurm_cluster="beta"} 4'
expect "no help" "$(scrape)" "200 0 alpha"
file beta "# HELP jobs_ended Attempts that ended." "# TYPE jobs_ended counter" 'jobs_ended_total{slurm_cluster="beta"} 4' "# EOF"
expect "OpenMetrics" "$(scrape)" "200 0 alpha"
file beta "# HELP jobs_ended_total Attempts that ended." "$TYPE" 'jobs_ended_total{slurm_cluster="beta"} 4 1795423566000'
expect "a time" "$(scrape)" "200 1 alpha"
