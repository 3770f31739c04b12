#!/usr/bin/env bash
# sbatchman shows a job that ran out of memory as running, for ever, and a requeued job as its first attempt.
#
# Expected: The state comes from the job's last line, whole.
# What happens: It asks `sacct -j ID -o State -D -n` and takes the first line. The column has ten characters, so that
#   OUT_OF_MEMORY is OUT_OF_ME+; the cut CANCELLED+ is known, this one is not, nor is BOOT_FAIL, and an unknown state
#   leaves the job as it was: a campaign waits for it for ever. -D lists all attempts, the oldest first. NODE_FAIL is
#   an end there, whose job is not looked at again, although the next attempt completed.
# Why it matters here: Whoever compares its table with our events finds jobs that ended days ago. Our state is
#   whole, and each attempt has its own events.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'sbatchman==2.0.3'

cd "$folder"
mkdir bin
printf '#!/bin/sh\nprintf "%%s\\n" "$*" >command\ncat answer\n' >bin/sacct
chmod +x bin/sacct
HOME=$folder PATH=$folder/bin:$PATH venv/bin/python - <<'END'
from importlib.metadata import version
from pathlib import Path

from sbatchman import SlurmConfig
from sbatchman.core.status import TERMINAL_STATES

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def state(*lines):
    """Return the state that is read where sacct prints these, and whether the job is looked at again."""
    Path("answer").write_text("".join(f"{line:>10} \n" for line in lines))
    status = SlurmConfig.get_job_status(4711).value
    return status, status not in TERMINAL_STATES

expect("version", version("sbatchman"), "2.0.3")
expect("COMPLETED", state("COMPLETED", "COMPLETED"), ("COMPLETED", False))
expect("asked of sacct", Path("command").read_text().split(" -u")[0], "-j 4711 -o State -D -n")
expect("CANCELLED by 1000", state("CANCELLED+", "CANCELLED"), ("CANCELLED", False))
expect("OUT_OF_MEMORY", state("OUT_OF_ME+", "OUT_OF_ME+"), ("UNKNOWN", True))
expect("BOOT_FAIL", state("BOOT_FAIL"), ("UNKNOWN", True))
expect("REQUEUED, then COMPLETED", state("REQUEUED", "CANCELLED", "COMPLETED", "COMPLETED"), ("QUEUED", True))
expect("NODE_FAIL, then COMPLETED", state("NODE_FAIL", "CANCELLED", "COMPLETED", "COMPLETED"), ("FAILED", False))
END
