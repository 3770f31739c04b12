"""The columns of sacct that are numbers of a job: processors, nodes, ids, seconds."""

from __future__ import annotations

from . import tres
from .schema import INFINITE, INFINITE64, NO_VAL
from .times import duration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .query import Row
    from .session import Session

    Column = Callable[[Row, Row | None], bytes]


def _found(text: bytes, tres_id: int) -> int:
    count = tres.count_of(text, tres_id)
    return 0 if count == INFINITE64 else count


def _number(value: int | None) -> bytes:
    return b"" if value is None or value in {NO_VAL, INFINITE} else b"%d" % value


def _of_job(name: str) -> Column:
    return lambda job, step: b"" if step else _number(job[name])


def _allocated_cpus(session: Session) -> Callable[[Row, Row | None], int]:
    def count(job: Row, step: Row | None) -> int:
        if step is not None and tres.count_of(step["tres_alloc"], tres.CPU) != INFINITE64:
            return _found(step["tres_alloc"], tres.CPU)
        # A job that never started shows what it asked for, until 23.02.
        if session.release < (23, 2) and not job["tres_alloc"]:
            return _found(job["tres_req"], tres.CPU)
        return _found(job["tres_alloc"], tres.CPU)

    return count


def number_columns(session: Session, conversion: tres.Conversion) -> dict[str, Column]:
    """Build the number columns, by name."""
    cpus = _allocated_cpus(session)
    found: dict[str, Column] = {
        "AllocCPUS": lambda job, step: b"%d" % cpus(job, step),
        "NCPUS": lambda job, step: b"%d" % cpus(job, step),
        "ReqCPUS": lambda job, step: b"%d" % (cpus(job, step) if step else job["cpus_req"]),
        "AssocID": lambda job, _: _number(job["id_assoc"]),
        "ReservationId": lambda job, step: b"" if step or not job["id_resv"] else _number(job["id_resv"]),
        "ElapsedRaw": lambda job, step: b"%d" % (step or job)["elapsed"],
        "Elapsed": lambda job, step: duration((step or job)["elapsed"]),
        "CPUTimeRAW": lambda job, step: b"%d" % ((step or job)["elapsed"] * cpus(job, step)),
        "CPUTime": lambda job, step: duration((step or job)["elapsed"] * cpus(job, step)),
        "Suspended": lambda job, step: duration((step or job)["suspended"]),
    }
    plain = {
        "Priority": "priority",
        "QOSRAW": "id_qos",
        "Restarts": "restart_cnt",
        "SegmentSize": "segment_size",
        "WCKeyID": "id_wckey",
        "UID": "id_user",
        "GID": "id_group",
    }
    found |= {column: _of_job(name) for column, name in plain.items()}
    return found | _sizes(session, conversion) | _waiting(session)


_PER_CPU = 1 << 63
_TOTAL_MEMORY_SINCE = (21, 8)


def _memory_per_part(job: Row, conversion: tres.Conversion) -> bytes:
    """Print memory as 20.11 did: for each node (`n`) or each processor (`c`), also on steps."""
    stored = int(job["mem_req"])
    each = stored & ~_PER_CPU
    if not stored:
        each = _found(job["tres_req"], tres.MEM) // max(1, _found(job["tres_req"], tres.NODE))
    return conversion.number(each, tres.MEGA).encode() + (b"c" if stored & _PER_CPU else b"n")


def _sizes(session: Session, conversion: tres.Conversion) -> dict[str, Column]:
    """Build the columns of nodes and memory."""
    # The one number that --units leaves alone is AllocNodes.
    no_units = tres.Conversion(convert=conversion.convert)

    def nodes(job: Row, step: Row | None, fallback: bytes) -> int:
        count: int = (step or job)["nodes_alloc"]
        return count or _found(step["tres_alloc"] if step else fallback, tres.NODE)

    def required_nodes(job: Row, step: Row | None) -> bytes:
        count = nodes(job, step, b"") if step else _found(job["tres_req"], tres.NODE)
        return conversion.number(count, tres.NONE).encode()

    def required_memory(job: Row, step: Row | None) -> bytes:
        if session.release < _TOTAL_MEMORY_SINCE:
            return _memory_per_part(job, conversion)
        return b"" if step else conversion.number(_found(job["tres_req"], tres.MEM), tres.MEGA).encode()

    return {
        "AllocNodes": lambda job, step: no_units.number(nodes(job, step, job["tres_alloc"]), tres.NONE).encode(),
        "NNodes": lambda job, step: b"%d" % nodes(job, step, job["tres_alloc"] or job["tres_req"]),
        "ReqNodes": required_nodes,
        "ReqMem": required_memory,
    }


def _waiting(session: Session) -> dict[str, Column]:
    """Build the columns of the time a job waited, under their old and new names."""
    now = session.now
    # 22.05 takes the number that stands for "never" for a time, which makes the wait INVALID.
    knows_never = session.release >= (23, 2)

    def waited(job: Row, step: Row | None, *, until_end: bool) -> int | None:
        if step is not None:
            return None
        eligible = job["time_eligible"]
        if eligible in {0, INFINITE}:
            return 0
        if until_end and job["start"] == NO_VAL and job["end"]:
            return int(job["end"] - eligible) if knows_never else -1
        return int((job["start"] or now) - eligible)

    def planned(job: Row, step: Row | None) -> bytes:
        seconds = waited(job, step, until_end=True)
        return b"" if seconds is None else duration(seconds)

    def planned_cpu(job: Row, step: Row | None) -> bytes:
        seconds = waited(job, step, until_end=False)
        return b"" if seconds is None else duration(seconds * job["cpus_req"])

    def planned_cpu_raw(job: Row, step: Row | None) -> bytes:
        seconds = waited(job, step, until_end=False)
        return b"" if seconds is None else b"%d" % (seconds * job["cpus_req"])

    return {
        "Planned": planned,
        "Reserved": planned,
        "PlannedCPU": planned_cpu,
        "ResvCPU": planned_cpu,
        "PlannedCPURAW": planned_cpu_raw,
        "ResvCPURAW": planned_cpu_raw,
    }
