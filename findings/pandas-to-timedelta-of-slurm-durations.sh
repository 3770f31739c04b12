#!/usr/bin/env bash
# pandas reads Slurm's duration 1-02:03:04 as minus four days.
#
# Expected: `pandas.to_timedelta` reads days-hours:minutes:seconds, or refuses it as it refuses 14:25.512.
# What happens: 26 hours, 3 minutes and 4 seconds become -5 days +17:56:56, which is minus 102 hours: neither
#   the value nor the sign is kept, and nothing is raised. A duration under a day is right, so a test with
#   short jobs passes.
# Why it matters here: Elapsed, Timelimit and TotalCPU of sacct have this form from the first day on. Our
#   lines have whole seconds in elapsed_seconds; who compares them with sacct's own text in pandas must split
#   at the hyphen first.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pandas==3.1.1' 'numpy==2.4.6'

cd "$folder"
venv/bin/python - <<'END'
import pandas

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def seconds(text):
    return pandas.to_timedelta(text).total_seconds()

expect("version", pandas.__version__, "3.1.1")
expect("02:03:04", seconds("02:03:04"), 2 * 3600 + 3 * 60 + 4)
expect("1-02:03:04, in truth 93784", seconds("1-02:03:04"), -367384.0)
expect("7-00:00:00, in truth 604800", seconds("7-00:00:00"), -2520000.0)
expect("a column of both", pandas.to_timedelta(pandas.Series(["23:59:59", "1-00:00:00"])).dt.total_seconds().tolist(), [86399.0, -360000.0])
END
