"""Rows as sacct 22.05.8 printed them, by field; what is not named was printed empty."""

from collections.abc import Mapping, Sequence

from slurmwatchd.sources.sacct.framing import RowReader

FIELDS_22_05 = (
    "Cluster", "JobIDRaw", "Submit", "JobID", "State", "Start", "NodeList", "ExitCode", "DerivedExitCode",
    "DBIndex", "JobName", "User", "UID", "GID", "Account", "Partition", "QOS", "Reservation", "WCKey",
    "Eligible", "End", "Reserved", "ElapsedRaw", "Suspended", "TimelimitRaw", "NNodes", "NCPUS", "ReqTRES",
    "AllocTRES", "WorkDir", "SubmitLine", "Comment", "AdminComment", "SystemComment", "Constraints", "Reason",
    "Flags", "Priority", "Container", "McsLabel", "ReservationId",
)  # fmt: skip
"""What a layout asks 22.05 for, in no particular order."""

Row = Mapping[str, bytes]

FAILED: Row = {
    "Cluster": b"tux",
    "JobIDRaw": b"2",
    "Submit": b"1795436431",
    "JobID": b"2",
    "State": b"FAILED",
    "Start": b"1795436432",
    "NodeList": b"tux1",
    "ExitCode": b"3:0",
    "DerivedExitCode": b"0:0",
    "DBIndex": b"3",
    "JobName": b"plain",
    "User": b"root",
    "UID": b"0",
    "GID": b"0",
    "Account": b"root",
    "Partition": b"main",
    "QOS": b"normal",
    "Eligible": b"1795436431",
    "End": b"1795436432",
    "Reserved": b"00:00:01",
    "ElapsedRaw": b"0",
    "Suspended": b"00:00:00",
    "TimelimitRaw": b"525600",
    "NNodes": b"1",
    "NCPUS": b"1",
    "ReqTRES": b"billing=1,cpu=1,mem=2000M,node=1",
    "AllocTRES": b"billing=1,cpu=1,node=1",
    "WorkDir": b"/home/ann",
    "SubmitLine": b"/usr/bin/sbatch --parsable -J plain --wrap srun -n1 hostname; exit 3",
    "AdminComment": b"adm",
    "Reason": b"None",
    "Flags": b"SchedBackfill,StartRecieved",
    "Priority": b"4294901758",
}

CANCELLED_PENDING_ARRAY: Row = {
    **FAILED,
    "JobIDRaw": b"8",
    "JobID": b"8_[0-99:3%4]",
    "State": b"CANCELLED by 0",
    "Start": b"None",
    "NodeList": b"None assigned",
    "ExitCode": b"0:0",
    "DBIndex": b"21",
    "JobName": b"harr",
    "Eligible": b"Unknown",
    "End": b"1795436460",
    "Reserved": b"00:00:00",
    "TimelimitRaw": b"Partition_Limit",
    "AllocTRES": b"",
    "SubmitLine": b"/usr/bin/sbatch -J harr -H --array=0-99:3%4 --wrap true",
    "AdminComment": b"",
    "Reason": b"JobHeldUser",
    "Flags": b"StartRecieved",
    "Priority": b"0",
}

HETEROGENEOUS: Row = {
    **FAILED,
    "JobIDRaw": b"9",
    "JobID": b"9+0",
    "State": b"COMPLETED",
    "ExitCode": b"0:0",
    "DBIndex": b"13",
    "JobName": b"het",
    "TimelimitRaw": b"UNLIMITED",
    "SubmitLine": b"/usr/bin/sbatch -J het -n1 : -n1 --wrap srun hostname",
    "AdminComment": b"",
    "Priority": b"4294901753",
}

ARRAY_TASK: Row = {
    **FAILED,
    "JobIDRaw": b"15",
    "JobID": b"6_0",
    "State": b"COMPLETED",
    "ExitCode": b"0:0",
    "DBIndex": b"7",
    "JobName": b"arr",
    "Eligible": b"1795436432",
    "End": b"1795436433",
    "Reserved": b"00:00:00",
    "ElapsedRaw": b"1",
    "SubmitLine": b"/usr/bin/sbatch -J arr --array=0-3%2 --wrap sleep 1",
    "AdminComment": b"a b",
    "Priority": b"4294901754",
}


def ordered(row: Row, fields: Sequence[str]) -> list[bytes]:
    """A row's values in the order asked for."""
    return [row.get(name, b"") for name in fields]


def printed(delimiter: str, fields: Sequence[str], *rows: Row) -> bytes:
    """What sacct prints for these rows with `-p`, header first."""
    mark = delimiter.encode()
    lines = [[name.encode() for name in fields], *(ordered(row, fields) for row in rows)]
    return b"".join(b"".join(value + mark for value in line) + b"\n" for line in lines)


def fed(reader: RowReader, chunk: bytes) -> list[list[bytes]]:
    """What a reader gives for a piece of output, as rows."""
    return [list(row) for row in zip(*reader.feed(chunk), strict=True)]
