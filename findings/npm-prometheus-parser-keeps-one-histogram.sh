#!/usr/bin/env bash
# parse-prometheus-text-format keeps one partition of a histogram, and forgets which.
#
# Expected: A histogram with a label is one set of buckets for each value of it, with its sum and count.
# What happens: All buckets of a family go into one object by le: the last partition's numbers, without
#   labels, sum or count. Counters with labels are right. An exemplar makes the sample's time the text
#   #{job_id="31"}1.01795423566.0, where OpenMetrics is handed to it.
# Why it matters here: Dashboards and tests in JavaScript read /metrics with it. Waits and run times by
#   partition are one partition's then. Ask Prometheus for them, or read the buckets as plain lines.
# Needs: Node.js 20 or newer with npm, and the npm registry.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

cd "$folder"
npm install --silent --no-audit --no-fund parse-prometheus-text-format@1.1.1 >/dev/null
cat >metrics <<'END'
# TYPE slurmwatchd_wait_seconds histogram
slurmwatchd_wait_seconds_bucket{partition="long",le="10"} 1
slurmwatchd_wait_seconds_bucket{partition="long",le="+Inf"} 2
slurmwatchd_wait_seconds_sum{partition="long"} 30
slurmwatchd_wait_seconds_count{partition="long"} 2
slurmwatchd_wait_seconds_bucket{partition="gpu",le="10"} 4
slurmwatchd_wait_seconds_bucket{partition="gpu",le="+Inf"} 5
slurmwatchd_wait_seconds_sum{partition="gpu"} 60
slurmwatchd_wait_seconds_count{partition="gpu"} 5
# TYPE slurmwatchd_jobs_ended_total counter
slurmwatchd_jobs_ended_total{partition="long"} 2
slurmwatchd_jobs_ended_total{partition="gpu"} 5
END
cat >read.mjs <<'END'
import { readFileSync } from "node:fs";
import parse from "parse-prometheus-text-format";
for (const family of parse(readFileSync("metrics", "utf8"))) console.log(JSON.stringify(family.metrics));
END
version=$(node -p 'require("./node_modules/parse-prometheus-text-format/package.json").version')

expect "version" "$version" "1.1.1"
expect "histogram of two partitions" "$(node read.mjs | head -1)" '[{"buckets":{"10":"4","+Inf":"5"}}]'
expect "counter of two partitions" "$(node read.mjs | tail -1)" \
    '[{"value":"2","labels":{"partition":"long"}},{"value":"5","labels":{"partition":"gpu"}}]'
