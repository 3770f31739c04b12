#!/usr/bin/env bash
# pytokio keeps the last attempt of a job, and ends at a job that never started or has a line feed in its name.
#
# Expected: What sacct prints for a job is read: each attempt, None for a start that never was, names as they
#   are.
# What happens: Records are keyed by JobIDRaw, so a requeued job has the times and nodes of its last row (with
#   a warning). A Start of None is a ValueError, a line feed in JobName an IndexError; either ends the read of
#   all jobs.
# Why it matters here: get_job_startend() of a requeued job leaves out hours that it ran, so the file systems'
#   traffic of the first attempt belongs to nobody. Our key is cluster, job_id_raw and submit; start is null
#   where it never was.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pytokio==0.13.0' 'pandas==2.3.3' 'numpy==2.2.6'

cd "$folder"
venv/bin/python - <<'END'
import warnings
from importlib.metadata import version

from tokio.connectors.slurm import Slurm

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

FIRST = "31|2026-11-23T10:00:00|2026-11-23T18:00:00|n1"
SECOND = "31|2026-11-23T18:10:00|2026-11-23T19:10:00|n2"

def read(header, *rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            job = Slurm(from_string="\n".join([header, *rows]))
            return [f"{time:%H:%M}" for time in job.get_job_startend()]
        except (ValueError, IndexError) as error:
            return f"{type(error).__name__}: {error}"

HEADER = "jobidraw|start|end|node"
expect("version", version("pytokio"), "0.13.0")
expect("two attempts, from 10:00 to 19:10", read(HEADER, FIRST, SECOND), ["18:10", "19:10"])
never = read(HEADER, FIRST, "32|None|2026-11-23T10:10:00|None assigned")
expect("beside a job that never started", never, "ValueError: time data 'None' does not match format '%Y-%m-%dT%H:%M:%S'")
feed = read("jobidraw|jobname|start|end", "31|new\nline|2026-11-23T10:00:00|2026-11-23T18:00:00")
expect("a line feed in the name", feed, "IndexError: list index out of range")
END
