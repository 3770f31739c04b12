#!/usr/bin/env bash
# slurm-usage finds an MPI job idle, because it looks at the batch step alone.
#
# Expected: The efficiency of a job comes from the whole job: TotalCPU of its own row, and the largest MaxRSS
#   of its steps.
# What happens: Where a batch step exists, its TotalCPU and MaxRSS replace the job's. A script that starts its
#   work with srun has a batch step of seconds and kilobytes: 63 of 64 CPU hours used become 0.0 %, and 64
#   hours are called wasted.
# Why it matters here: cpu_efficiency of our job_usage is 0.98 for the same job, since it sums the steps.
#   Users are written to over such figures.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'slurm-usage==3.1.0'

cd "$folder"
venv/bin/python - <<'END'
from importlib.metadata import version

from slurm_usage import ProcessedJob, RawJobRecord

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def row(**fields):
    return RawJobRecord(**(dict.fromkeys(RawJobRecord.get_field_names(), "") | fields))

job = row(
    JobID="900", JobName="mpi", User="ann", State="COMPLETED", ElapsedRaw="3600", AllocCPUS="64", ReqMem="256G",
    TotalCPU="2-15:00:00", AllocTRES="cpu=64,mem=256G,node=2",
)
batch = row(JobID="900.batch", State="COMPLETED", TotalCPU="00:02.100", MaxRSS="5820K")

def efficiency(*rows):
    seen = ProcessedJob.from_raw_records(*rows)
    return round(seen.cpu_efficiency, 1), round(seen.cpu_hours_wasted, 1)

expect("version", version("slurm-usage"), "3.1.0")
expect("CPU efficiency in %, hours wasted: the job's row", efficiency(job), (98.4, 1.0))
expect("CPU efficiency in %, hours wasted: with its batch step", efficiency(job, batch), (0.0, 64.0))
END
