#!/usr/bin/env bash
# pyarrow rounds the database index of a job once another one is above 2^63.
#
# Expected: Integers that do not fit 64 bits with sign are refused, or kept as unsigned or as text.
# What happens: pyarrow.json makes the whole column double, in silence, so that the smaller ones lose their
#   last digits too. (polars 2.1 and duckdb 2.0 choose 128 bits and keep them.)
# Why it matters here: From Slurm 24.11 on DBIndex is a 64-bit number of which half of all clusters have the
#   top bit set, and sacct --json prints it as a number; two jobs then share one index. The daemon writes
#   db_index as text.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyarrow==26.0.1' 'polars==2.1.0' 'duckdb==2.0.1'

cd "$folder"
venv/bin/python - <<'END'
import duckdb
import polars
import pyarrow
import pyarrow.json

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

TRUE = [7203094317895823361, 7203094317895823362, 18446744073709551615]
with open("jobs.jsonl", "w") as file:
    file.writelines(f'{{"db_index": {index}}}\n' for index in TRUE)

expect("pyarrow", pyarrow.__version__, "26.0.1")
column = pyarrow.json.read_json("jobs.jsonl")["db_index"]
expect("type", str(column.type), "double")
expect("the first two are one", len(set(column.to_pylist()[:2])), 1)
expect("polars", polars.read_ndjson("jobs.jsonl")["db_index"].to_list(), TRUE)
expect("duckdb", [row[0] for row in duckdb.sql("SELECT db_index FROM 'jobs.jsonl'").fetchall()], TRUE)
END
