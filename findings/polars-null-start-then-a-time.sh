#!/usr/bin/env bash
# polars refuses a file whose first hundred jobs never started.
#
# Expected: A field that is null in many lines and text in others is text with nulls.
# What happens: A field that is null in the first 100 lines gets the type Null, and the first line with a
#   value ends the whole read with 'got non-null value for NULL-typed column'. A hundred lines later in the
#   same file, nothing is wrong.
# Why it matters here: `start` is null for attempts cancelled before they started; a user who cancels a
#   pending array makes more than a hundred such lines, and a recipe that ran for months stops. The recipe
#   gives the schema.
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

def write(unstarted):
    with open("jobs.jsonl", "w") as file:
        for number in range(1, unstarted + 1):
            file.write(json.dumps({"job_id": f"25_{number}", "state": "CANCELLED", "start": None}) + "\n")
        file.write(json.dumps({"job_id": "26", "state": "COMPLETED", "start": "2026-11-23T10:00:00Z"}) + "\n")

def read(**options):
    try:
        return polars.read_ndjson("jobs.jsonl", **options)["start"][-1]
    except polars.exceptions.ComputeError as error:
        return str(error).splitlines()[0]

expect("version", polars.__version__, "2.1.0")
write(99)
expect("after 99 attempts without a start", read(), "2026-11-23T10:00:00Z")
write(100)
expect("after 100", read(), "got non-null value for NULL-typed column: 2026-11-23T10:00:00Z")
schema = {"job_id": polars.String, "state": polars.String, "start": polars.String}
expect("after 100, with a schema", read(schema=schema), "2026-11-23T10:00:00Z")
END
