#!/usr/bin/env bash
# ert takes a cancelled or killed job for one that returned 0, and stops asking at the first suspended one.
#
# Expected: A driver that follows jobs reports an end for each of Slurm's ends, and a return code other than 0 unless the
#   job has completed.
# What happens: It asks scontrol, then sacct. Of CANCELLED, its event has the return code 0, and its log says that the
#   realization succeeded; of FAILED it takes the first number of ExitCode, which is 0 where a signal ended the job
#   (0:9). "CANCELLED by 1000", as sacct writes it, OUT_OF_MEMORY, NODE_FAIL, PREEMPTED and DEADLINE are no states that
#   it knows, so that it asks on for ever. In squeue's answer, such a state is a KeyError, which ends the polling of all
#   jobs; SUSPENDED is one, and squeue answers for all jobs of the user, those of other work too.
# Why it matters here: ert runs ensembles of hundreds of jobs, and counts from these events. Our job_ended has `state`,
#   exit_code and exit_signal apart.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# The driver alone, without the simulators' and the desktop's packages (1.8 GB).
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'pydantic==2.14.4'
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps 'ert==23.0.1'

cd "$folder"
# What Slurm 22.05 answers: a job that slurmctld has forgotten is known to sacct alone.
mkdir bin
printf '#!/bin/sh\necho "$*" >asked\ncat queue\n' >bin/squeue
cat >bin/scontrol <<'END'
#!/bin/sh
cat known 2>/dev/null && exit
echo "slurm_load_jobs error: Invalid job id specified" >&2
exit 1
END
printf '#!/bin/sh\ncat ended\n' >bin/sacct
chmod +x bin/*
PATH=$folder/bin:$PATH venv/bin/python - 2>/dev/null <<'END'
import asyncio
import importlib.util
import logging
import sys
import types
from importlib.metadata import version
from pathlib import Path

# The modules of the driver, without what the packages around them import.
site = Path(importlib.util.find_spec("_ert").submodule_search_locations[0]).parent
for name in ("ert", "ert.scheduler"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(site / name.replace(".", "/"))]

from ert.scheduler.slurm_driver import JobData, SlurmDriver

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        print(f"changed: {what} was {known!r}")
        raise SystemExit(1)

class Said(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())

said = []
logging.getLogger("ert.scheduler.slurm_driver").addHandler(Said())
logging.getLogger("ert.scheduler.slurm_driver").setLevel(logging.INFO)

JOB = """JobId=4711 JobName=poly-0
   UserId=ada(1000) GroupId=users(100) MCS_label=N/A
   JobState={} Reason=None Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode={}
"""

async def follow():
    driver = SlurmDriver(user="ada", poll_period=0.05)
    driver._jobs["4711"], driver._iens2jobid[0] = JobData(iens=0), "4711"
    polling = asyncio.create_task(driver.poll())
    event = asyncio.create_task(driver.event_queue.get())
    await asyncio.wait({polling, event}, timeout=2, return_when=asyncio.FIRST_COMPLETED)
    seen = "asks on"
    if polling.done():
        seen = repr(polling.exception())
    elif event.done():
        seen = getattr(event.result(), "returncode", "started")
    polling.cancel()
    event.cancel()
    await asyncio.gather(polling, event, return_exceptions=True)
    return seen

def answered(queue="", known=None, ended=""):
    Path("queue").write_text(queue)
    Path("ended").write_text(ended)
    Path("known").unlink(missing_ok=True)
    if known:
        Path("known").write_text(JOB.format(*known))
    return asyncio.run(follow())

expect("version", version("ert"), "23.0.1")
print("scontrol's state and ExitCode: return code of the event")
for state, code, known in (("COMPLETED", "0:0", 0), ("TIMEOUT", "0:0", 143), ("FAILED", "1:0", 1), ("FAILED", "0:9", 0)):
    expect(f"{state} {code}", answered(known=(state, code)), known)
said.clear()
expect("CANCELLED 0:15", answered(known=("CANCELLED", "0:15")), 0)
expect("said", said[-1], "Realization 0 (SLURM-id: 4711) succeeded")
print("sacct's")
expect("COMPLETED|0:0", answered(ended="COMPLETED|0:0\n"), 0)
for row in ("CANCELLED by 1000|0:0", "OUT_OF_MEMORY|0:125", "NODE_FAIL|1:0", "PREEMPTED|0:0", "DEADLINE|1:0"):
    expect(row, answered(ended=f"{row}\n"), "asks on")
print("squeue's")
expect("4711 RUNNING", answered(queue="4711 RUNNING\n"), "started")
expect("asked", Path("asked").read_text(), "-h --format=%i %T --user=ada\n")
expect("4800 SUSPENDED, 4711 RUNNING", answered(queue="4800 SUSPENDED\n4711 RUNNING\n"), "KeyError('SUSPENDED')")
END
