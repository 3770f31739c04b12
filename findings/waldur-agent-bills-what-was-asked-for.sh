#!/usr/bin/env bash
# Waldur's Slurm agent bills the TRES that a job asked for, not those that it had.
#
# Expected: Usage by account comes from AllocTRES: what was taken from others.
# What happens: It asks sacct for ReqTRES and multiplies by Elapsed. A job submitted with --exclusive and one
#   CPU has the whole node of 48 and is billed one; typed GPUs are billed where the site names that TRES. It
#   asks without -D too, so attempts before a requeue are free.
# Why it matters here: sreport and our alloc_tres count the node. A site that bills with one and shows the
#   other explains a factor of 48 to somebody.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'waldur-site-agent-slurm==1.0.7'

cd "$folder"
venv/bin/python - <<'END'
import os
from importlib.metadata import version

from waldur_site_agent_slurm.client import SlurmClient

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

ANSWER = {"Account": "phys", "ReqTRES": "billing=1,cpu=1,mem=4000M,node=1", "AllocTRES": "billing=48,cpu=48,mem=192000M,node=1",
          "Elapsed": "10:00:00", "User": "ann"}
os.mkdir("bin")
with open("bin/sacct", "w") as file:
    file.write(f"""#!{os.getcwd()}/venv/bin/python
import sys
fields = next(word for word in sys.argv if word.startswith("--format=")).removeprefix("--format=").split(",")
print("|".join({ANSWER!r}[field] for field in fields))
""")
os.chmod("bin/sacct", 0o755)

expect("version", version("waldur-site-agent-slurm"), "1.0.7")
client = SlurmClient({"cpu": {}, "mem": {}}, slurm_bin_path="bin")
line = client.get_historical_usage_report(["phys"], 2026, 11)[0]
asked = client.executed_commands[-1].split()
expect("fields", next(word for word in asked if word.startswith("--format")), "--format=Account,ReqTRES,Elapsed,User")
expect("repeated attempts asked for", "-D" in asked or "--duplicates" in asked, False)
expect("CPU minutes billed, of 28,800 that were taken", line.tres_usage["cpu"], 600.0)
END
