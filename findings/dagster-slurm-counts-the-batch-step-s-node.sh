#!/usr/bin/env bash
# dagster-slurm counts one node of a job of sixteen, and calls a timeout a cancellation.
#
# Expected: node_hours, state and exit code are the job's: 16 nodes for ten hours are 160 node hours, and TIMEOUT.
# What happens: Of sacct's rows it takes that of the batch step, if there is one, instead of the job's. The batch step
#   is on the first node only, so that every job counts as one node; when a job runs into its limit, Slurm cancels
#   the batch step. Processor time and memory are those of the script, not of what srun started: 0 %.
# Why it matters here: node_hours stands in the metadata of Dagster's assets, from where it goes into cost reports.
#   elapsed_seconds * node_count of our events is the job's, and so are state and usage.cpu_efficiency.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# The reader of sacct's rows needs Dagster, but none of what the package submits jobs with.
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'dagster==1.13.29' 'loguru==0.7.3' 'paramiko==4.0.0'
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps 'dagster-slurm==1.22.0'

cd "$folder"
venv/bin/python - <<'END'
from importlib.metadata import version

from dagster_slurm.helpers.metrics import SlurmMetricsCollector

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

FIELDS = ("JobID", "Elapsed", "TotalCPU", "MaxRSS", "AllocNodes", "AllocCPUS", "State", "ExitCode")
ROWS = [
    ("4711", "10:00:00", "26-12:00:00", "", "16", "64", "TIMEOUT", "0:0"),
    ("4711.batch", "10:00:02", "00:00:05", "8M", "1", "4", "CANCELLED", "0:15"),
    ("4711.0", "10:00:00", "26-11:59:55", "4G", "16", "64", "CANCELLED", "0:15"),
]
collector = SlurmMetricsCollector()
answer = "\n".join("|".join(row) for row in ROWS)
metadata = collector.collect_job_metrics(4711, None, sacct_output=answer).to_metadata()

expect("version", version("dagster-slurm"), "1.22.0")
expect("asked of sacct", collector.BASE_SACCT_FIELDS, FIELDS)
expect("node hours, in truth 160", round(metadata["node_hours"], 2), 10.0)
expect("state, in truth TIMEOUT", metadata["slurm_state"], "CANCELLED")
expect("processors used, in truth 99 %", metadata["cpu_efficiency_pct"], 0.0)
expect("memory in MiB, in truth 4096", metadata["max_memory_mb"], 8.0)
END
