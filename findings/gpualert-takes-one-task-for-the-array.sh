#!/usr/bin/env bash
# gpualert reports an array as a success when its first task has completed.
#
# Expected: `gpualert slurm 4711` ends when the array has ended, and names the tasks that failed.
# What happens: It asks `sacct -j 4711 -X` and reads the first line alone. Task 0 has completed: success, exit 0,
#   while task 1 runs and task 2 has failed. Of the states that end a job it knows seven: DEADLINE and BOOT_FAIL are
#   no end to it, so that it polls on unless --timeout is given.
# Why it matters here: Users run it beside our events and get a mail that says success. We deliver an event for
#   each task: count those of array_job_id.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'gpualert==0.1.6'

cd "$folder"
mkdir bin
printf '#!/bin/sh\nprintf "%%s\\n" "$*" >command\ncat answer\n' >bin/sacct
chmod +x bin/sacct
HOME=$folder PATH=$folder/bin:$PATH venv/bin/python - <<'END'
from importlib.metadata import version
from pathlib import Path

from gpualert.slurm import poll_job

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def outcome(*lines):
    """Return status, exit status and error of one look (timeout=0) at what sacct answers."""
    Path("answer").write_text("".join(f"{line}\n" for line in lines))
    result = poll_job(4711, interval=0, timeout=0)
    return result.status, result.exit_code, result.error_summary

expect("version", version("gpualert"), "0.1.6")
tasks = outcome("COMPLETED|0:0|00:10:00|sweep|gpu|n1", "RUNNING|0:0|00:20:00|sweep|gpu|n2", "FAILED|1:0|00:05:00|sweep|gpu|n3")
expect("an array of a completed, a running and a failed task", tasks, ("success", 0, ""))
known = "-j 4711 -X --parsable2 --noheader --format=State,ExitCode,Elapsed,JobName,Partition,NodeList\n"
expect("asked of sacct", Path("command").read_text(), known)
for state in "DEADLINE", "BOOT_FAIL":
    ended = outcome(f"{state}|0:0|00:10:00|sweep|gpu|n1")
    expect(f"a job that ended as {state}", ended, ("failed", 0, "Slurm state: POLL_TIMEOUT"))
expect("a job that ended as TIMEOUT", outcome("TIMEOUT|0:0|00:10:00|sweep|gpu|n1"), ("timeout", 0, "Slurm state: TIMEOUT"))
END
