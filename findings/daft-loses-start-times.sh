#!/usr/bin/env bash
# daft reads the start of every job as None where the first lines have none.
#
# Expected: A field that is null in the first lines and a time later is a time, as daft makes it elsewhere, or
#   the read ends.
# What happens: The sample gives the type Null, and every later value becomes None, without a word. TRES keys
#   behind the sample are left out as silently. schema= brings both back.
# Why it matters here: start is null for attempts that were cancelled before they started; a file that begins
#   with a cancelled array has no wait and no start at all in daft.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'daft==0.7.26'

cd "$folder"
venv/bin/python - <<'END'
import json
from importlib.metadata import version

import daft

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

with open("jobs.jsonl", "w") as file:
    for number in range(1, 20_000):
        file.write(json.dumps({"job_id": f"25_{number}", "start": None, "tres": {"cpu": 1}}) + "\n")
    last = {"job_id": "26", "start": "2026-11-23T10:00:00Z", "tres": {"cpu": 8, "gres/gpu": 4}}
    file.write(json.dumps(last) + "\n")

def read(**options):
    frame = daft.read_json("jobs.jsonl", **options)
    return frame.where(daft.col("job_id") == "26").to_pydict()

expect("version", version("daft"), "0.7.26")
seen = read()
expect("start of the last job", seen["start"], [None])
expect("its TRES", seen["tres"], [{"cpu": 8}])
tres = daft.DataType.struct({"cpu": daft.DataType.int64(), "gres/gpu": daft.DataType.int64()})
text = daft.DataType.string()
seen = read(infer_schema=False, schema={"job_id": text, "start": text, "tres": tres})
expect("start, with a schema", seen["start"], ["2026-11-23T10:00:00Z"])
expect("TRES, with a schema", seen["tres"], [{"cpu": 8, "gres/gpu": 4}])
END
