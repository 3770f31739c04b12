#!/usr/bin/env bash
# Parsl's Slurm provider turns a failed job into a completed one at its next reading of states.
#
# Expected: FAILED, TIMEOUT and CANCELLED are ends: once read, a job keeps its state.
# What happens: A job with an end is not asked for again, rightly. But every job that is missing in sacct's answer is
#   then set to COMPLETED, also those that were not asked for. So the state is right for one reading, and COMPLETED from
#   the next on, as long as another job of the provider goes on. sacct has the true state all the time.
# Why it matters here: A count of failed blocks from Parsl's monitoring does not match ours. Take state from our events
#   by job_id.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'parsl==2026.10.26'

cd "$folder"
mkdir bin
cat >bin/sbatch <<'END'
#!/bin/sh
number=$(($(cat number 2>/dev/null || echo 10) + 1))
echo "$number" >number
echo "Submitted batch job $number"
END
cat >bin/sacct <<'END'
#!/bin/sh
[ "$*" = -X ] && exit 0
for wanted; do :; done
echo "$wanted" >>asked
for job in $(echo "$wanted" | tr , ' '); do grep "^$job " states; done
END
chmod +x bin/*
printf '%s\n' '11                         TIMEOUT' '12                         RUNNING' >states
PATH=$folder/bin:$PATH venv/bin/python - <<'END'
from importlib.metadata import version
from pathlib import Path

from parsl.launchers import SimpleLauncher
from parsl.providers import SlurmProvider

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

provider = SlurmProvider(partition="short", launcher=SimpleLauncher())
provider.script_dir = "."
jobs = [provider.submit("sleep 60", 1) for _ in range(2)]

def states():
    return [status.state.name for status in provider.status(jobs)]

expect("version", version("parsl"), "2026.10.26")
expect("jobs", jobs, ["11", "12"])
expect("first reading", states(), ["TIMEOUT", "RUNNING"])
expect("second reading", states(), ["COMPLETED", "RUNNING"])
expect("asked of sacct", Path("asked").read_text(), "11,12\n12\n")
END
