#!/usr/bin/env bash
# fractal-slurm-tools counts Slurm's K, M and G in thousands.
#
# Expected: A tool for sacct's output reads 16G of MaxRSS as 16 * 1024^3 bytes, which is what Slurm means.
# What happens: It hands the text to humanfriendly, whose default is 1000: 16G is 16,000,000,000 bytes, 7 %
#   too little, and prints as '16 GB'. humanfriendly also takes the n of 4Gn (per node) for nothing and says 4
#   GB for a job on eight nodes.
# Why it matters here: Its figures lie under max_rss_bytes of our job_usage by 2.4, 4.9 and 7.4 % for K, M and
#   G; neither side has lost anything.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'fractal-slurm-tools==0.6.0' 'humanfriendly==10.0'

cd "$folder"
venv/bin/python - <<'END'
from importlib.metadata import version

from fractal_slurm_tools.sacct_parser_functions import _str_to_bytes, _str_to_bytes_to_friendly
from humanfriendly import parse_size

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

expect("version", version("fractal-slurm-tools"), "0.6.0")
expect("5820K, in truth 5959680", _str_to_bytes("5820K"), 5_820_000)
expect("16G, in truth 17179869184", _str_to_bytes("16G"), 16_000_000_000)
expect("16G as it is shown", _str_to_bytes_to_friendly("16G"), "16 GB")
expect("4Gn in humanfriendly", parse_size("4Gn"), 4_000_000_000)
expect("16G in humanfriendly with binary=True", parse_size("16G", binary=True), 17_179_869_184)
END
