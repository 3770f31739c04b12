#!/usr/bin/env bash
# Three wrappers know some of the states in which a job ends, or none.
#
# Expected: A job that Slurm's accounting has as ended is ended, in whatever way: ten states say so.
# What happens: nanoslurm asks `squeue -j`, which has no ended jobs without -t all: UNKNOWN for all of them. slurm-sdk
#   asks sacct once slurmctld has forgotten the job, and knows five states: "CANCELLED by 1000", the usual form, is not
#   one of them, nor are OUT_OF_MEMORY, PREEMPTED and DEADLINE. maestrowf has no state for those either, so that a step
#   that ran out of memory has not failed, it is unknown. Who waits for an end waits on.
# Why it matters here: These states are rare, and the reason to look at all. Our events have one of them in `state`,
#   with the uid in a field of its own; new ones come as they are.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'nanoslurm==0.1.12' 'maestrowf==1.2.1' \
    'paramiko==4.0.0' 'tomlkit==0.15.2'
# Without the servers and commands that the package also has.
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps 'slurm-sdk==0.4.6'

cd "$folder"
# What Slurm 22.05 answers for a job that has ended and that slurmctld has forgotten.
mkdir bin
printf '#!/bin/sh\nexit 0\n' >bin/squeue
printf '#!/bin/sh\necho "slurm_load_jobs error: Invalid job id specified" >&2\nexit 1\n' >bin/scontrol
printf '#!/bin/sh\necho "4711|$(cat state)|0:0|2026-11-23T10:00:00|2026-11-23T10:10:00|00:10:00"\n' >bin/sacct
chmod +x bin/*
PATH=$folder/bin:$PATH venv/bin/python - 2>/dev/null <<'END'
from importlib.metadata import version
from pathlib import Path

import nanoslurm.job
from maestrowf.interfaces.script.slurmscriptadapter import SlurmScriptAdapter
from slurm.api.local import LocalBackend
from slurm.job import Job

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        print(f"changed: {what} was {known!r}")
        raise SystemExit(1)

def ends(state):
    Path("state").write_text(state)
    job = nanoslurm.job.Job(4711, "train", "ada", "short", None, None)
    name = SlurmScriptAdapter._state(None, state.split()[0]).name
    return job.is_finished(), Job("4711", backend=LocalBackend()).is_completed(), name

for package, known in {"nanoslurm": "0.1.12", "slurm-sdk": "0.4.6", "maestrowf": "1.2.1"}.items():
    expect(f"version of {package}", version(package), known)
print("state: ended for nanoslurm, for slurm-sdk; state for maestrowf")
for state, known in {
    "COMPLETED": (False, True, "FINISHED"),
    "FAILED": (False, True, "FAILED"),
    "TIMEOUT": (False, True, "TIMEDOUT"),
    "NODE_FAIL": (False, True, "HWFAILURE"),
    "CANCELLED by 1000": (False, False, "CANCELLED"),
    "OUT_OF_MEMORY": (False, False, "UNKNOWN"),
    "PREEMPTED": (False, False, "UNKNOWN"),
    "DEADLINE": (False, False, "UNKNOWN"),
    "BOOT_FAIL": (False, False, "UNKNOWN"),
    "REVOKED": (False, False, "UNKNOWN"),
}.items():
    expect(state, ends(state), known)
END
