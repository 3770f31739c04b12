#!/usr/bin/env bash
# A pyarrow dataset that is kept counts the rows of a file that was replaced long ago.
#
# Expected: Each question reads the files as they are.
# What happens: count_rows() of the same object gives the number of before, after a file was replaced under
#   its name; to_table() ends with an OSError, or with rows of the old footer's ranges. A new dataset object
#   is right, and so is polars' scan.
# Why it matters here: A notebook or service keeps the object for days, while a late revision rewrites a day.
#   Files of our archive get a new name when a day is rewritten, and the dataset must be made anew for each
#   question.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pyarrow==26.0.1' 'polars==2.1.0'

cd "$folder"
venv/bin/python - <<'END'
import os

import polars
import pyarrow
import pyarrow.dataset
import pyarrow.parquet

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def write(jobs):
    table = pyarrow.table({"job_id_raw": list(range(jobs))})
    pyarrow.parquet.write_table(table, "new")
    os.replace("new", "archive/2026-11-23.parquet")

os.mkdir("archive")
write(1000)
kept, scan = pyarrow.dataset.dataset("archive"), polars.scan_parquet("archive")
expect("versions", (pyarrow.__version__, polars.__version__), ("26.0.1", "2.1.0"))
expect("jobs at first", kept.count_rows(), 1000)
write(2000)
expect("after the day was rewritten", kept.count_rows(), 1000)
try:
    seen = kept.to_table().num_rows
except OSError as error:
    seen = type(error).__name__
expect("and read", seen, "OSError")
expect("a new dataset", pyarrow.dataset.dataset("archive").count_rows(), 2000)
expect("polars, the scan that was kept", scan.select(polars.len()).collect().item(), 2000)
END
