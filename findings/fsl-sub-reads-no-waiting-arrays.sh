#!/usr/bin/env bash
# fsl_sub cannot read the status of an array whose tasks wait, and calls a job that ends or starts a failed one.
#
# Expected: job_status() answers for each task of an array, those that wait too, as fsl_sub knows QUEUED.
# What happens: It reads JobID of sacct as numbers: 4711_[2-9], one row for all tasks that wait, is an error
#   (GridOutputError) that hides the tasks that run or have ended, and so is 4711+0. So is the Start of a job that was
#   cancelled before it began, which is None, and a `|` in a job name. CONFIGURING, COMPLETING and PREEMPTED are FAILED.
#   Asked for one task, it is a TypeError within for every job.
# Why it matters here: FSL's pipelines submit arrays of hundreds of tasks. Read the ends of tasks from our events, by
#   array_job_id and array_task_id.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'fsl-sub-plugin-slurm==1.7.0' 'fsl-sub==2.11.0'

cd "$folder"
mkdir bin
printf '#!/bin/sh\ncat answer\n' >bin/sacct
chmod +x bin/sacct
HOME=$folder PATH=$folder/bin:$PATH venv/bin/python - <<'END'
from importlib.metadata import version
from pathlib import Path

import fsl_sub.consts
from fsl_sub.exceptions import GridOutputError
from fsl_sub_plugin_slurm import SlurmPlugin

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

TIMES = "2026-11-23T09:00:00|2026-11-23T10:00:00|2026-11-23T10:10:00"
WAITS = "2026-11-23T09:00:00|Unknown|Unknown"

def status(*rows, task=None):
    """The tasks' status, by sacct's JobID, JobName, Submit, Start, End, State and ExitCode."""
    Path("answer").write_text("".join(f"{row}\n" for row in rows))
    try:
        job = SlurmPlugin().job_status(4711, task)
    except GridOutputError as error:
        return f"GridOutputError from {error.__cause__!r}"
    return {number: fsl_sub.consts.REPORTING[task["status"]] for number, task in job["tasks"].items()}

expect("versions", (version("fsl-sub-plugin-slurm"), version("fsl-sub")), ("1.7.0", "2.11.0"))
done, waiting = f"4711_1|bet|{TIMES}|COMPLETED|0:0", f"4711_2|bet|{WAITS}|PENDING|0:0"
expect("two tasks", status(done, waiting), {1: "Finished", 2: "Queued"})
known = '''GridOutputError from ValueError("invalid literal for int() with base 10: '[2-9]'")'''
expect("tasks that wait", status(done, f"4711_[2-9]|bet|{WAITS}|PENDING|0:0"), known)
known = '''GridOutputError from ValueError("invalid literal for int() with base 10: '4711+0'")'''
expect("heterogeneous", status(f"4711+0|bet|{TIMES}|COMPLETED|0:0"), known)
cancelled = "4711|bet|2026-11-23T09:00:00|None|2026-11-23T10:10:00|CANCELLED by 1000|0:0"
known = '''GridOutputError from ValueError("time data 'None' does not match format '%Y-%m-%dT%H:%M:%S'")'''
expect("cancelled before it began", status(cancelled), known)
for state in ("CONFIGURING", "COMPLETING", "PREEMPTED"):
    expect(state, status(f"4711|bet|{TIMES}|{state}|0:0"), {1: "Failed"})
known = "GridOutputError from TypeError('str.join() takes exactly one argument (2 given)')"
expect("one task", status(done, task=1), known)
END
