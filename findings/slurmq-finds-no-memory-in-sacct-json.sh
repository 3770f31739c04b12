#!/usr/bin/env bash
# slurmq looks for memory where no `sacct --json` has it.
#
# Expected: A reader of `sacct --json` finds the requested memory and the peak of a job that Slurm 24.11 prints.
# What happens: slurmq reads `required.memory` and `steps[].statistics.RSS.max.value`. Slurm prints
#   `required.memory_per_node` (or `memory_per_cpu`) and the peak under `steps[].tres.requested.max`, of all places.
#   Every absent key has a default, so a job of 4 GiB that used 3 is a job that asked for nothing and used 0.
#   It takes GPUs from the entry named `gpu` alone: a site that accounts typed GPUs only has none.
# Why it matters here: The JSON of sacct changes its keys from release to release, and readers of it go wrong
#   without an error. The daemon asks for columns by name and holds the header to what it asked for.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'slurmq==0.0.3'

cd "$folder"
venv/bin/python - <<'END'
from importlib.metadata import version

from slurmq.core.models import parse_sacct_json

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def number(value):
    return {"set": True, "infinite": False, "number": value}

def tres(kind, name, count):
    return {"type": kind, "name": name, "id": 0, "count": count}

# The shape is that of sacct 24.11, keys that do not bear on it left out.
JOB = {
    "job_id": 4711, "name": "train", "user": "ada", "account": "physics", "qos": "normal", "allocation_nodes": 1,
    "state": {"current": ["COMPLETED"], "reason": "None"},
    "time": {"elapsed": 3600, "start": 1795910159, "submission": 1795910100, "limit": number(120)},
    "required": {"CPUs": 2, "memory_per_cpu": {"set": False, "infinite": False, "number": 0}, "memory_per_node": number(4096)},
    "tres": {"allocated": [tres("cpu", "", 2), tres("mem", "", 4096), tres("gres", "gpu:a100", 2)]},
    "steps": [{
        "statistics": {"CPU": {"actual_frequency": 0}, "energy": {"consumed": number(0)}},
        "step": {"id": "4711.batch", "name": "batch"},
        "tres": {"requested": {"max": [tres("cpu", "", 0), tres("mem", "", 3 << 30)]}},
    }],
}
(read,) = parse_sacct_json({"jobs": [JOB]})
expect("version", version("slurmq"), "0.0.3")
expect("CPUs", read.n_cpus, 2)
expect("requested memory, 4096 MiB", read.req_mem, "")
expect("peak, 3 GiB", read.max_rss, 0)
expect("GPUs, two a100", read.n_gpus, 0)
END
