#!/usr/bin/env bash
# slurm2sql keeps one attempt of a requeued job, or none at all.
#
# Expected: `slurm2sql -- -a -D` has a row for each attempt that `sacct -D` prints.
# What happens: JobID is unique in its table. A second attempt of the same id is an IntegrityError that ends
#   the import; with --update it replaces the first, whose hours are gone. The same holds for the jobs of two
#   clusters that share an id.
# Why it matters here: A million jobs with two percent of requeues differ from our count by twenty thousand,
#   and by what they used. Our key is cluster, job_id_raw and submit.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'slurm2sql==0.9.9'

cd "$folder"
venv/bin/python - <<'END'
import sqlite3
from importlib.metadata import version

import slurm2sql

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

COLUMNS = [name for name in [*slurm2sql.COLUMNS, *slurm2sql.COLUMNS_EXTRA] if not name.startswith("_")]
ATTEMPT = {"JobID": "31", "JobIDRaw": "31", "NCPUS": "4", "NNodes": "1", "ExitCode": "0:0", "CPUTime": "04:00:00"}
ATTEMPTS = [
    ATTEMPT | {"State": "REQUEUED", "Submit": "2026-11-23T10:00:00", "Start": "2026-11-23T10:00:05",
               "End": "2026-11-23T18:00:05", "Elapsed": "08:00:00"},
    ATTEMPT | {"State": "COMPLETED", "Submit": "2026-11-23T18:00:05", "Start": "2026-11-23T18:02:00",
               "End": "2026-11-23T19:02:00", "Elapsed": "01:00:00"},
]

def load(**options):
    lines = [";|;".join(COLUMNS), *(";|;".join(row.get(name, "") for name in COLUMNS) for row in ATTEMPTS)]
    database = sqlite3.connect(":memory:")
    try:
        slurm2sql.slurm2sql(database, raw_sacct=[line + "\n" for line in lines], **options)
    except sqlite3.IntegrityError as error:
        return str(error)
    return database.execute("SELECT State, Elapsed / 3600 FROM slurm").fetchall()

expect("version", version("slurm2sql"), "0.9.9")
expect("two attempts of one job", load(), "UNIQUE constraint failed: slurm.JobID")
expect("two attempts of one job, --update", load(update=True), [("COMPLETED", 1.0)])
END
