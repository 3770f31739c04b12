#!/usr/bin/env bash
# prometheus_client's text parser takes an exemplar's time for the sample's.
#
# Expected: The parser of the Prometheus text format refuses OpenMetrics, which has a parser of its own, or
#   reads the value and leaves the exemplar.
# What happens: It takes the last number of the line for a timestamp in milliseconds: 5 # {job_id="31"} 1.0
#   1795423566.0 is a sample of 21 January 1970. Value and labels are right, no error.
# Why it matters here: Our exemplars (opt in) carry job ids. A script that asks /metrics for OpenMetrics and
#   reads it with text_string_to_metric_families hands on samples that every store drops as too old. Read it
#   with prometheus_client.openmetrics.parser.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'prometheus_client==0.26.0'

cd "$folder"
venv/bin/python - <<'END'
from importlib.metadata import version

from prometheus_client import openmetrics, parser
import prometheus_client.openmetrics.parser

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

PAGE = """\
# HELP slurmwatchd_jobs_ended Attempts that ended.
# TYPE slurmwatchd_jobs_ended counter
slurmwatchd_jobs_ended_total{partition="long"} 5.0 # {job_id="31"} 1.0 1795423566.0
# EOF
"""
def samples(parse):
    return [(sample.value, sample.timestamp) for family in parse(PAGE) for sample in family.samples]

expect("version", version("prometheus_client"), "0.26.0")
expect("value and seconds by the parser of the text format", samples(parser.text_string_to_metric_families), [(5.0, 1795423.566)])
expect("by the parser of OpenMetrics", samples(openmetrics.parser.text_string_to_metric_families), [(5.0, None)])
END
