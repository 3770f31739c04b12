#!/usr/bin/env bash
# polars drops a TRES that it first meets after line 100.
#
# Expected: `polars.read_ndjson` either reads every key of `alloc_tres` or says that a line does not fit.
# What happens: The struct's fields are taken from the first 100 lines; keys that come later are left out
#   without a word, in read_ndjson and in scan_ndjson. infer_schema_length=None reads the whole file first, a
#   schema names what is wanted.
# Why it matters here: The cluster's GPU jobs vanish from a sum over GPUs when the day began with a hundred
#   CPU jobs. The recipe gives the schema.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'polars==2.1.0'

cd "$folder"
venv/bin/python - <<'END'
import json

import polars

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

with open("jobs.jsonl", "w") as file:
    for number in range(1, 101):
        file.write(json.dumps({"job_id": str(number), "alloc_tres": {"cpu": 2, "node": 1}}) + "\n")
    file.write(json.dumps({"job_id": "101", "alloc_tres": {"cpu": 8, "node": 1, "gres/gpu": 4}}) + "\n")

expect("version", polars.__version__, "2.1.0")
naive = polars.read_ndjson("jobs.jsonl")
expect("the last line's TRES", naive["alloc_tres"][100], {"cpu": 8, "node": 1})
lazy = polars.scan_ndjson("jobs.jsonl").collect()
expect("the last line's TRES, scanned", lazy["alloc_tres"][100], {"cpu": 8, "node": 1})
whole = polars.read_ndjson("jobs.jsonl", infer_schema_length=None)
expect("GPUs with infer_schema_length=None", whole["alloc_tres"].struct.field("gres/gpu").sum(), 4)
END
