#!/usr/bin/env bash
# ReFrame takes an array for completed while most of its tasks wait, if the array has a limit of tasks at once.
#
# Expected: A job array has ended when its last task has. PREEMPTED in sacct's answer is an end, and a signal that killed
#   a job is no exit code of 0.
# What happens: It reads the rows of sacct with a pattern that knows waiting tasks as 4711_[2-9] alone. 4711_[2-9%2], as
#   Slurm writes them for --array=0-9%2, and 4711_[2,4] are left out, so that the state is COMPLETED after the first
#   tasks; it then joins the output files and checks them. PREEMPTED counts as waiting: where preemption cancels, the
#   test waits until its max_pending_time, by default for ever. FAILED with 0:9 has the exit code 0.
# Why it matters here: Its reports of an array are of the tasks so far. Wait for our job_ended of each task instead: count
#   by array_job_id, and use `state`, exit_code and exit_signal.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'reframe-hpc==4.10.4'

cd "$folder"
mkdir bin
printf '#!/bin/sh\necho "$*" >asked\ncat ended\n' >bin/sacct
printf '#!/bin/sh\necho "4711|Resources"\n' >bin/squeue
chmod +x bin/*
HOME=$folder PATH=$folder/bin:$PATH venv/bin/python - <<'END'
import time
from pathlib import Path

import reframe
from reframe.core import config, runtime
from reframe.core.schedulers.slurm import SlurmJobScheduler

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

runtime.init_runtime(config.load_config("<builtin>"))

def polled(*rows):
    """State, exit code and end of the job 4711 once sacct has answered with these rows."""
    header = "JobID|State|ExitCode|End|NodeList"
    Path("ended").write_text("".join(f"{row}\n" for row in (header, *rows)))
    scheduler = SlurmJobScheduler()
    job = scheduler.make_job(name="array", script_filename="array.sh", workdir=".")
    job._jobid, job._submit_time = "4711", time.time()
    scheduler.poll(job)
    return job.state, job.exitcode, scheduler.finished(job)

expect("version", reframe.VERSION, "4.10.4")
DONE = "4711_0|COMPLETED|0:0|1795428000|n1"
expect("waiting [1-9]", polled(DONE, "4711_[1-9]|PENDING|0:0|Unknown|None assigned"), ("COMPLETED,PENDING", None, False))
expect("waiting [1-9%2]", polled(DONE, "4711_[1-9%2]|PENDING|0:0|Unknown|None assigned"), ("COMPLETED", 0, True))
expect("waiting [2,4]", polled(DONE, "4711_[2,4]|PENDING|0:0|Unknown|None assigned"), ("COMPLETED", 0, True))
expect("preempted", polled("4711|PREEMPTED|0:0|1795428000|n1"), ("PREEMPTED", None, False))
expect("killed", polled("4711|FAILED|0:9|1795428000|n1"), ("FAILED", 0, True))
expect("asked", Path("asked").read_text().partition(" -P ")[2], "-j 4711 -o jobid,state,exitcode,end,nodelist\n")
END
