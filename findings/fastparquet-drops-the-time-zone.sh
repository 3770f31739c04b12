#!/usr/bin/env bash
# fastparquet reads a column of times in UTC as times without a zone.
#
# Expected: A column of Parquet whose type says that its times are in UTC (isAdjustedToUTC) becomes times in UTC, as
#   pyarrow, polars and duckdb read it.
# What happens: The dtype is datetime64[us]: 10:00, of no zone. A comparison with a time in UTC is a TypeError, which
#   leads to dropping the zone there too; tz_localize("Europe/Berlin"), the usual next step, makes it 10:00 in Berlin;
#   and a Python datetime of it is an hour off as soon as it is asked for its timestamp(), by the machine's zone. Only
#   where pandas wrote the file is the zone kept, in pandas' own note in it.
# Why it matters here: start and end of `slurmwatchd export --format parquet` and of the archive are in UTC. After
#   reading, tz_localize("UTC"); or read with pyarrow, which is what pandas takes if both are there.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'fastparquet==2026.9.0' 'pyarrow==26.0.1' 'pandas==3.1.1'

cd "$folder"
TZ=Europe/Berlin venv/bin/python -W ignore - <<'END'
from datetime import UTC, datetime

import fastparquet
import pandas
import pyarrow
import pyarrow.parquet

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

start = datetime(2026, 11, 23, 10, tzinfo=UTC)
times = pyarrow.array([start, None], pyarrow.timestamp("us", tz="UTC"))
pyarrow.parquet.write_table(pyarrow.table({"job_id": ["4711_3", "4712"], "start": times}), "jobs.parquet")
logical = pyarrow.parquet.ParquetFile("jobs.parquet").schema.column(1).logical_type.to_json()

expect("versions", (fastparquet.__version__, pandas.__version__), ("2026.9.0", "3.1.1"))
expect("in the file", '"isAdjustedToUTC":true' in logical.replace(" ", ""), True)
expect("pyarrow", str(pyarrow.parquet.read_table("jobs.parquet").to_pandas()["start"].dtype), "datetime64[us, UTC]")
read = fastparquet.ParquetFile("jobs.parquet").to_pandas()["start"]
expect("fastparquet", str(read.dtype), "datetime64[us]")
try:
    later = str((read >= pandas.Timestamp(start)).tolist())
except TypeError:
    later = "TypeError"
expect("compared with a time in UTC", later, "TypeError")
expect("tz_localize", str(read.dt.tz_localize("Europe/Berlin")[0]), "2026-11-23 10:00:00+01:00")
expect("seconds off", read[0].to_pydatetime().timestamp() - start.timestamp(), -3600.0)
read.dt.tz_localize("UTC").to_frame().to_parquet("pandas.parquet", engine="pyarrow")
expect("written by pandas", str(fastparquet.ParquetFile("pandas.parquet").to_pandas()["start"].dtype), "datetime64[us, UTC]")
END
