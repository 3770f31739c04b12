#!/usr/bin/env bash
# enjoy-slurm's minimal view leaves out array tasks and heterogeneous jobs with the steps.
#
# Expected: sacct(jobsteps='minimal') is one row a job, without steps.
# What happens: It keeps the rows whose JobID is a number and nothing else: 4711_3, 12+0 and 25_[0-3%2] go
#   with the steps. Of scontrol show job it keeps the part of a value before the second equals sign, so
#   TRES=cpu=4,mem=16G is cpu.
# Why it matters here: A site with arrays sees a small part of its jobs, and our count is larger by that.
#   job_id is text for this reason; array_job_id and array_task_id are numbers.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'enjoy-slurm==0.1.3' 'pandas==2.3.3' 'numpy==2.2.6'

cd "$folder"
venv/bin/python - <<'END'
from importlib.metadata import version

from enjoy_slurm.parser import parse_sacct, parse_scontrol_show

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

TEXT = """\
JobID|JobName|State
812|train|COMPLETED
812.batch|batch|COMPLETED
4711_3|train|COMPLETED
12+0|train|FAILED
25_[0-3%2]|train|CANCELLED by 1000
"""
expect("version", version("enjoy-slurm"), "0.1.3")
expect("all", parse_sacct(TEXT)["JobID"].tolist(), ["812", "812.batch", "4711_3", "12+0", "25_[0-3%2]"])
expect("minimal", parse_sacct(TEXT, jobsteps="minimal")["JobID"].tolist(), [812])
seen = parse_scontrol_show("JobId=812 JobName=train\n   TRES=cpu=4,mem=16G,node=1\n")
expect("TRES=cpu=4,mem=16G,node=1", seen["812"]["TRES"], "cpu")
END
