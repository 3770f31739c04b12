#!/usr/bin/env bash
# PyYAML reads the time limit 10:00:00 as 36000, and Slurm takes 36000 for minutes: 25 days.
#
# Expected: `time: 10:00:00` in a profile or a workflow's YAML is the text that sbatch knows as ten hours.
# What happens: YAML 1.1 has numbers to the base 60, and PyYAML is of that version: 10:00:00 is 36000 and 14:25 is 865,
#   while 01:00:00, which begins with 0, and 1-02:00:00 stay texts, so that short trials work. sbatch reads a number
#   as minutes. The array task 4711_3 is 47113, the account 007 is 7, 010 is 8 (10 for ruamel.yaml). ruamel.yaml, of
#   YAML 1.2, keeps the time as text and writes it without quotes, for PyYAML to read as a number.
# Why it matters here: Such jobs are refused by the partition's limit, or run on for weeks where there is none; in sacct
#   they show Timelimit 25-00:00:00, our timelimit_seconds 2160000. Write times in quotes.
# Needs: Debian 12 with fetched package lists (apt-get update).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'PyYAML==6.0.4' 'ruamel.yaml==0.19.1'

cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download slurm-wlm-basic-plugins=22.05.8-4+deb12u3
dpkg -x slurm-wlm-basic-plugins*.deb .
venv/bin/python - <<'END'
import ctypes
import io
from importlib.metadata import version
from pathlib import Path

import ruamel.yaml
import yaml

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def by_pyyaml(text):
    return yaml.safe_load(f"value: {text}")["value"]

def by_ruamel(text):
    return ruamel.yaml.YAML(typ="safe").load(f"value: {text}")["value"]

def minutes(limit):
    """What Slurm's own library makes of --time."""
    library, = Path("usr/lib").glob("*/slurm-wlm/libslurmfull.so")
    return ctypes.CDLL(str(library)).slurm_time_str2mins(str(limit).encode())

expect("versions", (version("PyYAML"), version("ruamel.yaml")), ("6.0.4", "0.19.1"))
expect("PyYAML, 10:00:00", by_pyyaml("10:00:00"), 36000)
expect("PyYAML, 01:00:00", by_pyyaml("01:00:00"), "01:00:00")
expect("PyYAML, 1-02:00:00", by_pyyaml("1-02:00:00"), "1-02:00:00")
expect("PyYAML, 14:25", by_pyyaml("14:25"), 865)
expect("Slurm, 10:00:00 in minutes", minutes("10:00:00"), 600)
expect("Slurm, what PyYAML read, in days", minutes(by_pyyaml("10:00:00")) / 60 / 24, 25.0)
expect("PyYAML, ids", [by_pyyaml(text) for text in ("4711_3", "007", "010")], [47113, 7, 8])
expect("ruamel.yaml, ids", [by_ruamel(text) for text in ("4711_3", "007", "010")], [47113, 7, 10])
expect("ruamel.yaml, 10:00:00", by_ruamel("10:00:00"), "10:00:00")
written = io.StringIO()
ruamel.yaml.YAML().dump({"time": "10:00:00", "job_id": "4711_3"}, written)
expect("written by ruamel.yaml", written.getvalue(), "time: 10:00:00\njob_id: '4711_3'\n")
expect("and read by PyYAML", yaml.safe_load(written.getvalue()), {"time": 36000, "job_id": "4711_3"})
END
