#!/usr/bin/env bash
# DataFusion drops a TRES that comes late in the file, and ends at a late start.
#
# Expected: Keys behind the sample are read, or named in an error.
# What happens: The schema comes from the first 1,000 lines: a TRES key after that is left out in silence, a
#   start after a thousand nulls ends the read. schema_infer_max_records reads further.
# Why it matters here: A thousand lines are minutes of a busy cluster, so nearly every file hits one of the
#   two.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'datafusion==55.0.0'

cd "$folder"
venv/bin/python - <<'END'
import json

import datafusion
from datafusion import SessionContext, col

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def write(before, **fields):
    with open("jobs.jsonl", "w") as file:
        for number in range(before):
            file.write(json.dumps({"job_id": str(number), "start": None, "tres": {"cpu": 1}}) + "\n")
        file.write(json.dumps({"job_id": "last", "start": None, "tres": {"cpu": 8}} | fields) + "\n")

def read(**options):
    frame = SessionContext().read_json("jobs.jsonl", file_extension=".jsonl", **options)
    try:
        return frame.filter(col("job_id") == datafusion.lit("last")).to_pylist()[0]
    except Exception as error:
        return str(error).split(": ", 2)[-1]

expect("version", datafusion.__version__, "55.0.0")
write(999, tres={"cpu": 8, "gres/gpu": 4})
expect("new TRES in line 1,000", read()["tres"], {"cpu": 8, "gres/gpu": 4})
write(1000, tres={"cpu": 8, "gres/gpu": 4})
expect("new TRES in line 1,001", read()["tres"], {"cpu": 8})
expect("with schema_infer_max_records", read(schema_infer_max_records=100_000)["tres"], {"cpu": 8, "gres/gpu": 4})
write(1000, start="2026-11-23T10:00:00Z")
expect("first start in line 1,001", read(), "Json error: whilst decoding field 'start': expected null got \"2026-11-23T10:00:00Z\"")
END
