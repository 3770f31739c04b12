#!/usr/bin/env bash
# CodeCarbon gives a job the memory of the whole machine where Slurm prints a fraction.
#
# Expected: Within a Slurm job it counts the memory that the job has, from mem= of `scontrol show job`.
# What happens: mem= is read as whole digits. What is no whole number of its unit, as 1536 MiB or 64000 MiB, Slurm
#   prints as 1.50G or 62.50G: the text does not match, and the node's total memory counts instead. Whole numbers are
#   taken as thousands, the machine's memory as GiB: 4000M is 4.0, in truth 3.9 GiB.
# Why it matters here: Memory is part of the energy it reports. Of two like jobs that ask for 62G and for 62.5G, the
#   second is charged with the node. Compare by alloc_tres.mem_bytes, and by energy_joules where the cluster
#   measures energy.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'codecarbon==3.3.2'

cd "$folder"
mkdir bin
printf '#!/bin/sh\ncat job\n' >bin/scontrol
chmod +x bin/scontrol
SLURM_JOB_ID=4711 CODECARBON_LOG_LEVEL=critical PATH=$folder/bin:$PATH venv/bin/python - <<'END'
from importlib.metadata import version
from pathlib import Path

import psutil
from codecarbon.external.ram import RAM

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

MACHINE = psutil.virtual_memory().total

def gigabytes(memory, fields="AllocTRES"):
    Path("job").write_text(
        f"JobId=4711 JobName=train\n   JobState=RUNNING Reason=None\n   NumNodes=1 NumCPUs=4 NumTasks=4\n"
        f"   {fields}=cpu=4,mem={memory},node=1,billing=4\n"
    )
    size = RAM().machine_memory_GB
    return "the machine" if size * 10**9 == MACHINE or size * 2**30 == MACHINE else size

expect("version", version("codecarbon"), "3.3.2")
expect("62G", gigabytes("62G"), 62)
expect("62.50G", gigabytes("62.50G"), "the machine")
expect("62.50G, before Slurm 23.02", gigabytes("62.50G", "TRES"), "the machine")
expect("4000M", gigabytes("4000M"), 4.0)
END
