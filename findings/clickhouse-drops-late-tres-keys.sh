#!/usr/bin/env bash
# ClickHouse drops the GPUs of jobs that come late in the file, and moves their day.
#
# Expected: file('jobs.jsonl', JSONEachRow) has every key of alloc_tres, or says which line does not fit;
#   2026-10-31T23:30:00Z is in October.
# What happens: The type of alloc_tres comes from the first 25,000 rows; a key that is not among them is left
#   out in silence. Times become DateTime, so toYYYYMM(end) counts in the machine's zone. With a structure,
#   alloc_tres as Map, both are right.
# Why it matters here: GPU hours by month are too small, and differ between two machines. The recipe gives the
#   types, and the zone with them.
# Needs: python3 3.11 with venv, PyPI (about 200 MB), and 1 GB in the temporary folder.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'chdb==4.4.0' 'chdb-core==26.9.0'

cd "$folder"
TZ=Europe/Berlin venv/bin/python - <<'END'
import json

import chdb

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

ENDED = "2026-10-31T23:30:00Z"
with open("jobs.jsonl", "w") as file:
    for number in range(1, 40_001):
        file.write(json.dumps({"job_id": str(number), "end": ENDED, "alloc_tres": {"cpu": 2}}) + "\n")
    file.write(json.dumps({"job_id": "last", "end": ENDED, "alloc_tres": {"cpu": 8, "gres/gpu": 4}}) + "\n")

def ask(question):
    return str(chdb.query(question, "CSV")).strip()

expect("version", ask("SELECT version()"), '"26.9.2.1"')
expect("the last job's TRES", ask("SELECT alloc_tres FROM file('jobs.jsonl', JSONEachRow) WHERE job_id = 'last'"), '"(8)"')
expect("its month", ask("SELECT toYYYYMM(end) FROM file('jobs.jsonl', JSONEachRow) WHERE job_id = 'last'"), "202611")
structure = "job_id String, end DateTime(\\'UTC\\'), alloc_tres Map(String, Int64)"
right = f"file('jobs.jsonl', JSONEachRow, '{structure}') WHERE job_id = 'last'"
settings = "SETTINGS date_time_input_format = 'best_effort'"
expect("GPUs, with a structure", ask(f"SELECT alloc_tres['gres/gpu'] FROM {right} {settings}"), "4")
expect("month, with a structure", ask(f"SELECT toYYYYMM(end) FROM {right} {settings}"), "202610")
END
