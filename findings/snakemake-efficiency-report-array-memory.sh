#!/usr/bin/env bash
# Snakemake's efficiency report gives all tasks of an array the memory that the last one asked for.
#
# Expected: Each task is measured against its own ReqMem.
# What happens: The job's row is found by the leading digits of JobID, which all tasks of an array share, and
#   the last row read wins. Two tasks that used 12G of 16G and 12G of 64G are both at 18.75 %.
# Why it matters here: Tasks of one array differ in memory after scontrol update, and array ids are shared by
#   whatever is keyed on the number before the underscore. Key on job_id_raw, or on id.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'snakemake-executor-plugin-slurm==2.8.0'

cd "$folder"
venv/bin/python - <<'END'
import logging
from importlib.metadata import version

from snakemake_executor_plugin_slurm.efficiency_report import parse_sacct_data

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

ROWS = [  # JobID, JobName, Comment, Elapsed, TotalCPU, NNodes, NCPUS, MaxRSS, ReqMem
    "900_1|run|align|01:00:00|03:00:00|1|4||16G",
    "900_1.0|python||01:00:00|03:00:00|1|4|12G|",
    "900_2|run|align|01:00:00|03:00:00|1|4||64G",
    "900_2.0|python||01:00:00|03:00:00|1|4|12G|",
]
expect("version", version("snakemake-executor-plugin-slurm"), "2.8.0")
table = parse_sacct_data(ROWS, 0.5, "run", logging.getLogger("report"))
seen = dict(zip(table["JobID"], table["Memory Usage (%)"].tolist(), strict=True))
expect("12G of 64G, in %", seen["900_2.0"], 18.75)
expect("12G of 16G, in truth 75 %", seen["900_1.0"], 18.75)
END
