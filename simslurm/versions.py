"""What differs from one Slurm release to the next: the fields of sacct and a few rules.

A release is a pair such as `(22, 5)`, so two compare as they should.
"""

from __future__ import annotations

Release = tuple[int, int]

VERSIONS = (
    "20.11.9", "21.08.8", "22.05.8", "23.02.7", "23.11.10", "24.05.4", "24.11.5", "25.05.3", "25.11.1", "26.05.5",
)  # fmt: skip
"""A version of each release that can be played, oldest first. Nothing else lists the releases of Slurm: tests and
pages take them from here."""

DEFAULT_VERSION = "22.05.8"

_NEVER: Release = (99, 0)

STR, UINT, DATE, SECS = "s", "u", "d", "t"
"""How sacct prints a column: text (cut with a `+`), number, time stamp, duration."""


class Field:
    """One column sacct can print.

    Attributes:
        name: As in the header.
        width: Of the column without -p or -P; negative is left aligned.
        kind: STR, UINT, DATE or SECS.
    """

    __slots__ = ("kind", "name", "width")

    def __init__(self, name: str, width: int, kind: str) -> None:
        """Keep the three."""
        self.name = name
        self.width = width
        self.kind = kind


# name:width:kind[:first release[:first release without it]], in the order sacct prints them with -e.
# A prefix given to -o picks the first match in this order.
_FIELDS = """
Account:10:s AdminComment:15:s AllocCPUS:10:u AllocNodes:10:s AllocTRES:10:s AssocID:7:u AveCPU:10:s
AveCPUFreq:10:s AveDiskRead:14:s AveDiskWrite:14:s AvePages:10:s AveRSS:10:s AveVMSize:10:s BlockID:16:s
Cluster:10:s Comment:14:s Constraints:19:s ConsumedEnergy:14:s ConsumedEnergyRaw:17:u
Container:19:s:21.08 CPUTime:10:t CPUTimeRAW:10:u DBIndex:-10:u DerivedExitCode:15:s Elapsed:10:t
ElapsedRaw:10:u Eligible:19:d End:19:d Exclusive:9:s:26.05 ExitCode:8:s Extra:14:s:23.02
FailedNode:8:s:23.02 Flags:19:s GID:6:u Group:9:s JobID:-12:s JobIDRaw:-12:s JobName:10:s Layout:9:s
Licenses:10:s:23.02 MaxDiskRead:12:s MaxDiskReadNode:15:s MaxDiskReadTask:15:u MaxDiskWrite:12:s
MaxDiskWriteNode:16:s MaxDiskWriteTask:16:u MaxPages:8:s MaxPagesNode:12:s MaxPagesTask:14:u MaxRSS:10:s
MaxRSSNode:10:s MaxRSSTask:10:u MaxVMSize:10:s MaxVMSizeNode:14:s MaxVMSizeTask:14:u McsLabel:12:s
MinCPU:10:s MinCPUNode:10:s MinCPUTask:10:u NCPUS:10:u NNodes:8:u NodeList:15:s NTasks:8:u
OriginalSLUID:14:s:26.05 OverSubscribe:13:s:26.05 Partition:10:s Planned:10:t:23.02 PlannedCPU:10:t:23.02
PlannedCPURAW:13:u:23.02 Priority:10:u QOS:10:s QOSRAW:6:u QOSREQ:10:s:24.11 Reason:22:s ReqCPUFreq:10:s
ReqCPUFreqGov:13:s ReqCPUFreqMax:13:s ReqCPUFreqMin:13:s ReqCPUS:8:u ReqMem:10:s ReqNodes:8:s
ReqReservation:20:s:25.05 ReqTRES:10:s Reservation:20:s ReservationId:8:u Reserved:10:t:20.11:23.02
Restarts:8:u:24.11 ResvCPU:10:t:20.11:23.02 ResvCPURAW:10:u:20.11:23.02 SegmentSize:11:u:25.05
SLUID:14:s:24.11 Start:19:d State:10:s StdErr:20:s:24.05 StdIn:20:s:24.05 StdOut:20:s:24.05 Submit:19:d
SubmitLine:20:s:21.08 Suspended:10:t SystemComment:15:s SystemCPU:10:s Timelimit:10:s TimelimitRaw:10:s
TotalCPU:10:s TRESUsageInAve:14:s TRESUsageInMax:14:s TRESUsageInMaxNode:18:s TRESUsageInMaxTask:18:s
TRESUsageInMin:14:s TRESUsageInMinNode:18:s TRESUsageInMinTask:18:s TRESUsageInTot:14:s
TRESUsageOutAve:15:s TRESUsageOutMax:15:s TRESUsageOutMaxNode:19:s TRESUsageOutMaxTask:19:s
TRESUsageOutMin:15:s TRESUsageOutMinNode:19:s TRESUsageOutMinTask:19:s TRESUsageOutTot:15:s UID:6:u
User:9:s UserCPU:10:s WCKey:10:s WCKeyID:10:u WorkDir:20:s
"""

DEFAULT_FIELDS = "jobid,jobname,partition,account,alloccpus,state,exitcode"
BRIEF_FIELDS = "jobid,state,exitcode"
LONG_FIELDS = (
    "jobid,jobidraw,jobname,partition,maxvmsize,maxvmsizenode,maxvmsizetask,avevmsize,maxrss,maxrssnode,"
    "maxrsstask,averss,maxpages,maxpagesnode,maxpagestask,avepages,mincpu,mincpunode,mincputask,avecpu,"
    "ntasks,alloccpus,elapsed,state,exitcode,avecpufreq,reqcpufreqmin,reqcpufreqmax,reqcpufreqgov,reqmem,"
    "consumedenergy,maxdiskread,maxdiskreadnode,maxdiskreadtask,avediskread,maxdiskwrite,maxdiskwritenode,"
    "maxdiskwritetask,avediskwrite,reqtres,alloctres,tresusageinave,tresusageinmax,tresusageinmaxn,"
    "tresusageinmaxt,tresusageinmin,tresusageinminn,tresusageinmint,tresusageintot,tresusageoutmax,"
    "tresusageoutmaxn,tresusageoutmaxt,tresusageoutave,tresusageouttot"
)


def release_of(version: str) -> Release:
    """Read "22.05.8" as `(22, 5)`.

    Raises:
        ValueError: It is no Slurm version.
    """
    parts = version.split(".")
    if len(parts) < 2 or not (parts[0].isdigit() and parts[1].isdigit()):  # noqa: PLR2004 - year and month
        message = f"not a Slurm version: {version!r}"
        raise ValueError(message)
    return int(parts[0]), int(parts[1])


RELEASES: tuple[Release, ...] = tuple(release_of(version) for version in VERSIONS)
OLDEST, NEWEST = RELEASES[0], RELEASES[-1]


def is_before(version: str, other: str) -> bool:
    """Return whether one full version ("23.11.3") is older than another."""
    return [int(part) for part in version.split(".")] < [int(part) for part in other.split(".")]


def fields_of(release: Release) -> list[Field]:
    """Name the columns sacct of a release has, in its order."""
    found = []
    for entry in _FIELDS.split():
        name, width, kind, *span = entry.split(":")
        since = release_of(span[0]) if span else OLDEST
        until = release_of(span[1]) if len(span) > 1 else _NEVER
        if since <= release < until:
            found.append(Field(name, int(width), kind))
    return found
