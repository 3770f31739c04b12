#!/usr/bin/env bash
# slurm-mailer reads two characters of a job id, and no ended job at all.
#
# Expected: A daemon that mails changes of job states knows jobs by their id, and how they ended.
# What happens: It asks squeue for %.2i, which is the first two characters: 4711, 4799 and 47 are one job, the last of
#   them counts, and the others change its state or are never reported. sacct it asks without --parsable2, but splits
#   the lines at |: it finds none, so that no job ever completes, fails or times out. A job that leaves the queue is
#   "gone".
# Why it matters here: Who compares its mails with our events finds changes of jobs that do not exist, and no end.
#   Mail from our events: one job_ended for each attempt, with its whole id.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'slurm-mailer==0.2.0'

cd "$folder"
# squeue and sacct as Slurm 22.05 prints what the package asks for, cutting widths as it does.
mkdir bin
cat >bin/squeue <<'END'
#!/bin/sh
echo "$*" >squeue.asked
while IFS='|' read -r id state; do
    printf '%.2s|    short|           train|%8s|     ada|   1|      5:00|   1:00:00\n' "$id" "$state"
done <jobs
END
cat >bin/sacct <<'END'
#!/bin/sh
echo "$*" >sacct.asked
echo "4700              train  COMPLETED       ada          4   00:10:00      short "
echo "4700.batch        batch  COMPLETED                    4   00:10:00            "
END
chmod +x bin/*
printf '4711|RUNNING\n4799|PENDING\n' >jobs
printf '[slurm]\nwatch_user = ada\n' >config.ini
PATH=$folder/bin:$PATH venv/bin/python - <<'END'
from importlib.metadata import version
from pathlib import Path

from slurm_mailer import SlurmMailer, parse_config

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

mailer = SlurmMailer(parse_config("config.ini"))

def changes():
    jobs = mailer._fetch_slurm_jobs()
    found = mailer._detect_changes(mailer.previous_jobs, jobs)
    mailer.previous_jobs = {job.job_id: job for job in jobs}
    return [(job, change["type"], change["new_state"]) for job, change in found.items()]

expect("version", version("slurm-mailer"), "0.2.0")
expect("jobs 4711 and 4799", changes(), [("47", "new", "PENDING")])
Path("jobs").write_text("4711|RUNNING\n")
expect("4799 ends, 4711 runs as before", changes(), [("47", "change", "RUNNING")])
Path("jobs").write_text("")
expect("4711 ends too", changes(), [("47", "gone", None)])
expect("asked of squeue", "%.2i|" in Path("squeue.asked").read_text(), True)
expect("asked of sacct for columns with |", "-P" in Path("sacct.asked").read_text(), False)
expect("ended jobs found, sacct has 4700", mailer._fetch_sacct_jobs(), [])
END
