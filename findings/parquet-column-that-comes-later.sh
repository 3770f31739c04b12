#!/usr/bin/env bash
# A column that a Parquet archive gets later is left out by three readers in silence, and stops the fourth.
#
# Expected: Readers take the union of the files' columns, and fill the old files with nulls.
# What happens: pyarrow, pandas and duckdb take the first file's columns and say nothing of a field that newer
#   files have; polars 2.1 raises SchemaError.
# Why it matters here: A Slurm upgrade brings fields (restarts with 24.11). The archive has one schema from
#   its first day on, and a new field rewrites it; who writes files of their own beside it must ask for the
#   union (union_by_name, a schema, missing_columns).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyarrow==26.0.1' 'polars==2.1.0' 'pandas==3.1.1' 'duckdb==2.0.1'

cd "$folder"
venv/bin/python - <<'END'
import os

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

os.mkdir("archive")
pyarrow.parquet.write_table(pyarrow.table({"job_id": ["31"]}), "archive/2026-11-22.parquet")
pyarrow.parquet.write_table(pyarrow.table({"job_id": ["32"], "restarts": [1]}), "archive/2026-11-23.parquet")

versions = [pyarrow.__version__, polars.__version__, pandas.__version__, duckdb.__version__]
expect("pyarrow, polars, pandas, duckdb", versions, ["26.0.1", "2.1.0", "3.1.1", "2.0.1"])
expect("pyarrow", pyarrow.dataset.dataset("archive").to_table().column_names, ["job_id"])
expect("pandas", pandas.read_parquet("archive").columns.tolist(), ["job_id"])
expect("duckdb", duckdb.sql("FROM 'archive/*.parquet'").columns, ["job_id"])
expect("duckdb, union_by_name", duckdb.sql("FROM read_parquet('archive/*.parquet', union_by_name = true)").columns, ["job_id", "restarts"])
try:
    seen = polars.read_parquet("archive").columns
except polars.exceptions.SchemaError as error:
    seen = str(error).split(",")[0]
expect("polars", seen, "extra column in file outside of expected schema: restarts")
END
