#!/usr/bin/env bash
# promotel turns a histogram of Prometheus into one of a single bucket, and leaves out what is infinite or NaN.
#
# Expected: A conversion to OTLP has each bucket's bound, and its own count: OTLP's are not cumulative.
# What happens: The buckets of a set of labels are one series for it, of which the last counts: explicit_bounds is
#   empty and bucket_counts has the count of all. A gauge of NaN, +Inf or -Inf is left out in silence. The name of a
#   gauge that ends in _count or _sum loses that ending, and joins the family of the rest. Counters are right.
# Why it matters here: Of wait and run times by partition, only the sum and the count arrive at an OpenTelemetry
#   backend, and no quantile can be told. Ask Prometheus for them.
# Needs: Node.js 20 or newer with npm, and the npm registry.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

expect() {
    printf '%s: %s\n' "$1" "$2"
    [[ $2 == "$3" ]] || { printf 'changed: %s was: %s\n' "$1" "$3" >&2; exit 1; }
}

cd "$folder"
npm install --silent --no-audit --no-fund @platformatic/promotel@0.2.2 >/dev/null
cat >metrics <<'END'
# HELP slurmwatchd_jobs_ended_total Job attempts that ended.
# TYPE slurmwatchd_jobs_ended_total counter
slurmwatchd_jobs_ended_total{partition="debug,high",state="CANCELLED"} 3.0
slurmwatchd_jobs_ended_total{partition="gpu",state="COMPLETED"} 1.5e+06
# HELP slurmwatchd_job_wait_seconds Time from eligible to start.
# TYPE slurmwatchd_job_wait_seconds histogram
slurmwatchd_job_wait_seconds_bucket{partition="long",le="60.0"} 1.0
slurmwatchd_job_wait_seconds_bucket{partition="long",le="3600.0"} 3.0
slurmwatchd_job_wait_seconds_bucket{partition="long",le="+Inf"} 4.0
slurmwatchd_job_wait_seconds_sum{partition="long"} 9000.0
slurmwatchd_job_wait_seconds_count{partition="long"} 4.0
# TYPE idle_nodes gauge
idle_nodes 7.0
# TYPE idle_nodes_count gauge
idle_nodes_count 9.0
# TYPE waiting_for_each_idle_node gauge
waiting_for_each_idle_node +Inf
# TYPE last_end gauge
last_end NaN
END
cat >convert.mjs <<'END'
import { readFileSync } from "node:fs";
import { convert, parse } from "@platformatic/promotel";
const sent = convert(parse(readFileSync("metrics", "utf8")));
for (const { name, sum, gauge, histogram } of sent.resource_metrics[0].scope_metrics[0].metrics) {
    for (const point of (sum ?? gauge ?? histogram).data_points) {
        const labels = point.attributes.map(({ value }) => value.string_value).join(" ");
        const { explicit_bounds: bounds, bucket_counts: counts, count } = point;
        console.log(`${name}{${labels}} ${JSON.stringify(histogram ? { bounds, counts, count, sum: point.sum } : point.as_double)}`);
    }
}
END
mapfile -t points < <(node convert.mjs)

expect "version" "$(node -p 'require("./node_modules/@platformatic/promotel/package.json").version')" "0.2.2"
expect "a counter" "${points[0]}" 'slurmwatchd_jobs_ended_total{debug,high CANCELLED} 3'
expect "a counter" "${points[1]}" 'slurmwatchd_jobs_ended_total{gpu COMPLETED} 1500000'
expect "a histogram, 1, 2 and 1 jobs up to 60 s, 3600 s and above" "${points[2]}" \
    'slurmwatchd_job_wait_seconds{long} {"bounds":[],"counts":[4],"count":4,"sum":9000}'
expect "a gauge" "${points[3]}" 'idle_nodes{} 7'
expect "a gauge called idle_nodes_count" "${points[4]}" 'idle_nodes{} 9'
expect "gauges of +Inf and NaN" "${points[*]:5}" ""
