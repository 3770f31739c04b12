#!/usr/bin/env bash
# Snakemake's efficiency report takes a terabyte for a megabyte.
#
# Expected: The report of the Slurm plug-in reads the sizes that sacct prints, T among them.
# What happens: K, M and G are known; T is cut off without a word, so ReqMem 1T is 1 MB and a job that used
#   900G of it has a memory usage of 92,160,000 %. A MaxRSS of 1.20T is 1.2 MB, so a job that filled its
#   memory looks idle.
# Why it matters here: memory_efficiency of our job_usage is between 0 and 1 for the same job. Large-memory
#   nodes are the ones that such a report is read for.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'snakemake-executor-plugin-slurm==2.8.0'

cd "$folder"
venv/bin/python - <<'END'
import logging
from importlib.metadata import version

from snakemake_executor_plugin_slurm.efficiency_report import parse_maxrss, parse_sacct_data

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

ROWS = [  # JobID, JobName, Comment, Elapsed, TotalCPU, NNodes, NCPUS, MaxRSS, ReqMem
    "900|run|assemble|01:00:00|1-23:00:00|1|48||1T",
    "900.0|python||01:00:00|1-23:00:00|1|48|900G|",
    "901|run|assemble|01:00:00|1-23:00:00|1|48||1000G",
    "901.0|python||01:00:00|1-23:00:00|1|48|900G|",
]
expect("version", version("snakemake-executor-plugin-slurm"), "2.8.0")
table = parse_sacct_data(ROWS, 0.5, "run", logging.getLogger("report"))
seen = dict(zip(table["JobID"], table["Memory Usage (%)"].tolist(), strict=True))
expect("memory usage of 900G in 1T, in %", seen["900.0"], 92_160_000.0)
expect("memory usage of 900G in 1000G, in %", seen["901.0"], 90.0)
expect("MaxRSS 1.20T in MB, in truth 1258291.2", parse_maxrss("1.20T"), 1.2)
END
