#!/usr/bin/env bash
# pandas reads a Parquet file with TRES as a map, and cannot write the same frame.
#
# Expected: read_parquet and to_parquet of one frame give the file back.
# What happens: The map becomes a list of pairs in a column of objects; writing it ends with ArrowTypeError,
#   'Expected bytes, got a int object', a message that names neither maps nor pairs. dtype_backend='pyarrow'
#   keeps the type.
# Why it matters here: alloc_tres is a map in our Parquet (MAP(VARCHAR, BIGINT)), since TRES differ from job
#   to job. Who filters the archive in pandas and saves the result needs dtype_backend='pyarrow'.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pandas==3.1.1' 'pyarrow==26.0.1' 'numpy==2.4.6'

cd "$folder"
venv/bin/python - <<'END'
import pandas
import pyarrow
import pyarrow.parquet

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

TRES = pyarrow.map_(pyarrow.string(), pyarrow.int64())
table = pyarrow.table({"job_id": ["31"], "alloc_tres": pyarrow.array([[("cpu", 2), ("gres/gpu", 1)]], type=TRES)})
pyarrow.parquet.write_table(table, "jobs.parquet")

def copy(**options):
    frame = pandas.read_parquet("jobs.parquet", **options)
    try:
        frame.to_parquet("copy.parquet")
    except pyarrow.ArrowTypeError as error:
        return error.args[0]
    return str(pyarrow.parquet.read_schema("copy.parquet").field("alloc_tres").type).split(" (")[0]

expect("versions", (pandas.__version__, pyarrow.__version__), ("3.1.1", "26.0.1"))
expect("alloc_tres in the frame", pandas.read_parquet("jobs.parquet")["alloc_tres"][0], [("cpu", 2), ("gres/gpu", 1)])
expect("written again", copy(), "Expected bytes, got a 'int' object")
expect("with dtype_backend='pyarrow'", copy(dtype_backend="pyarrow"), "map<string, int64")
END
