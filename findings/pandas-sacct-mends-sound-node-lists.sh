#!/usr/bin/env bash
# pandas-sacct adds a bracket to node lists that are whole.
#
# Expected: Its repair of cut node lists leaves whole ones alone.
# What happens: Every list with an opening bracket that does not end in a closing one gets one: n[1-2],login
#   becomes n[1-2],login]. Job names NA and null become missing values, 007 the number 7.
# Why it matters here: Slurm writes the nodes of one job in this form wherever the last name stands alone. What
#   expands such a list next refuses it, or takes login] for a host; node_list in our lines is as Slurm wrote it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pandas-sacct==1.2.0' 'pandas==3.1.1' 'numpy==2.4.6'

cd "$folder"
venv/bin/python - <<'END'
import math
import os

import sacct

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def ask(text, **options):
    with open("sacct", "w") as file:
        file.write(f"#!/bin/sh\nprintf '%s\\n' {text}\n")
    os.chmod("sacct", 0o755)
    return sacct.Sacct(sacct_cmd="./sacct", allocations=True, **options).execute()

START = "2026-11-23T10:00:00|2026-11-23T11:00:00"
expect("version", sacct.__version__, "1.2.0")
seen = ask(f"'31|{START}|n[1-2],login' '32|{START}|n[1-2]'")["nodelist"].tolist()
expect("node lists n[1-2],login and n[1-2]", seen, ["n[1-2],login]", "n[1-2]"])
seen = ask("'31|007' '32|NA' '33|null'", format=["jobidraw", "jobname"])["jobname"].tolist()
expect("job names 007, NA and null", [seen[0], math.isnan(seen[1]), math.isnan(seen[2])], [7.0, True, True])
END
