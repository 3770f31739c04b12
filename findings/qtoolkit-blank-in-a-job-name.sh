#!/usr/bin/env bash
# QToolKit cannot read scontrol's line of a job whose name holds a blank.
#
# Expected: JobName=train big is a job named 'train big'; Slurm takes any name.
# What happens: The line is split at blanks and each part at its equals sign: IndexError, and no job. So it is
#   for a blank in Comment, Command or StdOut.
# Why it matters here: Workflow engines that follow jobs with it stop at the first such job. They can follow
#   ours by job_id instead.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'qtoolkit==0.1.7'

cd "$folder"
venv/bin/python - <<'END'
from importlib.metadata import version

from qtoolkit.io.slurm import SlurmIO

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

LINE = "JobId=31 JobName={} UserId=ann(1000) JobState=RUNNING Partition=long TimeLimit=1-00:00:00 NumNodes=1 NumCPUs=4"

def name(text):
    try:
        return SlurmIO().parse_job_output(0, LINE.format(text), "").name
    except IndexError as error:
        return f"IndexError: {error}"

expect("version", version("qtoolkit"), "0.1.7")
expect("train", name("train"), "train")
expect("train big", name("train big"), "IndexError: list index out of range")
END
