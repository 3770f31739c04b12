#!/usr/bin/env bash
# TorchX says that an app succeeded if its last replica did, and fails at "CANCELLED by 1000".
#
# Expected: An app whose replica 0 has failed has failed; a cancelled one is CANCELLED, a state that it knows; and its list
#   of apps reads what `sacct --json` prints.
# What happens: It submits an app as a heterogeneous job, with a component for each replica, and describe() has the state
#   of sacct's last row: FAILED of 4711+0 and COMPLETED of 4711+1 are SUCCEEDED, RUNNING and PENDING are PENDING.
#   "CANCELLED by 1000", as sacct writes it of a job that a user cancelled, is an AssertionError. list() asks for all
#   jobs since 1970; state.current is a list since Slurm 23.11, which is a TypeError, and before that COMPLETING or any
#   other state of anybody's job that it does not know is a KeyError.
# Why it matters here: Who waits for an app goes on after a failure. Our events have each component with its own `state`:
#   group by het_job_id.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'torchx==0.7.0'

cd "$folder"
mkdir bin
printf '#!/bin/sh\necho "$*" >asked\ncat answer\n' >bin/sacct
chmod +x bin/sacct
HOME=$folder PATH=$folder/bin:$PATH venv/bin/python - <<'END'
import json
from importlib.metadata import version
from pathlib import Path

from torchx.schedulers.slurm_scheduler import create_scheduler

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

scheduler = create_scheduler("jobs")

def described(*states):
    """The app's state and its replicas' by sacct's rows, a component for each of these states."""
    rows = [f"4711+{number}|train-{number}|gpu|physics|8|{state}|0:0" for number, state in enumerate(states)]
    Path("answer").write_text("\n".join(("JobID|JobName|Partition|Account|AllocCPUS|State|ExitCode", *rows, "")))
    try:
        app = scheduler.describe("4711")
    except AssertionError as error:
        return f"AssertionError: {error}"
    return app.state.name, [replica.state.name for role in app.roles_statuses for replica in role.replicas]

def listed(*current):
    jobs = [{"job_id": number, "state": {"current": state}} for number, state in enumerate(current, 4711)]
    Path("answer").write_text(json.dumps({"jobs": jobs}))
    try:
        return [(app.app_id, app.state.name) for app in scheduler.list()]
    except (KeyError, TypeError) as error:
        return repr(error)

expect("version", version("torchx"), "0.7.0")
expect("COMPLETED, FAILED", described("COMPLETED", "FAILED"), ("FAILED", ["SUCCEEDED", "FAILED"]))
expect("FAILED, COMPLETED", described("FAILED", "COMPLETED"), ("SUCCEEDED", ["FAILED", "SUCCEEDED"]))
expect("RUNNING, PENDING", described("RUNNING", "PENDING"), ("PENDING", ["RUNNING", "PENDING"]))
expect("CANCELLED", described("CANCELLED"), ("CANCELLED", ["CANCELLED"]))
known = "AssertionError: failed to translate slurm state CANCELLED by 1000 to torchx state"
expect("CANCELLED by 1000", described("CANCELLED by 1000"), known)
expect("list, Slurm 23.02", listed("FAILED"), [("4711", "FAILED")])
expect("asked", Path("asked").read_text(), "--json -S1970-01-01-00:00:01\n")
expect("list, COMPLETING", listed("FAILED", "COMPLETING"), "KeyError('COMPLETING')")
expect("list, Slurm 23.11", listed(["FAILED"]), '''TypeError("unhashable type: 'list'")''')
END
