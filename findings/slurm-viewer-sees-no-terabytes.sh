#!/usr/bin/env bash
# slurm-viewer shows no memory of a terabyte or more, no GPUs that have types only, and no usage of jobs without GPUs.
#
# Expected: The table of jobs has each job's memory, GPUs and usage, as sacct prints them.
# What happens: K, M and G are units of memory, T is none: a ReqMem of 2T is 0 GB, where 2000G is right.
#   gres/gpu:a100=4, where a site accounts by type only, is a name without a count. Of TRESUsageInTot it knows one form:
#   with GPU usage in it, and with memory in K. The usual text, without GPU usage, is taken for no usage at all.
# Why it matters here: Its job table is sacct's output with columns read as numbers; large jobs have no
#   memory there, and most have no usage. Our lines have alloc_tres.mem_bytes, usage.max_rss_bytes, usage.cpu_seconds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'slurm-viewer==1.0.5'

cd "$folder"
mkdir bin
printf '#!/bin/sh\necho "$*" >asked\ncat answer\n' >bin/sacct
chmod +x bin/sacct
PATH=$folder/bin:$PATH venv/bin/python - <<'END'
import asyncio
from importlib.metadata import version
from pathlib import Path

from slurm_viewer.data.config import Cluster
from slurm_viewer.data.slurm_communication import Slurm

def expect(what, seen, known):
    print(f"{what}: {seen!r}")
    if seen != known:
        raise SystemExit(f"changed: {what} was {known!r}")

# The columns of sacct --long, of 22.05.
COLUMNS = (
    "JobID JobIDRaw JobName Partition MaxVMSize MaxVMSizeNode MaxVMSizeTask AveVMSize MaxRSS MaxRSSNode MaxRSSTask AveRSS "
    "MaxPages MaxPagesNode MaxPagesTask AvePages MinCPU MinCPUNode MinCPUTask AveCPU NTasks AllocCPUS Elapsed State "
    "ExitCode AveCPUFreq ReqCPUFreqMin ReqCPUFreqMax ReqCPUFreqGov ReqMem ConsumedEnergy MaxDiskRead MaxDiskReadNode "
    "MaxDiskReadTask AveDiskRead MaxDiskWrite MaxDiskWriteNode MaxDiskWriteTask AveDiskWrite ReqTRES AllocTRES "
    "TRESUsageInAve TRESUsageInMax TRESUsageInMaxNode TRESUsageInMaxTask TRESUsageInMin TRESUsageInMinNode "
    "TRESUsageInMinTask TRESUsageInTot TRESUsageOutMax TRESUsageOutMaxNode TRESUsageOutMaxTask TRESUsageOutAve "
    "TRESUsageOutTot"
).split()
JOB = {
    "JobID": "4711", "JobName": "train", "AllocCPUS": "64", "Elapsed": "1-02:03:04", "State": "COMPLETED", "ExitCode": "0:0",
    "ReqMem": "2000G", "AllocTRES": "cpu=64,gres/gpu:a100=4,gres/gpu=4,mem=500G,node=1",
}  # fmt: skip
STEP = JOB | {"JobID": "4711.0", "ReqMem": "", "NTasks": "1"}

def read(row, **changes):
    Path("answer").write_text("|".join(COLUMNS) + "\n" + "|".join((row | changes).get(name, "") for name in COLUMNS) + "\n")
    [job] = asyncio.run(Slurm(Cluster(name="alpha")).jobs(1, user_only=True))
    return job

def tres(text):
    alloc = read(JOB, AllocTRES=text).AllocTRES
    return alloc.gpu, alloc.gpu_name, alloc.mem.GB

def usage(text):
    used = read(STEP, TRESUsageInTot=text).TRESUsageInTot
    return used.cpu and used.cpu.total_seconds(), used.mem and round(used.mem.MB)

expect("version", version("slurm-viewer"), "1.0.5")
expect("ReqMem 2000G", read(JOB).ReqMem.GB, 2000)
expect("asked", Path("asked").read_text(), "--starttime now-1week --long --parsable2\n")
expect("ReqMem 2T", read(JOB, ReqMem="2T").ReqMem.GB, 0)
print("GPUs, their type, GB")
expect("type and sum", tres("cpu=64,gres/gpu:a100=4,gres/gpu=4,mem=500G,node=1"), (4, "a100", 500))
expect("type only", tres("cpu=64,gres/gpu:a100=4,mem=500G,node=1"), (None, "a100", 500))
expect("two types only", tres("cpu=64,gres/gpu:a100=4,gres/gpu:h100=2,mem=1.50T,node=2"), (None, "h100", 0))
print("seconds of processors, MB")
START, END = "cpu=04:09:59,energy=0,fs/disk=4096", "pages=12,vmem=3000000K"
GPU = "gres/gpumem=8128M,gres/gpuutil=97"
expect("usage with GPUs", usage(f"{START},{GPU},mem=2000000K,{END}"), (14999.0, 1953))
expect("with GPUs and mem in M", usage(f"{START},{GPU},mem=1953M,{END}"), (None, None))
expect("without GPUs", usage(f"{START},mem=2000000K,{END}"), (None, None))
END
