"""The columns of sacct: each is a function of a job row and, on a step's line, the step row.

None is a number that is not set; text that is not set is empty (sacct prints both as nothing).
Numbers are in `counts`, what steps used in `usage`.
"""

from __future__ import annotations

import os

from .counts import number_columns
from .jobids import job_id_text, sluid_text, step_id_text
from .schema import INFINITE, NO_VAL, START_RECEIVED, STATE_NAMES, STATES
from .times import cpu_duration, duration
from .usage import usage_columns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from . import tres
    from .query import Row
    from .session import Session

    Column = Callable[[Row, Row | None], bytes]

_CANCELLED = STATES["CANCELLED"]
_FIRST_SIGNAL_CODE = 128

_REASON_WORDS = """
None Priority Dependency Resources PartitionNodeLimit PartitionTimeLimit PartitionDown PartitionInactive
JobHeldAdmin BeginTime Licenses AssociationJobLimit AssociationResourceLimit AssociationTimeLimit
Reservation ReqNodeNotAvail JobHeldUser FrontEndDown SchedDefer DownPartition NodeDown BadConstraints
SystemFailure JobLaunchFailure NonZeroExitCode TimeLimit InactiveLimit InvalidAccount InvalidQOS
QOSUsageThreshold QOSJobLimit QOSResourceLimit QOSTimeLimit
"""
REASONS: dict[int, str] = dict(enumerate(_REASON_WORDS.split())) | {72: "JobArrayTaskLimit"}
"""The reasons a job waited for, by the number that is stored."""

_FLAGS = ((2, "SchedSubmit"), (4, "SchedMain"), (8, "SchedBackfill"))
_LAYOUTS = {0: b"Unknown", 1: b"Cyclic", 2: b"Block", 3: b"Arbitrary", 4: b"Plane"}


def exit_text(raw: int, *, subtract: bool) -> bytes:
    """Print a wait status as `code:signal`.

    Until 25.11 sacct took 128 off codes of 128 and more, so 139 looks like 11.
    """
    signal = raw & 0x7F
    if signal not in {0, 0x7F}:
        return b"0:%d" % signal
    code = raw >> 8 & 0xFF if signal == 0 else 0
    if subtract and code >= _FIRST_SIGNAL_CODE:
        code -= _FIRST_SIGNAL_CODE
    return b"%d:0" % code


def state_text(state: int, requester: int | None) -> bytes:
    """Print a state: `CANCELLED by 1000` where it is known by whom."""
    name = STATE_NAMES.get(state, "?").encode()
    if state & 0xFF == _CANCELLED and requester is not None and requester != INFINITE:
        return b"%s by %d" % (name, requester)
    return name


def _name_of(uid: int) -> bytes:
    import pwd  # noqa: PLC0415 - only rows without a user name pay for it

    try:
        return os.fsencode(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return b"nobody"


def _group_of(gid: int) -> bytes:
    import grp  # noqa: PLC0415 - only rows without a group name pay for it

    try:
        return os.fsencode(grp.getgrgid(gid).gr_name)
    except KeyError:
        return b"nobody"


def _timelimit(job: Row, shown: Callable[[int], bytes]) -> bytes:
    limit: int = job["timelimit"]
    if limit == INFINITE:
        return b"UNLIMITED"
    if limit == NO_VAL:
        return b"Partition_Limit"
    return shown(limit) if limit else b""


def columns(session: Session, printer: tres.TresPrinter, conversion: tres.Conversion) -> dict[str, Column]:
    """Build every column of this release, by name."""
    found = _identity(session) | number_columns(session, conversion) | _text(session)
    found |= usage_columns(printer, conversion)
    found["AllocTRES"] = lambda job, step: printer.counts((step or job)["tres_alloc"])
    found["ReqTRES"] = lambda job, step: b"" if step else printer.counts(job["tres_req"])
    return found


def _identity(session: Session) -> dict[str, Column]:
    # 20.11 knew no such variable and cut nothing.
    bitstr_len = session.environ.get("SLURM_BITSTR_LEN") if session.release >= (21, 8) else "0"
    subtract = session.release < (25, 11)

    def job_id(job: Row, step: Row | None) -> bytes:
        text = job_id_text(job, bitstr_len)
        if step is not None:
            text += "." + step_id_text(step["id_step"], step["step_het_comp"])
        return text.encode()

    def job_id_raw(job: Row, step: Row | None) -> bytes:
        if step is None:
            return b"%d" % job["id_job"]
        return f"{job['id_job']}.{step_id_text(step['id_step'], step['step_het_comp'])}".encode()

    def original_sluid(job: Row, step: Row | None) -> bytes:
        del step
        text: bytes = job["original_sluid"]
        # Of a job of a release before 24.11, whose index was a small number, it is zero.
        index = int(job["job_db_inx"])
        return text or sluid_text(index if index >> 52 else 0).encode()

    return {
        "JobID": job_id,
        "JobIDRaw": job_id_raw,
        "DBIndex": lambda job, _: bytes(job["job_db_inx"]),
        "SLUID": lambda job, _: sluid_text(int(job["job_db_inx"])).encode(),
        "OriginalSLUID": original_sluid,
        "Cluster": lambda job, _: bytes(job["cluster"]),
        "State": lambda job, step: state_text((step or job)["state"], (step or job)["kill_requid"]),
        "ExitCode": lambda job, step: exit_text((step or job)["exit_code"], subtract=subtract),
        "DerivedExitCode": lambda job, step: b"" if step else exit_text(job["derived_ec"], subtract=False),
    }


def _text(session: Session) -> dict[str, Column]:
    qos_names: dict[int, bytes] = dict(session.db.execute("SELECT id, name FROM qos").fetchall())

    def of_job(name: str) -> Column:
        return lambda job, step: b"" if step else job[name] or b""

    def of_both(job_name: str, step_name: str) -> Column:
        return lambda job, step: (step[step_name] if step else job[job_name]) or b""

    def qos(job: Row, step: Row | None) -> bytes:
        if step is not None or session.lists_unavailable:
            return b""
        return b"Unknown" if session.config.get("qos_gone") else qos_names.get(job["id_qos"], b"Unknown")

    def flags(job: Row, step: Row | None) -> bytes:
        if step is not None:
            return b""
        names = [name for bit, name in _FLAGS if job["flags"] & bit]
        if job["flags"] & START_RECEIVED:
            names.append("StartRecieved" if session.release < (23, 2) else "StartReceived")
        return ",".join(names).encode()

    found: dict[str, Column] = {
        "Account": lambda job, _: job["account"] or b"",
        "User": lambda job, step: b"" if step else job["user"] or _name_of(job["id_user"]),
        "Group": lambda job, step: b"" if step else job["group_name"] or _group_of(job["id_group"]),
        "QOS": qos,
        "Flags": flags,
        "Reason": lambda job, step: (
            b"" if step else REASONS.get(job["state_reason_prev"], "InvalidReason").encode()
        ),
        "JobName": of_both("job_name", "step_name"),
        "NodeList": of_both("nodelist", "nodelist"),
        "Container": of_both("container", "container"),
        "SubmitLine": of_both("submit_line", "submit_line"),
        "Timelimit": lambda job, step: b"" if step else _timelimit(job, lambda limit: duration(limit * 60)),
        "TimelimitRaw": lambda job, step: b"" if step else _timelimit(job, lambda limit: b"%d" % limit),
        "Layout": lambda _, step: _LAYOUTS.get(step["task_dist"] & 0xFFFF, b"Unknown") if step else b"",
        "TotalCPU": lambda job, step: _cpu_time(job, step, "user", "system"),
        "UserCPU": lambda job, step: _cpu_time(job, step, "user"),
        "SystemCPU": lambda job, step: _cpu_time(job, step, "system"),
    }
    plain = {
        "AdminComment": "admin_comment",
        "Comment": "comment",
        "Constraints": "constraints",
        "Extra": "extra",
        "FailedNode": "failed_node",
        "Licenses": "licenses",
        "McsLabel": "mcs_label",
        "Partition": "partition",
        "QOSREQ": "qos_req",
        "ReqReservation": "req_reservation",
        "Reservation": "reservation",
        "StdErr": "std_err",
        "StdIn": "std_in",
        "StdOut": "std_out",
        "SystemComment": "system_comment",
        "WCKey": "wckey",
        "WorkDir": "work_dir",
    }
    found |= {column: of_job(name) for column, name in plain.items()}
    found |= {column: lambda _job, _step: b"" for column in ("BlockID", "Exclusive", "OverSubscribe")}
    return found


def _cpu_time(job: Row, step: Row | None, *kinds: str) -> bytes:
    seconds = microseconds = 0
    for kind in kinds:
        if step is None:
            pair = job[f"{kind}_cpu"]
        else:
            short = "sys" if kind == "system" else kind
            pair = (step[f"{short}_sec"], step[f"{short}_usec"])
        seconds += pair[0]
        microseconds += pair[1]
    return cpu_duration(seconds, microseconds)
