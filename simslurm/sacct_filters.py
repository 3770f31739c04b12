"""The options of sacct that pick rows by what is in them: states, users, accounts, nodes and the like."""

from __future__ import annotations

import os

from .schema import INFINITE, STATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .selection import Parameter, Selection
    from .session import Session

    Filter = Callable[[Session, Selection, str], None]

_SHORT_STATES = {
    "PD": "PENDING",
    "R": "RUNNING",
    "S": "SUSPENDED",
    "CD": "COMPLETED",
    "CA": "CANCELLED",
    "F": "FAILED",
    "TO": "TIMEOUT",
    "NF": "NODE_FAIL",
    "PR": "PREEMPTED",
    "BF": "BOOT_FAIL",
    "DL": "DEADLINE",
    "OOM": "OUT_OF_MEMORY",
    "RQ": "REQUEUED",
    "RS": "RESIZING",
    "RV": "REVOKED",
}

_UNACCOUNTED = {
    "CG", "COMPLETING", "CF", "CONFIGURING", "SE", "SPECIAL_EXIT", "RH", "REQUEUE_HOLD", "RF", "REQUEUE_FED",
    "SO", "STAGE_OUT", "ST", "STOPPED", "SI", "SIGNALING", "RD", "RESV_DEL_HOLD", "PO", "POWER_UP_NODE",
    "LF", "LAUNCH_FAILED", "UPDATE_DB",
}  # fmt: skip


def _states(session: Session, selection: Selection, value: str) -> None:
    for name in filter(None, value.upper().split(",")):
        full = _SHORT_STATES.get(name, name)
        if full in STATES:
            selection.states.append(STATES[full])
        elif name in _UNACCOUNTED:
            session.fatal(f"job state {name} is not supported / accounted")
        else:
            spelled = value.split(",")[[part.upper() for part in value.split(",")].index(name)]
            session.fatal(f"unrecognized job state value '{spelled}'")


def _users(session: Session, selection: Selection, value: str) -> None:
    uids = selection.users or []
    for name in filter(None, value.split(",")):
        uid = _uid_of(session, name)
        if uid is None:
            session.error(f"Invalid user id: {name}")
            session.exit_with_errno(1)
        uids.append(uid)
    selection.users = uids


def _uid_of(session: Session, name: str) -> int | None:
    if name.isdigit():
        return int(name)
    row = session.db.execute("SELECT uid FROM users WHERE name = ?", (name,)).fetchone()
    if row:
        return int(row[0])
    import pwd  # noqa: PLC0415 - only names pay for it

    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


def _groups(session: Session, selection: Selection, value: str) -> None:
    import grp  # noqa: PLC0415 - only -g pays for it

    gids = selection.equals.setdefault("id_group", [])
    for name in filter(None, value.split(",")):
        if name.isdigit():
            gids.append(int(name))
            continue
        try:
            gids.append(grp.getgrnam(name).gr_gid)
        except KeyError:
            session.error(f"Invalid group id: {name}")
            session.exit_with_errno(1)


def _nodes(session: Session, selection: Selection, value: str) -> None:
    from .hostlists import HostlistError, expand  # noqa: PLC0415 - only -N pays for it

    try:
        selection.nodes = frozenset(expand(value, session.release))
    except HostlistError:
        selection.nodes = frozenset()


def _equal(column: str, *, number: bool = False) -> Filter:
    def apply(session: Session, selection: Selection, value: str) -> None:
        del session
        wanted: list[Parameter] = selection.equals.setdefault(column, [])
        wanted += [int(text) if number else os.fsencode(text) for text in value.split(",") if text]
        if not wanted:
            del selection.equals[column]

    return apply


def _qos(session: Session, selection: Selection, value: str) -> None:
    rows: list[tuple[bytes, int]] = session.db.execute("SELECT name, id FROM qos ORDER BY id").fetchall()
    ids = {name.decode(): qos_id for name, qos_id in rows}
    wanted = selection.equals.setdefault("id_qos", [])
    for name in filter(None, value.split(",")):
        if name not in ids:
            session.error(f"You gave a bad qos '{name}'. Valid QOS's are {','.join(ids)}")
            session.fatal("problem processing qos list")
        wanted.append(ids[name])


def _range(column: str, words: str) -> Filter:
    def apply(session: Session, selection: Selection, value: str) -> None:
        least, _, greatest = value.partition("-")
        if not least.isdigit() or (greatest and not greatest.isdigit()):
            session.error(f"invalid {words} range -i '{value}'")
            session.exit_with_errno(1)
        selection.ranges[column] = (int(least), int(greatest or least))

    return apply


def _timelimit(session: Session, selection: Selection, value: str) -> None:
    if value.isdigit() and int(value):
        selection.ranges["timelimit"] = (int(value), int(value))
    elif value.lower() in {"unlimited", "infinite"}:
        selection.ranges["timelimit"] = (INFINITE, INFINITE)
    else:
        session.fatal("Invalid time limit specification")


FILTERS: dict[str, Filter] = {
    "A": _equal("account"),
    "C": _equal("constraints"),
    "g": _groups,
    "i": _range("nodes_alloc", "node"),
    "I": _range("cpus_req", "cpu"),
    "k": _timelimit,
    "N": _nodes,
    "name": _equal("job_name"),
    "q": _qos,
    "r": _equal("partition"),
    "s": _states,
    "u": _users,
    "W": _equal("wckey"),
    "x": _equal("id_assoc", number=True),
}
"""The filters by option."""
