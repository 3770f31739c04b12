#!/usr/bin/env bash
# ADBC's SQLite driver takes a text column for integers where its first 1,024 rows are NULL.
#
# Expected: A column that the table declares as TEXT is read as text, or as what its values are.
# What happens: The driver looks at the values of the first 1,024 rows and at nothing else; only NULLs make int64. The
#   first start after that ends the whole read: expected INT64 but got STRING/BINARY. A column of efficiencies
#   ends it as well. With fewer such rows in front, the same table is read, and polars' other engine reads both.
# Why it matters here: Jobs that never started come in thousands, when an array is cancelled. polars and pandas read
#   an SQLite file of our lines through this driver (engine="adbc"). Raise adbc.sqlite.query.batch_rows above the
#   table's rows, or read Parquet.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'adbc-driver-sqlite==1.13.0' 'pyarrow==26.0.1'

cd "$folder"
venv/bin/python - <<'END'
import sqlite3
from importlib.metadata import version

import adbc_driver_sqlite.dbapi

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def read(never_started, column="start", **options):
    """Return the type of a column whose first rows are NULL, or the error."""
    path = f"{never_started}.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE IF NOT EXISTS jobs (id TEXT, start TEXT, cpu_efficiency REAL)")
        database.execute("DELETE FROM jobs")
        database.executemany("INSERT INTO jobs VALUES (?, NULL, NULL)", [(f"alpha/{job}/1",) for job in range(never_started)])
        database.execute("INSERT INTO jobs VALUES ('alpha/last/1', '2026-11-23T10:00:00Z', 0.5)")
    with adbc_driver_sqlite.dbapi.connect(path) as connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**options)
        cursor.execute(f"SELECT {column} FROM jobs")
        try:
            return str(cursor.fetch_arrow_table().schema.field(column).type)
        except OSError as error:
            return str(error)

MISMATCH = "[SQLite] Type mismatch in column 0: expected INT64 but got "
expect("version", version("adbc-driver-sqlite"), "1.13.0")
expect("start after 1,023 jobs that never started", read(1023), "string")
expect("start after 1,024", read(1024), MISMATCH + "STRING/BINARY")
expect("cpu_efficiency after 1,024", read(1024, "cpu_efficiency"), MISMATCH + "DOUBLE")
expect("start after 1,024, batch_rows", read(1024, **{"adbc.sqlite.query.batch_rows": "2000"}), "string")
END
