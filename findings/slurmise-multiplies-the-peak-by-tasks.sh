#!/usr/bin/env bash
# slurmise learns the largest task's memory times the number of tasks, and the last step's time alone.
#
# Expected: What a job used comes from all its steps; its memory from the sum that sacct has (tres.requested.total),
#   or the largest step.
# What happens: Without a step it takes the last one, such as the copying at the end: 12 seconds and 20 MiB for a
#   job of ten hours. In the step that it takes, the peak of the largest task is multiplied by the tasks: one of 64
#   has 60 GiB and the others 1, which makes 3,840 GiB, where all have 123.
# Why it matters here: It predicts what the next job should ask for. usage has both values of the largest step:
#   max_rss_bytes of one task, and memory_bytes of all.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# The reader of sacct's JSON needs none of what the package depends on (h5py, pandas, scikit-learn).
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps 'slurmise==1.0.0'

cd "$folder"
mkdir bin
printf '#!/bin/sh\nprintf "%%s\\n" "$*" >command\ncat answer\n' >bin/sacct
chmod +x bin/sacct
PATH=$folder/bin:$PATH venv/bin/python - <<'END'
import json
from importlib.metadata import version
from pathlib import Path

from slurmise.slurm import parse_slurm_job_metadata

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

GIB = 2**30

def step(number, seconds, tasks, largest, total):
    def memory(count):
        return [{"type": "mem", "name": "", "id": 2, "count": count}]

    return {
        "step": {"id": f"900.{number}", "name": "step"},
        "time": {"elapsed": seconds},
        "tasks": {"count": tasks},
        "tres": {"requested": {"max": memory(largest), "total": memory(total)}},
    }

unset = {"set": False, "infinite": False, "number": 0}
job = {
    "job_id": 900,
    "name": "mpi",
    "state": {"current": ["COMPLETED"], "reason": "None"},
    "required": {"CPUs": 64, "memory_per_cpu": unset, "memory_per_node": {"set": True, "infinite": False, "number": 262144}},
    "steps": [step("0", 36000, 64, 60 * GIB, 123 * GIB), step("1", 12, 1, 20 * 2**20, 20 * 2**20)],
}
Path("answer").write_text(json.dumps({"jobs": [job], "errors": [], "warnings": []}))

def learnt(step_id=None):
    metadata = parse_slurm_job_metadata("900", step_id)
    return metadata["step_id"], metadata["elapsed_seconds"], metadata["max_rss"]

expect("version", version("slurmise"), "1.0.0")
expect("step, seconds and MiB of the job", learnt(), ("1", 12, 20))
expect("asked of sacct", Path("command").read_text(), "-j 900 --json\n")
expect("step, seconds and MiB of its main step, in truth 123 GiB", learnt("0"), ("0", 36000, 3840 * 1024))
END
