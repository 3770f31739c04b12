#!/usr/bin/env bash
# A job whose processor time ran below zero ends reportseff's whole report, and is 1.3 trillion times efficient in slurm2sql.
#
# Expected: sacct prints a counter that ran below zero as 2^64 microseconds less a little,
#   213503982334-14:25:51; a tool marks that job and shows the others.
# What happens: reportseff cannot hold so many days in a timedelta: OverflowError, and no job is shown.
#   slurm2sql stores the seconds, and its view eff divides them by the job's own.
# Why it matters here: The daemon keeps such a value under raw, counts it and delivers the job; a sum made
#   with these tools beside ours has either no figure or an absurd one.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'reportseff==2.10.3' 'slurm2sql==0.9.9'

cd "$folder"
venv/bin/python - <<'END'
import os
import sqlite3
import subprocess
from importlib.metadata import version

import slurm2sql

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

WRAPPED = "213503982334-14:25:51"
FIELDS = "AdminComment AllocCPUS Elapsed JobID JobIDRaw MaxRSS NNodes NTasks ReqMem State Timelimit TotalCPU".split()

def seff_row(job, total_cpu):
    known = {"AllocCPUS": "4", "Elapsed": "01:00:00", "JobID": job, "JobIDRaw": job, "NNodes": "1", "ReqMem": "16G",
             "State": "COMPLETED", "Timelimit": "02:00:00", "TotalCPU": total_cpu}
    return "^|^".join(known.get(field, "") for field in FIELDS) + "^|^\n"

def reportseff(*rows):
    with open("answer", "w") as file:
        file.writelines(rows)
    environment = os.environ | {"PATH": f"{os.getcwd()}/bin:{os.environ['PATH']}"}
    done = subprocess.run(["venv/bin/reportseff", "--no-color", "31", "32"], capture_output=True, text=True, env=environment)
    return done.returncode, (done.stdout or done.stderr).split()[-12:]

os.mkdir("bin")
with open("bin/sacct", "w") as file:
    file.write(f'#!/bin/sh\n[ "$1" = --helpformat ] && exec echo {" ".join(FIELDS)}\nexec cat answer\n')
os.chmod("bin/sacct", 0o755)

expect("reportseff", version("reportseff"), "2.10.3")
status, words = reportseff(seff_row("31", "03:00:00"))
expect("one sound job", (status, words[-1], "75.0%" in words), (0, "0.0%", True))
status, words = reportseff(seff_row("31", "03:00:00"), seff_row("32", WRAPPED))
expect("beside a wrapped one", (status, "OverflowError:" in words, "75.0%" in words), (1, True, False))

columns = [name for name in [*slurm2sql.COLUMNS, *slurm2sql.COLUMNS_EXTRA] if not name.startswith("_")]
job = {"JobID": "32", "JobIDRaw": "32", "State": "COMPLETED", "Submit": "2026-11-23T10:00:00", "Start": "2026-11-23T10:00:00",
       "End": "2026-11-23T11:00:00", "Elapsed": "01:00:00", "CPUTime": "04:00:00", "NCPUS": "4", "NNodes": "1", "ExitCode": "0:0"}
step = job | {"JobID": "32.batch", "JobIDRaw": "32.batch", "TRESUsageInTot": f"cpu={WRAPPED},mem=1G"}
lines = [";|;".join(columns) + "\n", *(";|;".join(row.get(name, "") for name in columns) + "\n" for row in (job, step))]
database = sqlite3.connect(":memory:")
slurm2sql.slurm2sql(database, raw_sacct=lines)
expect("slurm2sql", version("slurm2sql"), "0.9.9")
expect("CPUeff of the wrapped job", database.execute("SELECT CPUeff > 1e12 FROM eff").fetchall(), [(1,)])
END
