#!/usr/bin/env bash
# duckdb reads a file for weeks, and then SELECT * fails on one line's TRES.
#
# Expected: A key that comes late in a JSON object is NULL before and a value after, or the failure names it
#   from the first question on.
# What happens: The struct of `alloc_tres` is taken from the first 20,480 lines. A question that reads the
#   struct whole ends with 'has unknown key' at the first later line with another TRES; one that reads
#   alloc_tres.cpu alone still works, so the file looks sound.
# Why it matters here: A file of a busy day has more than 20,480 lines, and a GPU type used once a day comes
#   late. The recipe declares alloc_tres MAP(VARCHAR, BIGINT).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'duckdb==2.0.1'

cd "$folder"
venv/bin/python - <<'END'
import json

import duckdb

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def write(lines):
    with open("jobs.jsonl", "w") as file:
        for number in range(1, lines):
            file.write(json.dumps({"job_id": str(number), "alloc_tres": {"cpu": 2, "node": 1}}) + "\n")
        file.write(json.dumps({"job_id": "last", "alloc_tres": {"cpu": 8, "node": 1, "gres/gpu": 4}}) + "\n")

def ask(question):
    try:
        return duckdb.sql(question).fetchall()[-1][-1]
    except duckdb.InvalidInputException as error:
        return "unknown key" if 'has unknown key "gres/gpu"' in str(error) else str(error)

expect("version", duckdb.__version__, "2.0.1")
write(20_480)
expect("new TRES in line 20,480", ask("SELECT * FROM 'jobs.jsonl' ORDER BY ALL")["gres/gpu"], 4)
write(25_000)
expect("new TRES in line 25,000, SELECT *", ask("SELECT * FROM 'jobs.jsonl'"), "unknown key")
expect("new TRES in line 25,000, one field of it", ask("SELECT sum(alloc_tres.cpu) FROM 'jobs.jsonl'"), 50_006)
declared = "read_json('jobs.jsonl', columns = {job_id: 'VARCHAR', alloc_tres: 'MAP(VARCHAR, BIGINT)'})"
expect("declared as MAP", ask(f"SELECT sum(alloc_tres['gres/gpu']) FROM {declared}"), 4)
END
