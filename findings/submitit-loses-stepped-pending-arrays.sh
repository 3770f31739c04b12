#!/usr/bin/env bash
# submitit does not see a pending array that has a step in its task ids.
#
# Expected: sacct's row for a cancelled pending array, 25_[0-9:3%2], tells submitit that tasks 0, 3, 6 and 9
#   were cancelled, as 25_[0-9%2] does for ten tasks.
# What happens: The row is dropped with a DeprecationWarning, which Python does not show by default, and the
#   tasks stay UNKNOWN: whoever waits for them waits for ever. Ranges without a step work.
# Why it matters here: It is the same row that the daemon writes as one event with array_tasks. A portal that
#   waits with submitit and one that follows our events disagree about such arrays, and ours is the one that
#   ends.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'submitit==1.5.4'

cd "$folder"
venv/bin/python - <<'END'
import warnings
from importlib.metadata import version

from submitit.slurm.slurm import SlurmInfoWatcher

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def states(row):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        answer = SlurmInfoWatcher().read_info(f"JobID|State|NodeList\n{row}\n")
    return {job: stats["State"] for job, stats in answer.items()}, [item.category.__name__ for item in seen]

CANCELLED = "CANCELLED by 1000"
expect("version", version("submitit"), "1.5.4")
expect("25_[0-2%2]", states(f"25_[0-2%2]|{CANCELLED}|None assigned"), ({f"25_{task}": CANCELLED for task in range(3)}, []))
expect("25_[0-9:3%2]", states(f"25_[0-9:3%2]|{CANCELLED}|None assigned"), ({}, ["DeprecationWarning"]))
END
