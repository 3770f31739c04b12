#!/usr/bin/env bash
# Three readers of a Parquet archive take the cluster 007 for 7, and add its jobs to the cluster 7.
#
# Expected: cluster=007 in a path is the text 007.
# What happens: pyarrow and polars make the partition an integer, so both clusters are 7; pandas, which reads
#   through pyarrow, ends with 'Categorical categories must be unique'. duckdb alone keeps the text.
# Why it matters here: Cluster names are free text in Slurm. The archive keeps the cluster as a text column in
#   the file, and only the day in the path.
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

def archive(*clusters):
    shutil.rmtree("archive", ignore_errors=True)
    for cluster in clusters:
        os.makedirs(f"archive/cluster={cluster}")
        pyarrow.parquet.write_table(pyarrow.table({"job_id": ["31"]}), f"archive/cluster={cluster}/1.parquet")

def read_pandas():
    try:
        return pandas.read_parquet("archive")["cluster"].tolist()
    except ValueError as error:
        return str(error)

def read_duckdb():
    question = "SELECT cluster FROM read_parquet('archive/**/*.parquet', hive_partitioning = true) ORDER BY ALL"
    return [row[0] for row in duckdb.sql(question).fetchall()]

versions = [pyarrow.__version__, polars.__version__, pandas.__version__, duckdb.__version__]
expect("pyarrow, polars, pandas, duckdb", versions, ["26.0.1", "2.1.0", "3.1.1", "2.0.1"])
archive("007", "7")
expect("pyarrow", pyarrow.dataset.dataset("archive", partitioning="hive").to_table()["cluster"].to_pylist(), [7, 7])
expect("polars", polars.read_parquet("archive", hive_partitioning=True)["cluster"].to_list(), [7, 7])
expect("pandas", read_pandas(), "Categorical categories must be unique")
expect("duckdb", read_duckdb(), ["007", "7"])
archive("007")
expect("pyarrow, 007 alone", pyarrow.dataset.dataset("archive", partitioning="hive").to_table()["cluster"].to_pylist(), [7])
expect("duckdb, 007 alone", read_duckdb(), ["007"])
END
