#!/usr/bin/env bash
# Four tools that count a job's GPUs from AllocTRES give four answers.
#
# Expected: gres/gpu:a100=2,gres/gpu:h100=4,gres/gpu=6 is six GPUs, and gres/gpu:a100=4 alone, where a site
#   accounts by type only, is four.
# What happens: slurm-receipt keeps the last type (four), slurm-job-analyzer the first (two); jobscope and
#   slurm-usage read gres/gpu only, so a site that accounts by type has no GPU at all.
# Why it matters here: Our metrics count typed and untyped GPUs once, whichever the site accounts, so that
#   none of these can be used to check them. Sum gres/gpu where it stands, else the types.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'slurm-receipt==0.1.0' 'slurm-job-analyzer==0.1.1' 'jobscope==0.1.1' 'slurm-usage==3.1.0'

cd "$folder"
venv/bin/python - <<'END'
from importlib.metadata import version

from jobscope.blob import gpus_from_tres
from slurm_analyze.parse import _parse_tres_gpus
from slurm_receipt.sacct import parse_tres
from slurm_usage import _parse_gpu_count

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

MIXED = "billing=48,cpu=48,gres/gpu:a100=2,gres/gpu:h100=4,gres/gpu=6,mem=256G,node=2"
TYPED = "billing=16,cpu=16,gres/gpu:a100=4,mem=64G,node=1"
TOOLS = {
    "slurm-receipt": (lambda tres: parse_tres(tres)["gpu_count"], "0.1.0", 4, 4),
    "slurm-job-analyzer": (_parse_tres_gpus, "0.1.1", 2, 4),
    "jobscope": (gpus_from_tres, "0.1.1", 6, 0),
    "slurm-usage": (_parse_gpu_count, "3.1.0", 6, 0),
}
for tool, (count, known_version, mixed, typed) in TOOLS.items():
    expect(f"{tool}, version", version(tool), known_version)
    expect(f"{tool}, two types and their sum, in truth 6", count(MIXED), mixed)
    expect(f"{tool}, one type without a sum, in truth 4", count(TYPED), typed)
END
