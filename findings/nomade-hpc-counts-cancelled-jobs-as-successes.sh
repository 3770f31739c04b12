#!/usr/bin/env bash
# nomade-hpc counts jobs that a user cancelled as successes, and its collector of ended jobs gets none.
#
# Expected: A monitor of ended jobs asks sacct for what it has, and what did not complete is no success.
# What happens: It asks for ReqGRES, which sacct refuses: no job with an exit code comes in, each time with a warning.
#   compute_failure_reason knows CANCELLED but not "CANCELLED by 1000", as sacct writes it, and what it does not know is
#   a success; REQUEUED is another. Its second collector asks for four states, without OUT_OF_MEMORY and NODE_FAIL,
#   and with -X, which leaves out the steps: no job has any memory or processor time, nor a memory efficiency.
# Why it matters here: Success rates, health scores and predictions come of it. Our events have `state` without the uid,
#   `outcome`, and usage from the steps.
# Needs: Debian 12 with fetched package lists (apt-get update).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'nomade-hpc==1.2.1'

cd "$folder"
apt-get -qq -o APT::Sandbox::User=root download slurm-client=22.05.8-4+deb12u3 slurm-wlm-basic-plugins=22.05.8-4+deb12u3
for package in *.deb; do dpkg -x "$package" .; done
plugins=$folder/usr/lib/$(uname -m)-linux-gnu/slurm-wlm
cat >slurm.conf <<END
ClusterName=alpha
SlurmctldHost=localhost
AuthType=auth/none
PluginDir=$plugins
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/completions
NodeName=n[1-9]
PartitionName=long Nodes=ALL
END
touch completions
# Slurm's own sacct, over an empty file of completed jobs in place of slurmdbd (-c); with an answer, that.
mkdir bin
cat >bin/sacct <<END
#!/bin/sh
echo "\$*" >asked
[ ! -e answer ] || exec cat answer
LD_LIBRARY_PATH=$plugins SLURM_CONF=$folder/slurm.conf exec $folder/usr/bin/sacct -c "\$@"
END
chmod +x bin/sacct
PATH=$folder/bin:$PATH venv/bin/python - <<'END'
import subprocess
from importlib.metadata import version
from pathlib import Path

from nomade.collectors.base import CollectionError
from nomade.collectors.job_metrics import JobMetricsCollector
from nomade.collectors.slurm import SlurmCollector

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

def category(state, code):
    row = ["4711", "ada", "users", "gpu", "train", state, "n1", "4", "4G", "", "1-00:00:00", "02:03:04"]
    row += ["2026-11-23T07:00:00", "2026-11-23T08:00:00", "2026-11-23T10:03:04", code]
    return collector._parse_sacct_job("|".join(row)).failure_reason

collector = SlurmCollector({}, "nomade.db")
said = subprocess.run(["sacct", "--version"], capture_output=True, text=True, check=True).stdout.strip()
expect("version", version("nomade-hpc"), "1.2.1")
expect("sacct", said, "slurm-wlm 22.05.8")
try:
    seen = collector._collect_completed_jobs()
except CollectionError as error:
    seen = str(error).strip()
expect("ended jobs", seen, "sacct failed: sacct: fatal: ReqGRES has been removed, please use ReqTRES")
print("category: 0 success, 1 timeout, 2 cancelled, 3 failed, 4 memory")
for (state, code), known in {
    ("TIMEOUT", "0:0"): 1,
    ("FAILED", "1:0"): 3,
    ("OUT_OF_MEMORY", "0:125"): 4,
    ("CANCELLED", "0:0"): 2,
    ("CANCELLED by 1000", "0:0"): 0,
    ("REQUEUED", "0:0"): 0,
}.items():
    expect(f"{state} {code}", category(state, code), known)

ROW = "4711|train|ada|users|gpu|COMPLETED|0:0|2026-11-23T07:00:00|2026-11-23T08:00:00|2026-11-23T10:03:04|02:03:04|1-00:00:00|"
Path("answer").write_text(f"{ROW}4|4G|billing=4,cpu=4,mem=4G,node=1||||||||\n")
[job] = JobMetricsCollector({}, "nomade.db").collect()
asked = Path("asked").read_text().split()
expect("states asked for", asked[asked.index("--state") + 1], "COMPLETED,FAILED,TIMEOUT,CANCELLED")
expect("without steps", "-X" in asked, True)
expect("usage", (job["max_rss_mb"], job["avg_cpu_percent"], job["memory_efficiency"]), (None, None, None))
END
