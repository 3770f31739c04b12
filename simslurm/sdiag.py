"""A stand-in for sdiag: slurmctld's own numbers, of which the length of the DBD agent queue matters."""

from __future__ import annotations

import time

from .getopt import Grammar, UsageError
from .session import Session, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from .versions import Release

_JSON_SINCE: Release = (23, 2)
_STARS = "*" * 55


def main(database: str, version: str | None) -> NoReturn:
    """Run as sdiag."""
    run("sdiag", database, version, sdiag)


def sdiag(session: Session, arguments: list[str]) -> int:
    """Answer one call."""
    long = {
        "all": "a", "cluster=": "M", "help": "h", "reset": "r", "sort-by-id": "i", "sort-by-time": "t",
        "sort-by-time2": "T", "usage": "usage", "version": "V",
    }  # fmt: skip
    if session.release >= _JSON_SINCE:
        long |= {"json?": "json", "yaml?": "yaml"}
    try:
        options, _ = Grammar("ahirM:tTV", long).parse(arguments)
    except UsageError as error:
        session.complain(f'{session.program}: {error}\nTry "sdiag --help" for more information')
        return 1
    flags = {target for target, _ in options}
    if "V" in flags:
        session.write(session.version_line())
    elif "json" in flags:
        session.write(_json(session))
    else:
        session.write(_text(session).encode())
    return 0


def _job_counts(session: Session) -> dict[str, int]:
    """Count what slurmctld would; here it knows what slurmdbd knows."""
    row = session.db.execute(
        "SELECT count(*), sum(time_start != 0), sum(time_end != 0 AND state = 3),"
        " sum(time_end != 0 AND state = 4), sum(time_end != 0 AND state IN (5, 6, 7, 9, 11)),"
        " sum(time_end = 0 AND state = 0), sum(time_end = 0 AND state = 1) FROM jobs"
    ).fetchone()
    names = ("submitted", "started", "completed", "canceled", "failed", "pending", "running")
    return dict(zip(names, (int(value or 0) for value in row), strict=True))


def _agent_queue(session: Session) -> int:
    """Count what is held back for slurmdbd, and add what a test said is."""
    row = session.db.execute(
        "SELECT count(*) FROM agent_queue WHERE delivered_at IS NULL OR delivered_at > ?", (session.clock,)
    ).fetchone()
    return int(row[0]) + int(session.config["dbd_agent_queue"])


def _text(session: Session) -> str:
    now = session.now
    moment = time.strftime("%a %b %d %H:%M:%S %Y", time.localtime(now))
    began = now - now % 86400
    since = time.strftime("%a %b %d %H:%M:%S %Y", time.localtime(began))
    jobs = _job_counts(session)
    return "\n".join(
        (
            _STARS,
            f"sdiag output at {moment} ({now})",
            f"Data since      {since} ({began})",
            _STARS,
            "Server thread count:  3",
            "Agent queue size:     0",
            "Agent count:          0",
            "Agent thread count:   0",
            f"DBD Agent queue size: {_agent_queue(session)}",
            "",
            f"Jobs submitted: {jobs['submitted']}",
            f"Jobs started:   {jobs['started']}",
            f"Jobs completed: {jobs['completed']}",
            f"Jobs canceled:  {jobs['canceled']}",
            f"Jobs failed:    {jobs['failed']}",
            "",
            f"Job states ts:  {moment} ({now})",
            f"Jobs pending:   {jobs['pending']}",
            f"Jobs running:   {jobs['running']}",
            "",
            "Main schedule statistics (microseconds):",
            "\tLast cycle:   12",
            "\tMax cycle:    222",
            "\tTotal cycles: 338",
            "\tMean cycle:   14",
            "\tMean depth cycle:  0",
            "\tCycles per minute: 30",
            "\tLast queue length: 0",
            "",
        )
    )


def _json(session: Session) -> bytes:
    import json  # noqa: PLC0415 - only --json pays for it

    jobs = _job_counts(session)
    statistics: dict[str, object] = {
        "parts_packed": 1,
        "req_time": session.now,
        "server_thread_count": 3,
        "agent_queue_size": 0,
        "agent_count": 0,
        "agent_thread_count": 0,
        "dbd_agent_queue_size": _agent_queue(session),
    }
    statistics |= {f"jobs_{name}": count for name, count in jobs.items()}
    version = session.version.split(".")
    meta = {
        "slurm": {
            "version": {"major": version[0], "micro": version[2], "minor": version[1]},
            "release": session.version,
            "cluster": session.config["cluster"],
        }
    }
    answer = {"statistics": statistics, "meta": meta, "errors": [], "warnings": []}
    return json.dumps(answer, indent=2).encode() + b"\n"
