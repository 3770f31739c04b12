#!/usr/bin/env bash
# slurm-job-analyzer takes what `sacct -P` prints for jobs that used nothing.
#
# Expected: The reader of "sacct pipe/TSV exports" (its own words) reads the pipes that `sacct -P` writes, or says
#   that it cannot.
# What happens: It splits at tabs only. The whole header is one column that nothing asks for, each job is there
#   with an empty id, no time and no GPU, and the sum is 0 GPU-hours, without an error. Written with tabs, the same
#   export has 16. A job that was cancelled by a user ("CANCELLED by 1000") is in no count of failures then either.
# Why it matters here: It is the daily way for readers of sacct to go wrong: a header is read and not held to what
#   was asked for. The connector refuses a text in which it finds no header, and names it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'slurm-job-analyzer==0.1.1'

cd "$folder"
venv/bin/python - <<'END'
from importlib.metadata import version
from pathlib import Path

from slurm_analyze.parse import queue_wait_summary, read_sacct_tsv

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

PIPES = """\
JobID|JobName|Partition|State|Elapsed|AllocCPUS|AllocTRES|NodeList
4711|train|gpu|COMPLETED|04:00:00|16|billing=16,cpu=16,gres/gpu=2,node=1|tux1
4712|train|gpu|CANCELLED by 1000|04:00:00|16|billing=16,cpu=16,gres/gpu=2,node=1|tux2
"""
Path("pipes").write_text(PIPES)
Path("tabs").write_text(PIPES.replace("|", "\t"))
expect("version", version("slurm-job-analyzer"), "0.1.1")
rows = {name: read_sacct_tsv(Path(name)) for name in ("pipes", "tabs")}
expect("ids, tabs", [row.job_id for row in rows["tabs"]], ["4711", "4712"])
expect("ids, pipes", [row.job_id for row in rows["pipes"]], ["", ""])
summary = {name: queue_wait_summary(found) for name, found in rows.items()}
expect("GPU-hours, tabs", summary["tabs"]["total_gpu_hours"], 16.0)
expect("GPU-hours, pipes", summary["pipes"]["total_gpu_hours"], 0.0)
expect("failed, tabs, one of them cancelled", summary["tabs"]["partitions"]["gpu"]["failed_jobs"], 0)
END
