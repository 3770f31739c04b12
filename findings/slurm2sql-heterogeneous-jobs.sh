#!/usr/bin/env bash
# slurm2sql gives a heterogeneous job more processor time than it had, and no state.
#
# Expected: Its view eff shows the components 12+0 and 12+1, or the sum of both.
# What happens: The number before the plus is its key. Used processor time is summed over the components and
#   the reserved one is the largest component's, so an efficiency above 100 % is normal; the state is looked
#   up under '12', which no row has.
# Why it matters here: Our lines carry het_job_id and het_job_offset and one line a component; sums must go
#   over components. Failed heterogeneous jobs do not show in a report by state made with slurm2sql.
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
COMMON = {"State": "FAILED", "Submit": "2026-11-23T10:00:00", "Start": "2026-11-23T10:00:00", "End": "2026-11-23T11:00:00",
          "Elapsed": "01:00:00", "NNodes": "1", "ExitCode": "1:0"}

def row(job, cpus, used=""):
    usage = f"cpu={used},mem=1G" if used else ""
    return COMMON | {"JobID": job, "JobIDRaw": job, "NCPUS": str(cpus), "CPUTime": f"{cpus}:00:00", "TRESUsageInTot": usage}

ROWS = [row("12+0", 8), row("12+0.batch", 8, "07:30:00"), row("12+1", 16), row("12+1.0", 16, "15:30:00")]
lines = [";|;".join(COLUMNS), *(";|;".join(fields.get(name, "") for name in COLUMNS) for fields in ROWS)]
database = sqlite3.connect(":memory:")
slurm2sql.slurm2sql(database, raw_sacct=[line + "\n" for line in lines])

expect("version", version("slurm2sql"), "0.9.9")
seen = database.execute("SELECT JobID, State, NCPUS, round(CPUeff, 4) FROM eff").fetchall()
expect("one row for both components: id, state, CPUs, efficiency; in truth 24 and 0.9583", seen, [("12", None, 16, 1.4375)])
END
