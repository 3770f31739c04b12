#!/usr/bin/env bash
# polars and duckdb count the jobs of a half-written Parquet file whose name begins with a point or an underscore.
#
# Expected: Names that begin with . or _ are somebody's unfinished work, and every reader passes them by, as
#   pyarrow and pandas do.
# What happens: A pattern over folders takes them: the jobs of a file in .tmp/, of .1.parquet and of
#   _1.parquet are counted again.
# Why it matters here: A writer that renames when it is done puts its new file under such a name in the same
#   folder. The archive's temporary files lie in a folder beside the dataset.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyarrow==26.0.1' 'polars==2.1.0' 'pandas==3.1.1' 'duckdb==2.0.1'

cd "$folder"
venv/bin/python - <<'END'
import os
import shutil

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

os.makedirs("archive/day=2026-11-23/.tmp")
pyarrow.parquet.write_table(pyarrow.table({"job_id": ["31"]}), "archive/day=2026-11-23/1.parquet")
for name in (".tmp/2.parquet", ".2.parquet", "_2.parquet"):
    shutil.copy("archive/day=2026-11-23/1.parquet", f"archive/day=2026-11-23/{name}")

versions = [pyarrow.__version__, polars.__version__, pandas.__version__, duckdb.__version__]
expect("pyarrow, polars, pandas, duckdb", versions, ["26.0.1", "2.1.0", "3.1.1", "2.0.1"])
expect("pyarrow", pyarrow.dataset.dataset("archive", partitioning="hive").count_rows(), 1)
expect("pandas", len(pandas.read_parquet("archive")), 1)
expect("polars, the folder", polars.read_parquet("archive").height, 4)
expect("polars, a pattern", polars.read_parquet("archive/**/*.parquet").height, 4)
expect("duckdb", duckdb.sql("SELECT count(*) FROM 'archive/**/*.parquet'").fetchall(), [(4,)])
END
