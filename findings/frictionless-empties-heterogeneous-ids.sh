#!/usr/bin/env bash
# frictionless reads the ids of heterogeneous jobs as None, and array tasks as other jobs.
#
# Expected: A JSON text is a string in the inferred schema.
# What happens: Types are guessed from the texts. Where most ids look like integers, and 4711_3 does to
#   Python, job_id is an integer: 4711_3 is 47113, and 12+0 is None in read_rows(), without an exception. The
#   row's errors property knows; validate() does as well.
# Why it matters here: Data packages are made of such files for publication. A job with None for an id belongs
#   to nobody. Describe job_id as a string in the schema.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'frictionless[json]==5.18.1'

cd "$folder"
venv/bin/python - <<'END'
import frictionless
from frictionless import Resource, Schema

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

with open("jobs.jsonl", "w") as file:
    file.writelines(f'{{"job_id": "{job}"}}\n' for job in ["4711_3", *range(100, 200), "12+0"])

expect("version", frictionless.__version__, "5.18.1")
rows = Resource("jobs.jsonl").read_rows()
expect("4711_3 and 12+0", (rows[0]["job_id"], rows[-1]["job_id"]), (47113, None))
schema = Schema.from_descriptor({"fields": [{"name": "job_id", "type": "string"}]})
rows = Resource("jobs.jsonl", schema=schema).read_rows()
expect("4711_3 and 12+0, described", (rows[0]["job_id"], rows[-1]["job_id"]), ("4711_3", "12+0"))
END
