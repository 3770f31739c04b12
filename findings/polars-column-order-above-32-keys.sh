#!/usr/bin/env bash
# polars puts the columns of a JSON line with more than 32 keys in another order in every process.
#
# Expected: `polars.read_ndjson` keeps the order of the keys, as it does for short lines.
# What happens: Up to 32 keys the columns come in the file's order; with 33 keys and more the order is random
#   and differs from one process to the next.
# Why it matters here: A job_ended line has more than 32 keys. Whoever writes such a frame to CSV, or stacks
#   two of them by position, mixes the columns of two days. The recipe selects by name.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'polars==2.1.0'

cd "$folder"
venv/bin/python - <<'END'
import json
import subprocess
import sys

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def columns(path):
    code = f"import polars; print(*polars.read_ndjson({path!r}).columns)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

for count in (32, 33):
    keys = ["id", "job_id"] + [f"field_{number:02d}" for number in range(count - 2)]
    with open(f"{count}.jsonl", "w") as file:
        file.write(json.dumps({key: "x" for key in keys}) + "\n")
    orders = {tuple(columns(f"{count}.jsonl")) for _ in range(4)}
    expect(f"{count} keys: as many orders in four processes as there should be", len(orders) == 1, count == 32)
    expect(f"{count} keys: the file's own order among them", tuple(keys) in orders, count == 32)
END
