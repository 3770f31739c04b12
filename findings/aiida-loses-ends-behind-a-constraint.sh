#!/usr/bin/env bash
# AiiDA does not see that a job ran out of memory or time if its constraint has an "or" in it.
#
# Expected: Of a job that ended as OUT_OF_MEMORY, TIMEOUT or NODE_FAIL, the scheduler's plugin answers the exit code for
#   that, from what sacct said.
# What happens: It asks sacct for each field that sacct knows, `--parsable`, and splits the line at `|`. With
#   --constraint='haswell|knl', or a `|` in a comment, the job has more values than the header has names: a ValueError,
#   which CalcJob writes to its log, and the calculation has no exit code of the scheduler. A comment of two lines does
#   the same. CANCELLED, DEADLINE, PREEMPTED and BOOT_FAIL have no exit code in any case.
# Why it matters here: Its restarts with more memory or time go by these exit codes. Our `constraints` and `comment` are
#   fields of JSON; `state` and `outcome` stand in the same line.
# It installs about eighty packages.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'aiida-core==2.9.4'

cd "$folder"
AIIDA_PATH=$folder venv/bin/python -W ignore - <<'END'
from importlib.metadata import version

from aiida.schedulers.plugins.slurm import SlurmScheduler

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

scheduler = SlurmScheduler()

def exit_code(*rows):
    """The exit code of the scheduler, by sacct's answer; the fields here are a few of those that it asks for."""
    answer = "".join(f"{row}|\n" for row in ("JobID|Constraints|State|Comment", *rows))
    try:
        code = scheduler.parse_output({"retval": 0, "stdout": answer, "stderr": ""}, "", "")
    except ValueError as error:
        return f"ValueError: {error}"
    return code and code.status

expect("version", version("aiida-core"), "2.9.4")
command = scheduler._get_detailed_job_info_command("4711")
expect("asks for all fields", "sacct --helpformat" in command and command.endswith("--parsable --jobs=4711"), True)
expect("OUT_OF_MEMORY", exit_code("4711|haswell|OUT_OF_MEMORY|", "4711.batch||OUT_OF_MEMORY|"), 110)
expect("TIMEOUT", exit_code("4711|haswell&ib|TIMEOUT|"), 120)
known = "ValueError: first and second line in `detailed_job_info.stdout` differ in length: 5 vs 6"
expect("OUT_OF_MEMORY, haswell|knl", exit_code("4711|haswell|knl|OUT_OF_MEMORY|"), known)
expect("TIMEOUT, a|b in the comment", exit_code("4711|haswell|TIMEOUT|a|b"), known)
expect("two lines in the comment", exit_code("4711|haswell|TIMEOUT|a\nb")[:10], "ValueError")
for state in ("CANCELLED by 1000", "DEADLINE", "PREEMPTED", "BOOT_FAIL"):
    expect(state, exit_code(f"4711|haswell|{state}|"), None)
END
