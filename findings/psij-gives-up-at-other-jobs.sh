#!/usr/bin/env bash
# PSI/J sees no state of its jobs change while another job of the same user waits for a node.
#
# Expected: squeue's answer is read for the jobs that PSI/J submitted; others in it are left alone.
# What happens: It asks for all jobs of the user and splits each line at blanks, into three. The reason
#   `ReqNodeNotAvail, UnavailableNodes:n8` is cut to 20 characters, with a blank among them, and the id of a pending
#   array fills its 20, so that it runs into the state. Either line is an AssertionError without a text, and the
#   states of all jobs in the answer are lost, for as long as that job waits.
# Why it matters here: A maintenance window is enough, and no message names the job. Our events come from sacct, one
#   an attempt: who needs to know when a job ends may follow those.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'psij-python==0.9.11'

cd "$folder"
HOME=$folder venv/bin/python - <<'END'
from importlib.metadata import version

from psij import JobExecutor

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def states(*lines):
    """Return what PSI/J reads in an answer of squeue 22.05.8, in columns of 20 characters."""
    answer = "".join(f"{line}\n" for line in ("JOBID               ST                  REASON              ", *lines))
    try:
        return {job: status.state.name for job, status in executor.parse_status_output(0, answer).items()}
    except AssertionError as error:
        return f"AssertionError: {error}"

OURS = "9                   R                   None                "
NODE = "8                   PD                  ReqNodeNotAvail, Una"
ARRAY = "7_[1,3,5,7,9,11-29,3PD                  JobHeldUser         "
executor = JobExecutor.get_instance("slurm")

expect("version", version("psij-python"), "0.9.11")
expect("command", executor.get_status_command(["9"]), ["squeue", "-O", "JobArrayID,StateCompact,Reason", "-t", "all", "--me"])
expect("a running job", states(OURS), {"9": "ACTIVE"})
expect("beside one that waits for a node", states(OURS, NODE), "AssertionError: ")
expect("beside a pending array", states(OURS, ARRAY), "AssertionError: ")
END
